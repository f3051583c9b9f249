# SPDX-License-Identifier: Apache-2.0
"""Several services of one client: each has its bridge, and none disturbs another."""
import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import urllib.request

import pytest

from harness.burrow import split_address
from harness.programs import Cluster, Nginx, Redis, psql
from harness.sockets import Target, dial, echo, is_reset, read_exactly
from harness.wait import until

CLIENT_ID = "client-a"
BAD_LISTS = {
    "a_name_twice": (["pg=h:1", "pg=h:2"], 'two targets have the name "pg"'),
    "no_name_twice": (["h:1", "h:2"], "have no name"),
    "a_port_twice": (["a=h:1,port=7000", "b=h:2,port=7000"], "two targets ask for the bridge port 7000"),
    "sixty_five": ([f"s{i}=h:1" for i in range(65)], "given 65 times"),
    "capital": (["Pg=h:1"], "a-z, 0-9 and hyphens"),
    "long_name": (["n" * 64 + "=h:1"], "1 to 63"),
    "unknown_option": (["pg=h:1,prot=1"], "expected port=, proxy-protocol="),
    "port_zero": (["pg=h:1,port=0"], "1 to 65535"),
    "port_too_large": (["pg=h:1,port=65536"], "1 to 65535"),
    "port_with_sign": (["pg=h:1,port=+1"], "1 to 65535"),
    "port_twice": (["pg=h:1,port=1,port=2"], "twice"),
    "name_twice_in_one": (["pg=h:1,name=web"], "twice"),
    "proxy": (["pg=h:1,proxy-protocol=v3"], "v1, v2 or off"),
    "no_target": ([",name=pg"], "no target="),
    "option_as_target": (["port=15432"], "behind the address and a comma"),
    "empty_option": (["pg=h:1,"], "behind a comma"),
    "relative_path": (["pg=unix:run/x"], "absolute path"),
}


def bridge_of(client, service, after=0, seconds=20):
    return split_address(client.wait_event("service_ready", seconds, after=after, service=service)["bridge"])


def ping(address, data=b"ping"):
    with dial(address) as user:
        user.sendall(data)
        assert read_exactly(user, len(data)) == data


def ask_bridge(server, query=""):
    with urllib.request.urlopen(f"{server.web_url}/api/clients/{CLIENT_ID}/bridge-addr{query}", timeout=10,
                                context=ssl._create_unverified_context()) as answer:
        return split_address(answer.read().decode())


def named(targets):
    """Flags for all but the first of NAME=TARGET, which the harness gives itself."""
    return [word for target in targets[1:] for word in ("--local-target", target)]


def services(world, server, *targets, **options):
    return world.client(server, targets[0], *named(targets), **options)


@pytest.fixture(scope="module")
def programs(tmp_path_factory, free_port):
    made = [Nginx(tmp_path_factory.mktemp("nginx"), free_port()), Redis(tmp_path_factory.mktemp("redis"), 0),
            Cluster(free_port())]
    yield made
    for program in made:
        program.stop()


def test_nginx_redis_by_a_unix_socket_and_postgresql_at_once(world, transport, programs):
    nginx, redis, cluster = programs
    with open(nginx.path("page"), "w") as page:
        page.write("a page")
    server = world.server(transport)
    client = services(world, server, f"web={nginx}", f"cache={redis}", f"pg={cluster}")
    web, cache, pg = (bridge_of(client, name) for name in ("web", "cache", "pg"))
    assert len({web, cache, pg}) == 3

    results, errors = {}, []

    def use(name, work):
        try:
            results[name] = [work() for _ in range(10)]
        except Exception as error:  # noqa: BLE001 - told by the test's own thread
            errors.append(f"{name}: {error}")

    def redis_cli():
        return subprocess.run(["redis-cli", "-h", cache[0], "-p", str(cache[1]), "PING"], check=True,
                              capture_output=True, text=True).stdout

    works = {
        "web": lambda: urllib.request.urlopen(f"http://{web[0]}:{web[1]}/page", timeout=20).read(),
        "cache": redis_cli,
        "pg": lambda: psql(pg, "-A", "-t", "-c", "SELECT 6 * 7", stdout=subprocess.PIPE, text=True).stdout,
    }
    threads = [threading.Thread(target=use, args=item) for item in works.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert results == {"web": [b"a page"] * 10, "cache": ["PONG\n"] * 10, "pg": ["42\n"] * 10}
    for name, address in (("web", web), ("cache", cache), ("pg", pg)):
        told = server.wait_event("bridge_listening", client=CLIENT_ID, service=name)
        assert split_address(told["addr"]) == address


def test_the_client_api_tells_each_services_bridge(world):
    server = world.server("ws")
    client = services(world, server, f"pg={world.target(echo)}", f"web={world.target(echo)}")
    assert ask_bridge(server, "?service=pg") == bridge_of(client, "pg")
    assert ask_bridge(server, "?service=web") == bridge_of(client, "web")
    assert ask_bridge(server) == bridge_of(client, "pg")  # the first
    for query in ("?service=none", "?service="):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask_bridge(server, query)
        assert refused.value.code == 404 and refused.value.read() == b"no bridge listener\n"


def test_each_service_reaches_its_own_target_only(world, transport):
    def says(text):
        return lambda sock: sock.sendall(text)

    server = world.server(transport)
    names = [f"s{i}" for i in range(8)]
    client = services(world, server, *(f"{n}={world.target(says(n.encode()))}" for n in names))
    for name in names * 3:
        with dial(bridge_of(client, name)) as user:
            assert user.recv(64) == name.encode()


def test_sixty_four_services_are_taken(world, transport, burrow):
    target = world.target(echo)
    server = world.server(transport)
    client = services(world, server, *(f"{'n' * 58}-{i}={target}" for i in range(64)))
    bridges = {bridge_of(client, f"{'n' * 58}-{i}") for i in range(64)}
    assert len(bridges) == 64
    for bridge in bridges:
        ping(bridge)


@pytest.mark.parametrize("case", BAD_LISTS)
def test_a_bad_list_of_targets_is_a_usage_error(burrow, case):
    targets, expected = BAD_LISTS[case]
    done = burrow.run("client", "--client-id", "c", *(w for t in targets for w in ("--local-target", t)),
                      env={"BURROW_BEARER_TOKEN": "t"})
    assert done.returncode == 2, done.stderr
    assert "--local-target (BURROW_LOCAL_TARGET)" in done.stderr and expected in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_variable_and_the_file_hold_lists_too(world, burrow, tmp_path):
    one, two, three = (world.target(echo) for _ in range(3))
    server = world.server("ws")
    path = tmp_path / "burrow.yaml"
    path.write_text(f"local-target:\n  - one={one}\n  - {two},name=two\n"
                    f"  - name: three\n    target: {three}\n    proxy-protocol: off\n")
    from harness.burrow import clean_environment
    from harness.process import Process
    argv = [burrow.binary, "client", "--server-url", server.url, "--client-id", CLIENT_ID]
    for extra, env in ((["--config", str(path)], {}),
                       ([], {"BURROW_LOCAL_TARGET": f"one={one},two={two}\\,proxy-protocol=off,three={three}"})):
        client = Process("client", argv + extra,
                         env=clean_environment(BURROW_BEARER_TOKEN=burrow.mint(CLIENT_ID), **env))
        world.processes.append(client)
        for name in ("one", "two", "three"):
            ping(bridge_of(client, name))
        client.stop()


def test_a_unix_target_that_is_not_there_resets_its_users_only(world, transport, tmp_path):
    path = tmp_path / "service"
    server = world.server(transport)
    client = services(world, server, f"local=unix:{path}", f"other={world.target(echo)}")
    local, other = bridge_of(client, "local"), bridge_of(client, "other")
    assert is_reset(local)  # no such file
    client.wait_event("target_failed", service="local", target=f"unix:{path}")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    assert is_reset(local)  # bound, but nobody listens
    listener.listen()
    taken = threading.Thread(target=lambda: echo(listener.accept()[0]), daemon=True)
    taken.start()
    with dial(local) as user:
        user.sendall(b"ping")
        assert read_exactly(user, 4) == b"ping"
    taken.join()
    listener.close()
    os.unlink(path)
    path.write_text("no socket")
    assert is_reset(local)
    ping(other)


def test_one_stopped_target_leaves_the_other_services_alone(world, transport):
    server = world.server(transport)
    stopped, alive = Target(), world.target(echo)
    client = services(world, server, f"stopped={stopped}", f"alive={alive}")
    stopped.close()
    assert is_reset(bridge_of(client, "stopped"))
    for _ in range(5):
        ping(bridge_of(client, "alive"))


def test_services_keep_their_ports_when_the_client_comes_back(world, transport):
    target = world.target(echo)
    server = world.server(transport)
    first = services(world, server, f"pg={target}", f"web={target}")
    before = {name: bridge_of(first, name) for name in ("pg", "web")}
    first.kill()
    second = services(world, server, f"new={target}", f"web={target}", f"pg={target}", name="second")
    assert {name: bridge_of(second, name) for name in ("pg", "web")} == before
    for name in ("new", "pg", "web"):
        ping(bridge_of(second, name))


def read_metrics(server):
    with urllib.request.urlopen(f"{server.web_url}/metrics", timeout=10) as answer:
        return dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#")


def test_each_service_has_metrics_of_its_own_where_that_is_asked_for(world):
    server = world.server("ws", "--metrics-per-service")
    gone = Target()
    client = services(world, server, f"pg={world.target(echo)}", f"gone={gone}", f"idle={world.target(echo)}")
    gone.close()
    for _ in range(3):
        ping(bridge_of(client, "pg"), b"x" * 1000)
    assert is_reset(bridge_of(client, "gone"))
    with dial(bridge_of(client, "pg")) as user:
        user.sendall(b"y")
        assert read_exactly(user, 1) == b"y"
        expected = {
            'burrow_service_connections_total{client="client-a",service="pg"}': "4",
            'burrow_service_connections_total{client="client-a",service="gone"}': "1",
            'burrow_service_connections_total{client="client-a",service="idle"}': "0",
            'burrow_service_streams_active{client="client-a",service="pg"}': "1",
            'burrow_service_stream_ends_total{client="client-a",service="pg",result="ok"}': "3",
            'burrow_service_stream_ends_total{client="client-a",service="gone",result="refused"}': "1",
            'burrow_service_open_seconds_count{client="client-a",service="pg"}': "4",
            'burrow_service_open_seconds_bucket{client="client-a",service="pg",le="+Inf"}': "4",
            'burrow_service_open_seconds_count{client="client-a",service="gone"}': "0",
            'burrow_service_bytes_total{client="client-a",service="pg",direction="in"}': "3001",
            'burrow_service_bytes_total{client="client-a",service="pg",direction="out"}': "3001",
        }
        def seen():
            return {k: v for k, v in read_metrics(server).items() if k in expected}
        until(lambda: seen() == expected, seen)
    assert float(read_metrics(server)["burrow_stream_open_seconds_count"]) == 4


class Peer:
    """A client of wire version 2 over raw TLS, by hand: one that changes its list of services."""

    def __init__(self, server, token, services):
        context = ssl._create_unverified_context()
        context.set_alpn_protocols(["burrow/2"])
        self.sock = context.wrap_socket(dial(server.main))
        self.send(1, {"type": "register", "client_id": CLIENT_ID,
                      "meta": {"protocol": 2, "features": [], "instance": "0" * 32, "window": 16384,
                               "max_frame": 65536, "token": token, "services": services}})
        answer = self.control("register_ack")
        self.bridges = {s["id"]: s for s in answer["meta"]["services"]}

    def send(self, version, control):
        text = json.dumps(control).encode()
        self.sock.sendall(struct.pack("!BBQI", version, 1, 0, len(text)) + text)

    def frame(self, kind):
        """The next frame of this kind: its stream and payload."""
        while True:
            _, this, stream, length = struct.unpack("!BBQI", read_exactly(self.sock, 14))
            payload = read_exactly(self.sock, length)
            if this == kind:
                return stream, payload

    def control(self, name):
        while (control := json.loads(self.frame(1)[1]))["type"] != name:
            pass
        return control

    def change(self, serial, services):
        self.send(2, {"type": "services", "serial": serial, "services": services})
        answer = self.control("services_ack")
        assert answer["serial"] == serial
        return {s["id"]: s for s in answer["services"]}

    def open(self, bridge):
        """A user who has been accepted; the user's socket, the service and the stream."""
        user = dial(split_address(bridge["bridge"]))
        stream, payload = self.frame(3)
        self.sock.sendall(struct.pack("!BBQIQ", 2, 4, stream, 8, 1 << 20))
        return user, struct.unpack("!H", payload[:2])[0], stream


def test_services_come_and_go_within_a_session(world, burrow):
    server = world.server("tls")
    one, two, three = ({"id": i, "name": f"s{i}", "target": "127.0.0.1:9"} for i in (1, 2, 3))
    peer = Peer(server, burrow.mint(CLIENT_ID), [one, two])
    user, service, stream = peer.open(peer.bridges[1])
    assert service == 1
    before = dict(peer.bridges)

    after = peer.change(1, [two, three])
    assert after[2] == before[2] and set(after) == {2, 3}
    assert is_reset(split_address(before[1]["bridge"]))
    server.wait_event("service_withdrawn", client=CLIENT_ID, service="s1")
    server.wait_event("bridge_listening", client=CLIENT_ID, service="s3")
    assert ask_bridge(server, "?service=s3") == split_address(after[3]["bridge"])
    with pytest.raises(urllib.error.HTTPError):
        ask_bridge(server, "?service=s1")
    other, service, _ = peer.open(after[3])
    assert service == 3
    user.sendall(b"a stream of the withdrawn service goes on")
    assert peer.frame(2) == (stream, b"a stream of the withdrawn service goes on")

    assert peer.change(2, [{**one, "id": 4}, two, {**three, "name": "s5"}])[3]["code"] == "not_allowed"
    again = peer.change(3, [{**one, "id": 4}, two])
    assert again[4]["bridge"] == before[1]["bridge"] and again[2] == before[2]
    assert peer.change(4, []) == {}
    assert is_reset(split_address(before[2]["bridge"]))

    peer.send(2, {"type": "services", "serial": 5, "services": [one, one]})
    assert peer.control("error")["code"] == "protocol"
    for sock in (user, other, peer.sock):
        sock.close()


def test_more_than_ten_lists_a_second_end_the_session(world, burrow):
    server = world.server("tls")
    peer = Peer(server, burrow.mint(CLIENT_ID), [])
    for serial in range(1, 41):
        peer.send(2, {"type": "services", "serial": serial, "services": []})
    assert peer.control("error")["code"] == "flood"
    peer.sock.close()

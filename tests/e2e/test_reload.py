# SPDX-License-Identifier: Apache-2.0
"""SIGHUP and renewed files: a new configuration is taken or refused as a whole, and no stream is
dropped either way. BURROW_LONG=1 (make verify) opens 1,000 streams instead of 200."""
import os
import shutil
import signal
import ssl
import urllib.request

from harness.burrow import SECRET, make_certificate, split_address
from harness.sockets import Target, dial, echo, is_reset, read_exactly
from harness.tokens import TokenFile

ROUNDS = 100
SECRETS = [f"the secret number {i:03} of the tests, long enough for HS256" for i in range(ROUNDS)]


def write(path, text):
    """Whole or not at all, as whoever renews a file should do it."""
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.chmod(f"{path}.new", 0o600)
    os.replace(f"{path}.new", path)


def reload(process, event="reloaded"):
    mark = process.mark()
    process.signal(signal.SIGHUP)
    return process.wait_event(event, after=mark)


def admin_url(process):
    return "http://" + process.wait_event("listening", role="admin")["addr"]


def metric(process, line, url=None):
    with urllib.request.urlopen(f"{url or process.web_url}/metrics", timeout=10) as answer:
        for text in answer.read().decode().splitlines():
            if text.startswith(line + " "):
                return int(text.split()[1])
    raise AssertionError(f"no metric {line}")


class Users:
    """Connections through a tunnel that stay open and are asked for an echo now and then."""

    def __init__(self, address, count):
        self.socks = [dial(address) for _ in range(count)]
        self.ping()

    def ping(self):
        for i, sock in enumerate(self.socks):
            sock.sendall(b"%06d" % i)
        for i, sock in enumerate(self.socks):
            assert read_exactly(sock, 6) == b"%06d" % i

    def close(self):
        for sock in self.socks:
            sock.close()


def count(sized):
    return 1000 if os.environ.get("BURROW_LONG") else sized(200, 50)


def test_a_hundred_reloads_of_server_and_client_drop_no_stream(world, tmp_path, sized):
    config = tmp_path / "burrow.yaml"
    write(config, "max-streams: 2000\n")
    server = world.server("ws", "--config", config)
    client = world.client(server, world.target(echo), "--config", config)
    users = Users(client.bridge, count(sized))
    for i in range(ROUNDS):
        write(config, f"max-streams: {2000 + i}\n")
        reload(server)
        reload(client)
        if i % 10 == 0:
            users.ping()
    users.ping()
    assert metric(server, 'burrow_reloads_total{result="taken"}') == ROUNDS
    assert len(client.seen("connected")) == 1
    users.close()


def test_a_hundred_secrets_and_tokens_drop_no_stream(world, burrow, tmp_path, sized):
    secret, token = tmp_path / "secret", tmp_path / "token"
    write(secret, SECRET)
    write(token, burrow.mint("client-a"))
    server = world.server("ws", "--jwt-issuer", "tests", "--jwt-audience", "burrow-tests",
                          "--jwt-hmac-secret-file", secret, auth=False)
    client = world.client(server, world.target(echo), "--bearer-token-file", token, token="")
    users = Users(client.bridge, count(sized))
    for i, new in enumerate(SECRETS):
        write(secret, new)
        reload(server)
        write(token, burrow.mint("client-a", secret=new))
        mark = client.mark()
        client.signal(signal.SIGHUP)
        client.wait_event("token_renewed", after=mark)
        if i % 10 == 0:
            users.ping()
    users.ping()
    assert metric(server, 'burrow_token_renewals_total{result="taken"}') == ROUNDS
    assert len(client.seen("connected")) == 1
    users.close()


def test_a_hundred_certificates_drop_no_stream(world, burrow, tmp_path, sized):
    folders = [tmp_path / name for name in ("first", "second")]
    pairs = []
    for folder in folders:
        folder.mkdir()
        pairs.append(make_certificate(str(folder)))
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")

    def install(pair):
        for source, target in zip(pair, (cert, key)):
            shutil.copy(source, f"{target}.new")
            os.replace(f"{target}.new", target)

    install(pairs[0])
    server = world.server("wss", "--tls-cert", cert, "--tls-key", key)
    client = world.client(server, world.target(echo), authority=pairs[0][0])
    users = Users(client.bridge, count(sized))
    for i in range(ROUNDS):
        new = pairs[(i + 1) % 2]
        install(new)
        reload(server)
        with open(new[0]) as file:
            assert ssl.get_server_certificate(server.main).strip() == file.read().strip()
        if i % 10 == 0:
            users.ping()
    users.ping()
    assert len(client.seen("connected")) == 1
    users.close()


def test_a_wrong_configuration_leaves_the_old_one_in_force(world, tmp_path):
    config = tmp_path / "burrow.yaml"
    write(config, "max-clients: 5\n")
    server = world.server("ws", "--config", config)
    client = world.client(server, world.target(echo))
    users = Users(client.bridge, 3)
    for wrong, reason in (("max-clients: none\n", f"{config}:1:14: max-clients"), ("max-client: 5\n", "max-client"),
                          ("max-clients: [\n", str(config)), ("tls-cert: /nowhere\ntls-key: /nowhere\n", "--tls-cert"),
                          ("heartbeat-interval: 10m\n", "--heartbeat-timeout")):
        write(config, wrong)
        assert reason in reload(server, "reload_refused")["reason"]
    assert metric(server, 'burrow_reloads_total{result="refused"}') == 5
    assert metric(server, 'burrow_reloads_total{result="taken"}') == 0
    users.ping()
    users.close()


def test_what_needs_a_restart_is_named_each_time(world, tmp_path):
    config = tmp_path / "burrow.yaml"
    write(config, "log-level: info\n")
    server = world.server("ws", "--config", config)
    for _ in range(2):
        write(config, "log-level: info\nadmin-addr: 127.0.0.1:0\nplugins: [transport-ws, transport-tls, auth-hmac]\n")
        mark = server.mark()
        assert reload(server)["need_restart"] == "2"
        assert {e["option"] for e in server.wait_events("reload_needs_restart", 2, after=mark)} == {"admin-addr", "plugin"}
    world.client(server, world.target(echo))


def test_another_order_of_the_plugins_needs_a_restart(world, tmp_path):
    """Auth plugins are asked in the order of the list."""
    config = tmp_path / "burrow.yaml"
    tokens = TokenFile(tmp_path)
    write(config, "plugins: [transport-ws, auth-static, auth-hmac]\n")
    server = world.server("ws", "--config", config, *tokens.flags)
    assert reload(server)["need_restart"] == "0"
    write(config, "plugins: [transport-ws, auth-hmac, auth-static]\n")
    assert reload(server)["need_restart"] == "1"
    assert server.wait_event("reload_needs_restart")["option"] == "plugin"


def test_the_level_of_the_log_and_limits_change(world, tmp_path):
    config = tmp_path / "burrow.yaml"
    write(config, "max-clients: 1\n")
    server = world.server("ws", "--config", config)
    target = Target(echo)
    world.client(server, target)
    late = world.client(server, target, client_id="client-b", wait=False)
    late.wait_event("refused", code="limit")
    write(config, "max-clients: 2\nlog-level: debug\n")
    reload(server)
    late.ready(30)
    with dial(late.bridge) as user:
        user.sendall(b"x")
        assert read_exactly(user, 1) == b"x"
    target.close()


def test_services_of_the_client_change_at_reload_and_the_others_are_not_touched(world, transport, tmp_path):
    config = tmp_path / "client.yaml"
    stays, goes, comes = (world.target(echo) for _ in range(3))

    def configure(**services):
        write(config, f"local-target: {[f'{name}={target}' for name, target in services.items()]}\n")

    configure(stays=stays, goes=goes)
    server = world.server(transport)
    client = world.client(server, "", "--config", config, "--admin-addr", "127.0.0.1:0")
    bridges = {name: split_address(client.wait_event("service_ready", service=name)["bridge"])
               for name in ("stays", "goes")}
    users = {name: Users(bridge, 5) for name, bridge in bridges.items()}

    configure(stays=stays, comes=comes)
    marks = client.mark(), server.mark()
    reload(client)
    added = split_address(client.wait_event("service_ready", after=marks[0], service="comes")["bridge"])
    new = Users(added, 5)
    server.wait_event("service_withdrawn", after=marks[1], service="goes")
    server.wait_event("bridge_listening", after=marks[1], service="comes")
    assert is_reset(bridges["goes"])
    for each in (*users.values(), new):  # streams of the one that is gone go on, too
        each.ping()
    assert {e["service"] for e in server.events[marks[1]:] if "service" in e} == {"goes", "comes"}

    configure(stays=stays, goes=goes, comes=comes)
    marks = client.mark(), server.mark()
    reload(client)
    again = client.wait_event("service_ready", after=marks[0], service="goes")["bridge"]
    assert split_address(again) == bridges["goes"], "back at its port"
    users["again"] = Users(bridges["goes"], 5)
    for each in (*users.values(), new):
        each.ping()
        each.close()
    assert len(client.seen("connected")) == 1
    assert metric(client, 'burrow_reloads_total{result="taken"}', admin_url(client)) == 2


def test_a_list_of_services_that_is_wrong_changes_none(world, tmp_path):
    config, target = tmp_path / "client.yaml", world.target(echo)
    write(config, f"local-target: ['a={target}']\n")
    server = world.server("ws")
    client = world.client(server, "", "--config", config, "--admin-addr", "127.0.0.1:0")
    users = Users(client.bridge, 3)
    for wrong in (f"local-target: ['a={target}', 'a={target}']\n", "local-target: ['a=nowhere']\n"):
        write(config, wrong)
        assert "local-target" in reload(client, "reload_refused")["reason"]
    users.ping()
    assert metric(client, 'burrow_reloads_total{result="refused"}', admin_url(client)) == 2
    users.close()

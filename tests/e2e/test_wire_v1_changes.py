# SPDX-License-Identifier: Apache-2.0
"""Peers of version 1 of the wire while something happens to burrow's side: a limit of speed, a drain, a
reload. Whatever version 2 has a control for, a peer of version 1 hears nothing of; the harness would call it
a fault."""
import signal
import threading
import time

import pytest

from harness.burrow import split_address
from harness.sockets import dial, echo, is_reset, read_exactly, was_reset
from harness.tokens import TokenFile
from harness.v1 import pattern
from harness.v1_client import V1Client
from harness.v1_server import V1Server
from harness.wait import PATIENCE
from test_wire_v1_server import HEARTBEATS, Tunnel, exchange, source

TOKEN = "a-token-of-the-tests-5e884898da28047151d0e56f8dc62927"
RATE = 200_000
SIZE = 1_000_000
READ = 256 << 10  # what is read at once counts when it has been read: its time is taken behind it


def join(world, server, token, target, client_id="client-a"):
    client = V1Client(server.url, token, client_id, target)
    world.closing.append(client)
    client.ready()
    client.bridge = split_address(server.wait_event("bridge_listening", client=client_id)["addr"])
    return client


# ---- a limit of speed ----

@pytest.fixture
def limited(world, tmp_path):
    """A server that lets client-a have so many bytes a second, and client-b all."""
    tokens = TokenFile(tmp_path)
    tokens.add(TOKEN, "client-a", grants={"bytes_per_second": RATE})
    tokens.add(TOKEN + "b", "client-b")
    return world.server("ws", *tokens.flags, *HEARTBEATS, auth=False)


def test_what_a_limited_client_sends_keeps_the_rate_and_comes_whole(world, limited):
    """Its connection is not read meanwhile, for longer than the heartbeat timeout: it lives."""
    client = join(world, limited, TOKEN, world.target(source(SIZE)).address)
    with dial(client.bridge) as user:
        user.settimeout(60)
        begun = time.monotonic()
        assert read_exactly(user, SIZE) == pattern(SIZE)
        assert time.monotonic() - begun >= (SIZE - RATE / 4 - READ) / RATE * 0.95
    assert limited.wait_event("rate_limited", client="client-a")["bytes_per_second"] == str(RATE)
    assert not limited.seen("client_disconnected") and not limited.seen("stream_stalled")
    client.check()


def test_what_a_limited_client_is_sent_keeps_the_rate_and_comes_whole(world, limited):
    got = bytearray()
    done = threading.Event()

    def sink(sock):
        while len(got) < SIZE and (part := sock.recv(65536)):
            got.extend(part)
        done.set()
    client = join(world, limited, TOKEN, world.target(sink).address)
    with dial(client.bridge) as user:
        user.settimeout(60)
        begun = time.monotonic()
        user.sendall(pattern(SIZE))
        assert done.wait(60)
        assert time.monotonic() - begun >= (SIZE - RATE / 4) / RATE * 0.95
    assert bytes(got) == pattern(SIZE)
    assert not limited.seen("client_disconnected")
    client.check()


def test_an_unlimited_client_is_not_slowed_by_a_limited_one(world, limited):
    slow = join(world, limited, TOKEN, world.target(source(50 * RATE)).address)
    fast = join(world, limited, TOKEN + "b", world.target(echo).address, "client-b")
    with dial(slow.bridge) as held, dial(fast.bridge) as user:
        assert held.recv(1)
        data = pattern(4 << 20)
        assert exchange(user, data) == data
    assert not limited.seen("client_disconnected")


# ---- a drain ----

def test_a_draining_server_waits_for_streams_and_sends_the_idle_away(world):
    tunnel = Tunnel(world, world.target(echo).address, "--drain-timeout", "1m")
    idle = join(world, tunnel.server, world.burrow.mint("client-b"), world.target(echo).address, "client-b")
    with dial(tunnel.bridge) as user:
        user.sendall(b"before")
        assert read_exactly(user, 6) == b"before"
        tunnel.server.signal(signal.SIGTERM)
        assert idle.wait_end() == 1012
        user.sendall(b"behind")
        assert read_exactly(user, 6) == b"behind"
        assert not tunnel.client.ended.is_set()
        with pytest.raises(ConnectionRefusedError):
            dial(tunnel.bridge)
    assert tunnel.client.wait_end() == 1012
    assert tunnel.server.wait() == 0
    tunnel.client.check()
    idle.check()


def test_a_drain_that_ends_by_its_deadline_resets_users_and_says_come_back(world):
    tunnel = Tunnel(world, world.target(echo).address, "--drain-timeout", "600ms")
    with dial(tunnel.bridge) as user:
        user.sendall(b"x")
        assert read_exactly(user, 1) == b"x"
        begun = time.monotonic()
        tunnel.server.signal(signal.SIGTERM)
        assert tunnel.client.wait_end() == 1012
        assert time.monotonic() - begun >= 0.5
        assert was_reset(user)
    assert tunnel.server.wait() == 0
    tunnel.client.check()


def test_a_client_that_leaves_lets_its_streams_end(world):
    server = V1Server()
    world.closing.append(server)
    client = world.client(server, world.target(echo), "--drain-timeout", "1m", wait=False)
    session = server.session()
    stream = session.open()
    client.signal(signal.SIGTERM)
    client.wait_event("stopping")
    late = session.open(acked=False)
    assert late.closed.wait(PATIENCE) and late.error, "an open while it leaves is refused"
    session.send(stream, b"still served")
    assert stream.recv_exactly(12) == b"still served"
    session.close_stream(stream)
    assert session.wait_end() == 1000
    assert client.wait() == 0
    session.check()


# ---- a token that ends ----

def test_a_newer_token_of_the_file_is_a_new_connection(world, tmp_path):
    server = V1Server()
    world.closing.append(server)
    path = tmp_path / "token"
    old, new = (world.burrow.mint("client-a", expires_in=time) for time in ("6s", "1h"))
    path.write_text(old)
    path.chmod(0o600)
    world.client(server, world.target(echo), "--bearer-token-file", path, "--token-refresh-window", "4s",
                 "--client-retry-interval", "100ms", token="", wait=False)
    session = server.session()
    assert server.headers["Authorization"] == f"Bearer {old}"
    path.write_text(new)
    again = server.session(2)
    assert server.headers["Authorization"] == f"Bearer {new}"
    assert again.register["previous_session_id"] == session.session_id
    assert served(again, b"goes on")


# ---- a reload ----

def test_a_server_that_reloads_keeps_its_clients_and_limits_them_anew(world, tmp_path):
    config = tmp_path / "server.yaml"
    config.write_text("max-streams: 10\n")
    config.chmod(0o600)
    tunnel = Tunnel(world, world.target(echo).address, "--config", config)
    with dial(tunnel.bridge) as user:
        user.sendall(b"one")
        assert read_exactly(user, 3) == b"one"
        config.write_text("max-streams: 1\n")
        tunnel.server.signal(signal.SIGHUP)
        tunnel.server.wait_event("reloaded")
        assert is_reset(tunnel.bridge)
        user.sendall(b"two")
        assert read_exactly(user, 3) == b"two"
    assert not tunnel.client.ended.is_set()
    tunnel.client.check()


@pytest.fixture
def reloading(world, tmp_path):
    """A client at a server of version 1 whose services change by a reload."""
    config = tmp_path / "client.yaml"
    server = V1Server()
    world.closing.append(server)

    def write(*targets):
        config.write_text("local-target: [%s]\n" % ", ".join(f"'{target}'" for target in targets))
        config.chmod(0o600)

    def begin(*targets):
        write(*targets)
        client = world.client(server, "", "--config", config, wait=False)
        return client, server.session()

    def reload(client, *targets):
        write(*targets)
        client.signal(signal.SIGHUP)
        client.wait_event("reloaded")
    begin.reload = reload
    return begin


def served(session, word):
    stream = session.open()
    session.send(stream, word)
    return stream.recv_exactly(len(word)) == word


def test_a_service_that_a_reload_adds_is_named_as_left_out(world, reloading):
    first = world.target(echo)
    client, session = reloading(f"a={first}")
    assert served(session, b"before")
    reloading.reload(client, f"a={first}", "b=127.0.0.1:1")
    assert client.wait_event("service_left_out")["service"] == "b"
    assert served(session, b"behind")
    assert not client.seen("disconnected")
    session.check()


def test_a_target_that_a_reload_changes_is_dialled_from_then_on(world, reloading):
    first, second = world.target(echo), world.target(lambda sock: sock.sendall(b"the second"))
    client, session = reloading(str(first))
    old = session.open()
    reloading.reload(client, str(second))
    assert session.open().recv_exactly(10) == b"the second"
    session.send(old, b"goes on")
    assert old.recv_exactly(7) == b"goes on"
    session.check()

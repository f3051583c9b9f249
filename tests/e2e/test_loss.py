# SPDX-License-Identifier: Apache-2.0
"""When an end is gone: the other side's sockets are closed in time, the bridge stays where it was,
and nothing of the old session reaches the new one. (How soon, to a tenth of a second: tests/faults.)"""
import signal
import socket
import time

import pytest

from harness.sockets import dial, echo, is_reset, read_exactly, was_reset
from harness.wait import PATIENCE

HEARTBEATS = ("--heartbeat-interval", "500ms", "--heartbeat-timeout", "4s")
FAST_RETRY = ("--client-retry-interval", "100ms")


def wait_end(sock):
    """Waits for EOF or RST."""
    sock.settimeout(PATIENCE)
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        pass


def test_after_kill_of_the_client_its_users_are_reset_and_its_bridge_stays(world, transport):
    target = world.target(echo)
    server, client, bridge = world.tunnel(transport, target, *HEARTBEATS)
    user = dial(bridge)
    user.sendall(b"old")
    assert read_exactly(user, 3) == b"old"
    client.kill()
    assert was_reset(user), "the user of a lost tunnel saw a clean end"
    server.wait_event("client_disconnected", client="client-a")

    took = []
    for _ in range(5):
        start = time.monotonic()
        assert is_reset(bridge), "a clean end where a reset is due"
        took.append(time.monotonic() - start)
    assert min(took) < 1, took

    again = world.client(server, target)
    assert again.bridge == bridge
    with dial(bridge) as user:
        user.sendall(b"new")
        assert read_exactly(user, 3) == b"new"


def test_a_stopped_client_is_found_dead_by_its_silence(world, transport):
    """SIGSTOP: no FIN and no RST tell of it, only the missing answers."""
    server, client, bridge = world.tunnel(transport, world.target(echo), *HEARTBEATS)
    with dial(bridge) as user:
        user.sendall(b"x")
        assert read_exactly(user, 1) == b"x"
        client.signal(signal.SIGSTOP)
        try:
            wait_end(user)
            server.wait_event("client_disconnected", client="client-a")
        finally:
            mark = client.mark()
            client.signal(signal.SIGCONT)
    client.wait_event("disconnected", after=mark)
    client.ready(after=mark)
    assert client.bridge == bridge


def test_after_kill_of_the_server_the_targets_sockets_are_closed_and_the_client_comes_back(world, transport):
    target = world.target()
    server = world.server(transport, *HEARTBEATS)
    client = world.client(server, target, *FAST_RETRY)
    user = dial(client.bridge)
    user.sendall(b"x")
    service = target.accept()
    assert read_exactly(service, 1) == b"x"
    address = server.main
    server.kill()
    wait_end(service)
    user.close()
    client.wait_event("disconnected")
    mark = client.mark()

    # The same address again, as a restart by systemd would have it.
    world.server(transport, *HEARTBEATS, main="%s:%d" % address)
    client.ready(after=mark)
    with dial(client.bridge) as user:
        user.sendall(b"again")
        service = target.accept()
        assert read_exactly(service, 5) == b"again"


def test_a_stopped_server_is_found_dead_by_its_silence(world, transport):
    target = world.target()
    server = world.server(transport, *HEARTBEATS)
    client = world.client(server, target, *FAST_RETRY)
    user = dial(client.bridge)
    user.sendall(b"x")
    service = target.accept()
    assert read_exactly(service, 1) == b"x"
    server.signal(signal.SIGSTOP)
    try:
        wait_end(service)
        client.wait_event("disconnected")
    finally:
        mark = client.mark()
        server.signal(signal.SIGCONT)
    user.close()
    client.ready(after=mark)


def test_nothing_of_the_old_session_reaches_the_new_one(world, transport):
    """A user has sent bytes that the old client never took; the new one's target must not see them."""
    first, second = world.target(), world.target()
    server = world.server(transport, *HEARTBEATS)
    client = world.client(server, first)
    bridge = client.bridge
    user = dial(bridge)
    user.sendall(b"O")
    service = first.accept()
    assert read_exactly(service, 1) == b"O"
    client.signal(signal.SIGSTOP)
    user.sendall(b"old" * 20000)
    client.kill()
    assert was_reset(user)

    client = world.client(server, second)
    with dial(client.bridge) as user:
        user.sendall(b"new")
        service = second.accept()
        assert read_exactly(service, 3) == b"new"
        user.shutdown(socket.SHUT_WR)
        assert service.recv(1) == b""
    second.listener.settimeout(0.2)
    with pytest.raises(TimeoutError):
        second.listener.accept()


def test_a_second_client_with_the_same_id_takes_over(world, transport):
    old_target, new_target = world.target(echo), world.target(echo)
    server = world.server(transport)
    old = world.client(server, old_target)
    user = dial(old.bridge)
    user.sendall(b"x")
    assert read_exactly(user, 1) == b"x"
    new = world.client(server, new_target, name="the newer client")
    assert new.bridge == old.bridge
    assert was_reset(user), "a stream of the old owner ended as if it were whole"
    refusal = old.wait_event("refused", code="superseded")
    assert int(refusal["retry_ms"]) > 15_000, "two of them would fight"
    with dial(new.bridge) as user:
        user.sendall(b"y")
        assert read_exactly(user, 1) == b"y"
    assert len(new_target.connections) == 1


def test_sigterm_of_the_server_ends_users_in_order(world, transport):
    server = world.server(transport)
    client = world.client(server, world.target(echo), *FAST_RETRY)
    with dial(client.bridge) as user:
        user.sendall(b"x")
        assert read_exactly(user, 1) == b"x"
        server.stop()
        wait_end(user)
    names = [e["event"] for e in server.events]
    assert names.index("stopping") < names.index("stopped") == len(names) - 1
    client.wait_event("disconnected")


def test_sigterm_of_the_client_ends_users_in_order(world, transport):
    server, client, bridge = world.tunnel(transport, world.target(echo))
    with dial(bridge) as user:
        user.sendall(b"x")
        assert read_exactly(user, 1) == b"x"
        client.stop()
        wait_end(user)
    names = [e["event"] for e in client.events]
    assert names.index("stopping") < names.index("stopped") == len(names) - 1
    server.wait_event("client_disconnected", client="client-a")


def test_a_client_that_is_older_than_its_server_waits_for_it(world):
    """Started first, it backs off and connects when there is somebody."""
    probe = world.server("ws")
    url, address = probe.url, probe.main
    probe.stop()
    target = world.target(echo)
    client = world.client(probe, target, *FAST_RETRY, url=url, wait=False)
    client.wait_event("disconnected")
    world.server("ws", main="%s:%d" % address)
    client.ready()

# SPDX-License-Identifier: Apache-2.0
"""The end in order: streams that run may end, nobody new is let in, clients connect elsewhere first."""
import signal
import socket
import urllib.error
import urllib.request

import pytest

from harness.burrow import TRANSPORTS
from harness.sockets import dial, echo, is_reset, read_exactly, read_all, was_reset

PATIENT = {"BURROW_DRAIN_TIMEOUT": "1m"}


def ping(user):
    user.sendall(b"ping")
    assert read_exactly(user, 4) == b"ping"


def finish(user):
    user.shutdown(socket.SHUT_WR)
    assert read_all(user) == b""
    user.close()


def refused_at(address):
    try:
        return is_reset(address)
    except ConnectionRefusedError:
        return True


def ready(server):
    try:
        with urllib.request.urlopen(f"{server.web_url}/readyz", timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_server_that_stops_lets_its_streams_end(world, transport):
    server = world.server(transport, env=PATIENT)
    client = world.client(server, world.target(echo), env=PATIENT)
    user = dial(client.bridge)
    ping(user)
    server.signal(signal.SIGTERM)
    client.wait_event("server_draining")
    ping(user)
    assert refused_at(client.bridge)
    finish(user)
    server.wait_event("drained", streams=0)
    assert server.wait() == 0


def test_a_draining_server_is_not_ready_and_takes_nobody(world):
    server = world.server("ws", env=PATIENT)
    client = world.client(server, world.target(echo))
    user = dial(client.bridge)
    ping(user)
    assert ready(server) == 200 and server.metric("burrow_draining") == 0
    server.signal(signal.SIGTERM)
    client.wait_event("server_draining")
    assert ready(server) == 503 and server.metric("burrow_draining") == 1
    late = world.client(server, world.target(echo), client_id="client-b", wait=False)
    late.wait_event("refused", code="http_503")
    ping(user)
    finish(user)
    assert server.wait() == 0


def test_a_client_has_another_server_before_it_leaves_the_first(world, free_port):
    """Two servers behind one name: a small relay that sends each new connection to the one of the moment."""
    first, second = world.server("ws", env=PATIENT), world.server("ws")
    front = world.target(lambda sock: splice(sock, front.now))
    front.now = first.main
    client = world.client(first, world.target(echo), url=f"ws://{front}/ws")
    old_bridge = client.bridge
    user = dial(old_bridge)
    ping(user)
    front.now = second.main
    mark = client.mark()
    first.signal(signal.SIGTERM)
    client.ready(30, after=mark)
    assert client.bridge != old_bridge
    ping(user)  # by the first server, while new ones come by the second
    with dial(client.bridge) as other:
        ping(other)
    finish(user)
    client.wait_event("session_left")
    assert first.wait() == 0
    with dial(client.bridge) as other:
        ping(other)


def splice(sock, address):
    import threading
    with socket.create_connection(address) as other:
        def copy(source, target):
            try:
                while data := source.recv(1 << 16):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        back = threading.Thread(target=copy, args=(other, sock), daemon=True)
        back.start()
        copy(sock, other)
        back.join()


def test_a_client_that_stops_lets_its_streams_end(world):
    server = world.server("ws")
    client = world.client(server, world.target(echo), env=PATIENT)
    user = dial(client.bridge)
    ping(user)
    client.signal(signal.SIGTERM)
    server.wait_event("client_draining", streams=1)
    ping(user)
    assert is_reset(client.bridge)
    finish(user)
    assert client.wait() == 0


@pytest.mark.parametrize("who", ["server", "client"])
def test_the_deadline_and_a_second_signal_end_the_wait(world, who):
    for timeout, signals in (("1s", 1), ("10m", 2)):
        server = world.server("ws", env={"BURROW_DRAIN_TIMEOUT": timeout})
        client = world.client(server, world.target(echo), env={"BURROW_DRAIN_TIMEOUT": timeout})
        stopping = server if who == "server" else client
        user = dial(client.bridge)
        ping(user)
        for _ in range(signals):
            mark = stopping.mark()
            stopping.signal(signal.SIGTERM)
            if signals == 2 and not stopping.seen("stopping", after=0):
                stopping.wait_event("stopping", after=mark)
        assert stopping.wait() == 0
        assert was_reset(user)
        client.kill() if client.running() else None
        server.kill() if server.running() else None

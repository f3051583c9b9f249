# SPDX-License-Identifier: Apache-2.0
"""What a token grants is what its client gets: services, ports, streams, bytes a second."""
import socket
import threading
import time

import pytest

from harness.sockets import dial, echo, is_reset, read_exactly
from harness.tokens import TokenFile

TOKEN = "a-token-of-the-tests-5e884898da28047151d0e56f8dc62927"


@pytest.fixture
def granted(world, tmp_path):
    """A server that grants so much to client-a, and nothing of the kind to client-b."""
    def serve(transport, grants):
        tokens = TokenFile(tmp_path)
        tokens.add(TOKEN, "client-a", grants=grants)
        tokens.add(TOKEN + "b", "client-b")
        return world.server(transport, *tokens.flags, auth=False)
    return serve


def refusals(server, grant):
    return int(server.metric(f'burrow_grant_refusals_total{{grant="{grant}"}}'))


def named(target, name):
    return f"{name}={target}"


def test_a_service_that_is_not_granted_is_refused_and_the_others_go_on(world, granted, transport):
    server = granted(transport, {"services": ["web-*"]})
    target = world.target(echo)
    client = world.client(server, named(target, "web-1"), "--local-target", named(target, "pg"),
                          token=TOKEN)
    refused = server.wait_event("grant_refused", grant="services", client="client-a", service="pg")
    assert refused["left_out"] == "0"
    assert server.wait_event("service_refused", service="pg")["code"] == "not_allowed"
    assert not server.seen("bridge_listening", service="pg")
    with dial(client.bridge) as user:
        user.sendall(b"hello")
        assert read_exactly(user, 5) == b"hello"


def test_the_log_tells_what_limits_a_client(world, granted):
    server = granted("ws", {"services": ["web-*"], "max_streams": 2})
    world.client(server, named(world.target(echo), "web-1"), token=TOKEN)
    assert server.wait_event("client_grants", client="client-a")["grants"] == "services=web-* max_streams=2"


def test_streams_beyond_the_grant_are_reset_and_counted(world, granted, transport):
    server = granted(transport, {"max_streams": 2})
    client = world.client(server, world.target(echo), token=TOKEN)
    users = [dial(client.bridge) for _ in range(2)]
    for user in users:
        user.sendall(b"x")
        assert read_exactly(user, 1) == b"x"
    assert is_reset(client.bridge)
    server.wait_event("grant_refused", grant="max_streams", client="client-a")
    if transport == "ws":
        assert refusals(server, "max_streams") == 1
    for user in users:
        user.sendall(b"y")
        assert read_exactly(user, 1) == b"y"
        user.close()


def test_without_a_granted_port_there_is_no_bridge(world, granted):
    server = granted("ws", {"ports": []})
    world.client(server, named(world.target(echo), "pg"), token=TOKEN, wait=False)
    server.wait_event("grant_refused", grant="ports", client="client-a", service="pg")
    assert not server.seen("bridge_listening")


RATE = 200_000


def source(size):
    """A target that sends so many bytes."""
    def handler(sock):
        sock.sendall(bytes(size))
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)
    return handler


def read_all(user, ret, index):
    total = 0
    while True:
        part = user.recv(65536)
        if not part:
            break
        total += len(part)
    ret[index] = (total, time.monotonic())


def test_what_a_client_sends_keeps_the_rate_over_all_streams(world, granted, transport):
    size, streams = 300_000, 3
    server = granted(transport, {"bytes_per_second": RATE})
    client = world.client(server, world.target(source(size)), token=TOKEN)
    begun, got = time.monotonic(), [None] * streams
    users = [dial(client.bridge) for _ in range(streams)]
    threads = [threading.Thread(target=read_all, args=(user, got, i)) for i, user in enumerate(users)]
    for user, thread in zip(users, threads):
        user.settimeout(60)
        thread.start()
    for user, thread in zip(users, threads):
        thread.join()
        user.close()
    assert [total for total, _ in got] == [size] * streams
    took = max(at for _, at in got) - begun
    assert took >= (streams * size - RATE / 4) / RATE * 0.95
    assert server.wait_event("rate_limited", client="client-a")["bytes_per_second"] == str(RATE)
    if transport == "ws":
        assert refusals(server, "bytes_per_second") > 0


def test_what_a_client_receives_keeps_the_rate(world, granted, transport):
    size = 800_000
    done = threading.Event()

    def sink(sock):
        left = size
        while left > 0:
            left -= len(sock.recv(65536))
        done.set()

    server = granted(transport, {"bytes_per_second": RATE})
    client = world.client(server, world.target(sink), token=TOKEN)
    with dial(client.bridge) as user:
        user.settimeout(60)
        begun = time.monotonic()
        user.sendall(bytes(size))
        assert done.wait(60)
        assert time.monotonic() - begun >= (size - RATE / 4) / RATE * 0.95


def test_a_session_that_waits_for_its_rate_costs_no_time(world, granted):
    server = granted("ws", {"bytes_per_second": 1000})
    client = world.client(server, world.target(source(100_000_000)), token=TOKEN)

    def used():
        with open(f"/proc/{server.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])  # ticks of 10 ms

    with dial(client.bridge) as user:
        read_exactly(user, 1000)
        server.wait_event("rate_limited")
        before = used()
        time.sleep(1)
        assert used() - before <= 10


def test_an_unlimited_client_is_not_slowed_by_a_limited_one(world, granted):
    server = granted("ws", {"bytes_per_second": 1000})
    slow = world.client(server, world.target(source(10_000_000)), token=TOKEN)
    fast = world.client(server, world.target(source(20_000_000)), client_id="client-b", token=TOKEN + "b")
    with dial(slow.bridge), dial(fast.bridge) as user:
        user.settimeout(60)
        got = [None]
        read_all(user, got, 0)
        assert got[0][0] == 20_000_000

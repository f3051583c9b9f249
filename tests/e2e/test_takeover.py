# SPDX-License-Identifier: Apache-2.0
"""Two processes with one client id: the newer wins, and they do not fight."""
from harness.sockets import dial, echo, read_exactly, was_reset

TAKEOVERS_A_MINUTE = 4


def ping(user):
    user.sendall(b"ping")
    assert read_exactly(user, 4) == b"ping"


def test_the_newer_process_takes_the_id_over_and_the_old_one_waits(world):
    server = world.server("ws")
    old = world.client(server, world.target(echo), name="old")
    user = dial(old.bridge)
    ping(user)
    new = world.client(server, world.target(echo), name="new")
    refused = old.wait_event("refused", code="superseded")
    assert int(refused["retry_ms"]) >= 60000
    server.wait_event("client_takeover", client="client-a")
    assert was_reset(user)
    assert new.bridge == old.bridge
    with dial(new.bridge) as other:
        ping(other)


def test_takeovers_are_limited_and_who_has_the_id_keeps_it(world):
    server = world.server("ws")
    target = world.target(echo)
    owner = world.client(server, target, name="client 0")
    for i in range(TAKEOVERS_A_MINUTE):
        owner = world.client(server, target, name=f"client {i + 1}")
    late = world.client(server, target, name="late", wait=False)
    late.wait_event("refused", code="superseded")
    server.wait_event("register_refused", code="superseded")
    with dial(owner.bridge) as user:
        ping(user)
    assert not owner.seen("refused")

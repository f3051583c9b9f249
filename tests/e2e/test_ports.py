# SPDX-License-Identifier: Apache-2.0
"""Which ports bridges have: of a range, the same after a restart, as a client asked; and what happens
when there is none to be had."""
import errno
import os
import resource
import socket

import pytest

from harness.burrow import split_address
from harness.sockets import dial, echo, is_reset, read_exactly
from harness.wait import until

NAMES = ["pg", "web", "ssh"]


def free_range(size):
    """The first of so many ports in a row that nobody has, below those that the kernel gives away and apart
    from those of the tests that run beside this one."""
    base = 20000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 4 * 3000
    end = base + 3000
    while base + size < end:
        held = []
        try:
            for port in range(base, base + size):
                sock = socket.socket()
                held.append(sock)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(("127.0.0.1", port))
            return base
        except OSError:
            base += size
        finally:
            for sock in held:
                sock.close()
    raise AssertionError(f"no {size} free ports in a row")


def bridge_of(client, service, after=0, seconds=20):
    return split_address(client.wait_event("service_ready", seconds, after=after, service=service)["bridge"])


def ping(address, data=b"ping"):
    with dial(address) as user:
        user.sendall(data)
        assert read_exactly(user, len(data)) == data


def listens(address):
    with socket.socket() as sock:
        return sock.connect_ex(address) in (0, errno.ECONNRESET)


def services(world, server, targets, **options):
    """A client of these targets that asks again soon for services that were refused."""
    more = [w for t in targets[1:] for w in ("--local-target", t)]
    return world.client(server, targets[0], "--client-auth-retry-interval", "200ms", *more, **options)


def test_ports_are_of_the_range_and_the_same_after_a_restart(world, transport):
    base, target = free_range(1000), world.target(echo)
    flags = ["--bridge-port-range", f"{base}-{base + 999}"]
    server = world.server(transport, *flags)
    targets = [f"{name}={target}" for name in NAMES]
    clients = [services(world, server, targets, client_id=f"client-{i}") for i in range(4)]
    before = [[bridge_of(client, name) for name in NAMES] for client in clients]
    assert all(base <= port < base + 1000 for bridges in before for _, port in bridges)
    assert len({port for bridges in before for _, port in bridges}) == 12
    marks = [client.mark() for client in clients]
    main = "%s:%d" % server.main
    server.kill()
    world.server(transport, *flags, name="second server", main=main)
    after = [[bridge_of(client, name, after=mark) for name in NAMES] for client, mark in zip(clients, marks)]
    assert after == before
    for bridges in after:
        for bridge in bridges:
            ping(bridge)


def test_a_port_that_somebody_else_has_is_passed_over(world):
    base, target = free_range(3), world.target(echo)
    with socket.socket() as other:
        other.bind(("127.0.0.1", base + 1))
        other.listen()
        server = world.server("ws", "--bridge-port-range", f"{base}-{base + 2}")
        client = services(world, server, [f"pg={target}", f"web={target}"])
        assert {bridge_of(client, name)[1] for name in ("pg", "web")} == {base, base + 2}


def test_a_full_range_refuses_the_service_until_a_port_is_free(world, transport):
    base, target = free_range(3), world.target(echo)
    server = world.server(transport, "--bridge-port-range", f"{base}-{base + 2}", "--stale-service-age", "500ms",
                          "--sweep-interval", "200ms")
    leaving = services(world, server, [f"one={target}"], client_id="client-b")
    bridge_of(leaving, "one")
    staying = services(world, server, [f"{name}={target}" for name in NAMES])
    refused = staying.wait_event("service_refused", service="ssh", code="limit")
    assert refused["reason"] == f"no port of {base}-{base + 2} is free"
    server.wait_event("service_refused", client="client-a", service="ssh", code="limit")
    running = dial(bridge_of(staying, "pg"))
    leaving.stop()
    assert base <= bridge_of(staying, "ssh", seconds=30)[1] <= base + 2
    for name in NAMES:
        ping(bridge_of(staying, name))
    running.sendall(b"still here")
    assert read_exactly(running, 10) == b"still here"
    running.close()
    assert len(staying.seen("connected")) == 1


def test_a_client_gets_the_port_it_asks_for(world, transport):
    base, target = free_range(10), world.target(echo)
    server = world.server(transport, "--bridge-port-range", f"{base}-{base + 9}", "--allow-client-ports")
    client = services(world, server, [f"pg={target},port={base + 7}", f"web={target}"])
    assert bridge_of(client, "pg")[1] == base + 7
    assert bridge_of(client, "web")[1] != base + 7
    ping(bridge_of(client, "pg"))
    client.kill()
    again = services(world, server, [f"web={target}", f"pg={target},port={base + 7}"], name="again")
    assert bridge_of(again, "pg")[1] == base + 7


REFUSED = {
    "not_allowed_here": ([], 3, "not_allowed", "this server chooses the bridge ports itself"),
    "below_the_range": (["--allow-client-ports"], -1, "not_allowed", "is not among"),
    "above_the_range": (["--allow-client-ports"], 10, "not_allowed", "is not among"),
    "taken": (["--allow-client-ports"], 3, "limit", "is taken"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_port_that_cannot_be_given_costs_that_service_only(world, case):
    flags, offset, code, reason = REFUSED[case]
    base, target = free_range(10), world.target(echo)
    with socket.socket() as other:
        other.bind(("127.0.0.1", base + 3))
        other.listen()
        server = world.server("ws", "--bridge-port-range", f"{base}-{base + 9}", *flags)
        client = services(world, server, [f"web={target}", f"pg={target},port={base + offset}"])
        refused = client.wait_event("service_refused", service="pg", code=code)
        assert reason in refused["reason"]
        ping(bridge_of(client, "web"))
    if code == "limit":  # the port is free now
        assert bridge_of(client, "pg")[1] == base + 3


@pytest.mark.parametrize("offset", [0, 1, 8, 9])
def test_the_ends_of_the_range_are_part_of_it(world, offset):
    base, target = free_range(10), world.target(echo)
    server = world.server("ws", "--bridge-port-range", f"{base}-{base + 9}", "--allow-client-ports")
    client = services(world, server, [f"pg={target},port={base + offset}"])
    assert bridge_of(client, "pg")[1] == base + offset


def test_without_descriptors_a_service_is_refused_and_comes_later(world, transport):
    target = world.target(echo)
    server = world.server(transport)
    first = services(world, server, [f"pg={target}"], client_id="client-b")
    ping(bridge_of(first, "pg"))
    soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    used = max(int(fd) for fd in os.listdir(f"/proc/{server.pid}/fd")) + 1
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 2, hard))  # its connection and one bridge
    second = services(world, server, [f"{name}={target}" for name in ("one", "two", "three")], wait=False)
    refused = second.wait_event("service_refused", service="three", code="limit")
    assert "Too many open files" in refused["reason"]
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (soft, hard))
    for name in ("one", "two", "three"):
        ping(bridge_of(second, name))
    ping(bridge_of(first, "pg"))
    assert not first.seen("disconnected") and not second.seen("disconnected")


def test_a_bridge_resets_while_its_client_is_gone_and_is_freed_by_the_sweep(world):
    target = world.target(echo)
    server = world.server("ws", "--stale-service-age", "1s", "--sweep-interval", "200ms")
    client = services(world, server, [f"pg={target}", f"web={target}"])
    bridges = [bridge_of(client, name) for name in ("pg", "web")]
    client.stop()
    server.wait_event("client_disconnected", client="client-a")
    for bridge in bridges:
        assert is_reset(bridge)
    for bridge in bridges:
        until(lambda: not listens(bridge), f"{bridge} still listens")


@pytest.mark.parametrize("value", ["", "0-10", "10-9", "1", "1-", "-1", "1-65536", "a-b", "1-2-3", "1 - 2", "+1-2",
                                   "99999999999-99999999999"])
def test_a_range_that_is_none_is_a_usage_error(burrow, value):
    done = burrow.run("server", "--plugin", "transport-ws", "--plugin", "auth-none", "--bridge-port-range", value,
                      *(["--allow-client-ports"] if value == "" else []))
    assert done.returncode == 2, done.stderr
    if value == "":  # unset: then a client cannot ask for a port
        assert "--allow-client-ports (BURROW_ALLOW_CLIENT_PORTS): needs --bridge-port-range" in done.stderr
    else:
        assert "--bridge-port-range (BURROW_BRIDGE_PORT_RANGE)" in done.stderr and "expected A-B" in done.stderr

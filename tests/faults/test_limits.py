# SPDX-License-Identifier: Apache-2.0
"""Descriptors and memory that run out: the new is refused, what runs goes on, and all is well again soon."""
import contextlib
import os
import resource
import socket
import threading
import time

from harness.sockets import dial, echo, read_all, read_exactly
from harness.wait import descriptors, until
from many import Many, raise_descriptors

TICK = os.sysconf("SC_CLK_TCK")
DESCRIPTORS, CONNECTIONS = 64, 200
MIB = 1 << 20


def cpu_seconds(process):
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def links(process):
    folder = f"/proc/{process.pid}/fd"
    return sorted(os.readlink(f"{folder}/{name}") for name in os.listdir(folder))


def answers(address, request):
    """True when a new connection gets this far: "echo" through a bridge, "http" at the server's port."""
    with contextlib.suppress(OSError, EOFError), dial(address, 2) as sock:
        if request == "echo":
            sock.sendall(b"there?")
            return read_exactly(sock, 6) == b"there?"
        sock.sendall(b"GET /healthz HTTP/1.0\r\nHost: x\r\n\r\n")
        return b" 200 " in read_all(sock)
    return False


def flood(address):
    """Connections that are begun and not waited for."""
    socks = []
    for _ in range(CONNECTIONS):
        sock = socket.socket()
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.connect(address)
        socks.append(sock)
    return socks


def test_when_descriptors_run_out_accepting_pauses_and_resumes(world, sized, slack, say):
    server, client, bridge = world.tunnel("ws", world.target(echo))
    user = dial(bridge)
    user.sendall(b"running")
    assert read_exactly(user, 7) == b"running"
    before = descriptors(server)  # the user's with them: the kernel accepts before the server does
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    cores, resumed = [], []
    for number in range(sized(50, 4)):
        address = bridge if number % 2 == 0 else server.main
        socks = flood(address)
        until(lambda: descriptors(server) >= DESCRIPTORS - 1, "the descriptors never ran out")
        time.sleep(0.2)  # the turn of the flood itself
        cpu, start = cpu_seconds(server), time.monotonic()
        time.sleep(1)
        cores.append((cpu_seconds(server) - cpu) / (time.monotonic() - start))
        user.sendall(b"running")
        assert read_exactly(user, 7) == b"running", "what runs has to go on"
        for sock in socks:
            sock.close()
        start = time.monotonic()
        until(lambda: answers(bridge, "echo"), "the bridge's listener is lost")
        until(lambda: answers(server.main, "http"), "the server's listener is lost")
        resumed.append(time.monotonic() - start)
    say(f"descriptors: {max(cores) * 100:.1f} % of a core while full, accepting again after "
        f"{max(resumed):.2f} s at most, {int(server.metric('burrow_accept_pauses_total'))} pauses")
    assert sorted(cores)[-1 - len(cores) // 20] <= 0.05 + 1.0 / TICK, cores
    assert max(resumed) <= 1 + slack, resumed
    user.close()
    until(lambda: descriptors(server) <= before - 1, lambda: f"descriptors are left: {links(server)}")
    assert not client.seen("disconnected")


def exchange(users, size):
    """Each user sends bytes that no other has and gets them back."""
    for number, user in enumerate(users):
        data = (b"%07d " % number) * (size // 8)
        threading.Thread(target=user.sendall, args=(data,), daemon=True).start()
        assert read_exactly(user, len(data)) == data, "what runs has to go on"


def test_when_memory_runs_out_the_new_wait_and_the_running_go_on(world, burrow, sized, say):
    raise_descriptors()
    server = world.server("wss", "--plugin", "transport-ws", "--plugin", "auth-none", auth=False)
    target = world.target(echo)
    client = world.client(server, target, token="")
    users = [dial(client.bridge) for _ in range(20)]
    exchange(users, 1 << 20)
    limit = sized(256 * MIB, server.memory_kib("VmSize") * 1024 + 40 * MIB)
    resource.prlimit(server.pid, resource.RLIMIT_AS, (limit, limit))
    many = Many(burrow, server, target, sized(13000, 1600), "--tls-ca", burrow.certificate[0])
    world.processes.append(many)
    server.wait_event("accept_paused", sized(900, 300), reason="Cannot allocate memory")
    for _ in range(sized(20, 5)):
        exchange(users, 1 << 20)
        time.sleep(1)
    fit = len({event["service"] for event in many.told()})
    say(f"memory: {fit} of {many.count} clients fit into {limit >> 20} MiB; {server.memory_kib('VmSize') >> 10} MiB are used")
    assert fit <= many.count // 2, "not twice the load that fits"
    many.stop(60)
    start = time.monotonic()
    late = world.client(server, target, client_id="late", token="")
    say(f"a new client is let in {time.monotonic() - start:.2f} s after the others left")
    with dial(late.bridge) as user:
        exchange([user, *users], 1 << 20)
    for user in users:
        user.close()
    assert not client.seen("disconnected")

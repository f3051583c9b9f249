# SPDX-License-Identifier: Apache-2.0
"""What a service manager such as systemd hears of burrow, and the sockets that it passes."""
import signal
import socket
import sys
import time

import pytest

from harness.burrow import SECRET, clean_environment, split_address
from harness.process import Process
from harness.sockets import echo, read_all
from harness.wait import PATIENCE


class Manager:
    """The reading end of NOTIFY_SOCKET."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("")
        self.socket.settimeout(PATIENCE)
        self.environment = {"NOTIFY_SOCKET": "@" + self.socket.getsockname()[1:].decode()}

    def wait(self, prefix):
        """The next message that begins so; others are passed over."""
        while True:
            message = self.socket.recv(4096).decode()
            if message.startswith(prefix):
                return message

    def close(self):
        self.socket.close()


@pytest.fixture
def manager(world):
    manager = Manager()
    world.closing.append(manager)
    return manager


def test_the_server_is_ready_when_it_listens(world, manager):
    server = world.server(env=manager.environment)
    manager.wait("READY=1")
    server.wait_event("listening")
    assert manager.wait("STATUS=") == "STATUS=0 clients, 0 streams"


def test_the_status_follows_the_clients(world, manager):
    server = world.server(env=manager.environment)
    world.client(server, world.target(echo))
    while manager.wait("STATUS=") != "STATUS=1 clients, 0 streams":
        pass


def test_the_watchdog_is_fed(world, manager):
    world.server(env={**manager.environment, "WATCHDOG_USEC": "300000"})
    for _ in range(3):
        manager.wait("WATCHDOG=1")


def started(world, manager, side):
    """The server, or the client, under the manager, which has heard that it is ready."""
    process = world.server(env=manager.environment if side == "server" else {})
    if side == "client":
        process = world.client(process, world.target(echo), env=manager.environment)
    manager.wait("READY=1")
    return process


@pytest.mark.parametrize("side", ["server", "client"])
def test_the_end_is_announced(world, manager, side):
    process = started(world, manager, side)
    process.signal(signal.SIGTERM)
    manager.wait("STOPPING=1")
    # The end of the test tells all that still run to end, and a second signal is not an orderly end.
    assert process.wait() == 0


@pytest.mark.parametrize("side", ["server", "client"])
def test_a_reload_is_announced_with_its_time(world, manager, side):
    """What Type=notify-reload of systemd 253 asks for: the time lies between the signal and the answer."""
    process = started(world, manager, side)
    before = time.monotonic_ns() // 1000
    process.signal(signal.SIGHUP)
    lines = manager.wait("RELOADING=1").splitlines()
    assert lines[1].startswith("MONOTONIC_USEC=")
    assert before <= int(lines[1].split("=")[1]) <= time.monotonic_ns() // 1000
    manager.wait("READY=1")


# As systemd does it between fork and exec: the sockets from descriptor 3 on, and the pid.
PASS_ON = """
import fcntl, os, sys
fds = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[1].split(",")]
for place, fd in enumerate(fds):
    os.dup2(fd, 3 + place)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


def activated(world, sockets, *flags):
    """A server that is given sockets, {name: socket}."""
    fds = [s.fileno() for s in sockets.values()]
    argv = [sys.executable, "-c", PASS_ON, ",".join(map(str, fds)), world.burrow.binary, "server",
            "--bridge-host", "127.0.0.1", *flags]
    process = Process("server", argv, pass_fds=fds, env=clean_environment(
        BURROW_JWT_HMAC_SECRET=SECRET, LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=":".join(sockets)))
    world.processes.append(process)
    return process


def listening():
    return socket.create_server(("127.0.0.1", 0))


def get(address, path):
    with socket.create_connection(address, PATIENCE) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return read_all(sock)


def test_a_passed_socket_takes_the_place_of_the_address(world):
    with listening() as main, listening() as admin:
        addresses = {"main": main.getsockname(), "admin": admin.getsockname()}
        server = activated(world, {"admin-addr": admin, "server-addr": main}, "--admin-addr", "127.0.0.1:1")
        for role, address in addresses.items():
            told = server.wait_event("listening", role=role)
            assert split_address(told["addr"]) == address
        # Nobody had to bind the privileged port 1.
        assert get(addresses["admin"], "/readyz").startswith(b"HTTP/1.1 200 ")


def test_a_single_passed_socket_needs_no_name(world):
    with listening() as main:
        server = activated(world, {"burrow-server.socket": main})
        told = server.wait_event("listening", role="main")
        assert split_address(told["addr"]) == main.getsockname()


def test_a_connection_that_came_before_the_start_is_served(world):
    with listening() as main:
        with socket.create_connection(main.getsockname(), PATIENCE) as early:
            early.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            activated(world, {"server-addr": main})
            assert b" 200 " in early.recv(4096)


def test_a_passed_descriptor_that_does_not_listen_is_refused(world):
    with socket.socket() as idle:
        server = activated(world, {"server-addr": idle})
        assert server.wait() == 2
        assert "LISTEN_FDS: descriptor 3 (server-addr) is not a listening stream socket" in server.log

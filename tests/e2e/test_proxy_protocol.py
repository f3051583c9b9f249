# SPDX-License-Identifier: Apache-2.0
"""PROXY protocol: the target hears who really connected, before any byte of the user's."""
import socket
import struct

import pytest

from harness.burrow import split_address
from harness.programs import Nginx
from harness.sockets import Target, read_exactly
from harness.wait import PATIENCE

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
SOURCES = ("127.0.0.1", "127.0.0.5", "127.77.0.9")


@pytest.fixture(scope="module")
def nginx(tmp_path_factory, free_port):
    server = Nginx(tmp_path_factory.mktemp("nginx"), free_port(), proxy_protocol=True)
    yield server
    server.stop()


def connect(bridge, source):
    return socket.create_connection(bridge, PATIENCE, source_address=(source, 0))


def read_v1(sock):
    line = b""
    while not line.endswith(b"\r\n"):
        line += read_exactly(sock, 1)
        assert len(line) <= 107
    return line.decode().split()


def read_v2(sock):
    head = read_exactly(sock, 16)
    assert head[:12] == SIGNATURE
    length, = struct.unpack("!H", head[14:])
    return head[12], head[13], read_exactly(sock, length)


def text(address):
    return [address[0], str(address[1])]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_logs_the_true_source(world, transport, nginx, version):
    server = world.server(transport)
    client = world.client(server, f"{nginx},proxy-protocol={version}")
    uri = f"/{transport}-{version}"
    expected = []
    for source in SOURCES * 2:
        with connect(client.bridge, source) as user:
            user.sendall(f"GET {uri} HTTP/1.0\r\n\r\n".encode())
            expected.append(text(user.getsockname()) + text(client.bridge) + [uri])
            while user.recv(65536):
                pass
    assert sorted(nginx.sources(uri, len(expected))) == sorted(expected)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_logs_an_ipv6_source(world, nginx, version):
    server = world.server("ws", host="::1", bridge_host="::1")
    client = world.client(server, f"{nginx},proxy-protocol={version}")
    uri = f"/six-{version}"
    with connect(client.bridge, "::1") as user:
        user.sendall(f"GET {uri} HTTP/1.0\r\n\r\n".encode())
        expected = text(user.getsockname()) + text(client.bridge) + [uri]
        while user.recv(65536):
            pass
    assert nginx.sources(uri, 1) == [expected]


def test_ipv4_to_a_bridge_of_both_families_is_told_as_ipv4(world):
    target = Target()
    world.closing.append(target)
    server = world.server("ws", bridge_host="::")
    client = world.client(server, f"{target},proxy-protocol=v2")
    with connect(("127.0.0.1", client.bridge[1]), "127.0.0.5") as user, target.accept() as sock:
        command, family, addresses = read_v2(sock)
        assert (command, family) == (0x21, 0x11)
        assert addresses == (socket.inet_aton("127.0.0.5") + socket.inet_aton("127.0.0.1") +
                             struct.pack("!HH", user.getsockname()[1], client.bridge[1]))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_header_comes_before_the_users_bytes_and_costs_none(world, transport, version):
    target = Target()
    world.closing.append(target)
    server = world.server(transport)
    client = world.client(server, f"{target},proxy-protocol={version}")
    with connect(client.bridge, "127.0.0.5") as user:
        user.sendall(b"first bytes, sent at once")
        sock = target.accept()
        if version == "v1":
            assert read_v1(sock) == ["PROXY", "TCP4", "127.0.0.5", client.bridge[0],
                                     str(user.getsockname()[1]), str(client.bridge[1])]
        else:
            command, family, addresses = read_v2(sock)
            assert (command, family, len(addresses)) == (0x21, 0x11, 12)
        assert read_exactly(sock, 25) == b"first bytes, sent at once"
        # Much more than any window, both ways, so that a byte miscounted would show.
        bulk = bytes(range(256)) * 4096
        user.settimeout(PATIENCE)
        for _ in range(8):
            user.sendall(bulk)
            assert read_exactly(sock, len(bulk)) == bulk
        sock.sendall(b"answer")
        assert read_exactly(user, 6) == b"answer"
        user.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
        sock.close()
        assert user.recv(1) == b""


def test_the_header_comes_though_the_user_says_nothing(world, transport):
    """A target that speaks first, such as SSH, may wait for the header."""
    def banner(sock):
        assert read_v1(sock)[1] == "TCP4"
        sock.sendall(b"banner\n")

    server = world.server(transport)
    client = world.client(server, f"{world.target(banner)},proxy-protocol=v1")
    with connect(client.bridge, "127.0.0.5") as user:
        assert read_exactly(user, 7) == b"banner\n"


def test_a_unix_target_hears_it_and_other_services_do_not(world, tmp_path):
    path = str(tmp_path / "service")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    listener.settimeout(PATIENCE)
    world.closing.append(listener)
    plain = Target()
    world.closing.append(plain)
    server = world.server("ws")
    client = world.client(server, f"local=unix:{path},proxy-protocol=v2", "--local-target", f"plain={plain}")
    bridges = {name: split_address(client.wait_event("service_ready", service=name)["bridge"])
               for name in ("local", "plain")}
    with connect(bridges["local"], "127.0.0.5") as user:
        sock, _ = listener.accept()
        sock.settimeout(PATIENCE)
        command, family, addresses = read_v2(sock)
        assert (command, family) == (0x21, 0x11)
        assert struct.unpack("!HH", addresses[8:]) == (user.getsockname()[1], bridges["local"][1])
        sock.close()
    with connect(bridges["plain"], "127.0.0.5") as user, plain.accept() as sock:
        user.sendall(b"x")
        assert sock.recv(16) == b"x"

# SPDX-License-Identifier: Apache-2.0
"""The client behind an HTTP proxy: tinyproxy with a user and a password for what must work, a proxy of
the test's own for what proxies get wrong."""
import os
import socket
import threading

import pytest

from harness.process import Process, ProcessError
from harness.sockets import dial, echo, read_exactly

# An address of this machine that is not loopback's, to which no proxy would be asked.
HERE = "0.0.0.0"
PASSWORD = "hush-hush"

TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 600
MaxClients 20
LogLevel Info
BasicAuth user {password}
"""


class Tinyproxy(Process):
    def __init__(self, folder, port):
        conf = os.path.join(str(folder), "tinyproxy.conf")
        with open(conf, "w") as file:
            file.write(TINYPROXY.format(port=port, password=PASSWORD))
        # It writes its log to standard output, which is no concern of a Process.
        super().__init__("tinyproxy", ["sh", "-c", f"exec tinyproxy -d -c {conf} >&2"])
        self.port = port
        self.wait_line("Accepting connections")

    def url(self, user="user", password=PASSWORD):
        return f"http://{user}:{password}@127.0.0.1:{self.port}"


@pytest.fixture
def tinyproxy(world, tmp_path, free_port):
    proxy = Tinyproxy(tmp_path, free_port())
    world.processes.append(proxy)
    return proxy


def variable(transport):
    return "HTTP_PROXY" if transport == "ws" else "HTTPS_PROXY"


def way(server):
    """The server's URL with a host that its certificate has, and the address behind it."""
    return (server.url.replace("127.0.0.1", "localhost"), "--connect-addr", f"{HERE}:{server.main[1]}")


def client_by(world, server, proxy, transport, *flags, wait=True, env=None, target=None):
    url, *addr = way(server)
    return world.client(server, target or "127.0.0.1:9", *addr, *flags, url=url, wait=wait,
                        env={variable(transport): proxy, **(env or {})})


def ping(client, data=b"ping"):
    with dial(client.bridge) as user:
        user.sendall(data)
        assert read_exactly(user, len(data)) == data


def test_a_tunnel_leads_through_a_proxy_with_a_password(world, tinyproxy, transport):
    server = world.server(transport)
    client = client_by(world, server, tinyproxy.url(), transport, target=world.target(echo))
    ping(client, b"x" * 300000)
    connecting = client.wait_event("connecting")
    assert connecting["addr"] == f"127.0.0.1:{tinyproxy.port}" and connecting["proxy"] == "127.0.0.1"
    tinyproxy.wait_line(f"CONNECT {HERE}:{server.main[1]} HTTP/1.1")
    with open(f"/proc/{client.pid}/environ", "rb") as environ:
        assert PASSWORD.encode() not in environ.read()
    assert PASSWORD not in client.log


def test_clear_text_through_a_proxy_warns_though_the_proxy_is_near(world, tinyproxy):
    client = client_by(world, world.server("ws"), tinyproxy.url(), "ws")
    client.wait_event("insecure")


@pytest.mark.parametrize("proxy, text", [
    ("http://user:wrong-hush@127.0.0.1:{port}", "does not accept"),
    ("http://127.0.0.1:{port}", "asks for a user and password"),
])
def test_a_proxy_that_wants_other_credentials_is_told_as_such(world, tinyproxy, proxy, text):
    client = client_by(world, world.server("ws"), proxy.format(port=tinyproxy.port), "ws", wait=False)
    refused = client.wait_event("refused")
    # Some versions answer 401 where the standard has 407.
    assert refused["code"] in ("proxy_407", "proxy_401") and "HTTP_PROXY" in refused["reason"]
    if refused["code"] == "proxy_407":
        assert text in refused["reason"]
    assert "hush" not in client.log


class Proxy:
    """A proxy that answers CONNECT with what the test says: bytes, or a function of the socket."""

    def __init__(self, world, answer):
        self.heads, self.answer = [], answer
        self.target = world.target(self.serve)
        self.url = f"http://user:{PASSWORD}@{self.target}"

    def serve(self, sock):
        head = b""
        while b"\r\n\r\n" not in head:
            part = sock.recv(4096)
            if not part:
                return
            head += part
        self.heads.append(head.decode())
        if isinstance(self.answer, bytes):
            sock.sendall(self.answer)
        else:
            self.answer(sock, head)


def relay(sock, head):
    """A good proxy, which splits its answer's head."""
    host, port = head.split()[1].decode().rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as server:
        for piece in (b"HTTP/1.0 200 Connec", b"tion established\r\nProxy-Agent: x\r", b"\n\r", b"\n"):
            sock.sendall(piece)

        def pump(source, sink):
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        back = threading.Thread(target=pump, args=(server, sock), daemon=True)
        back.start()
        pump(sock, server)
        back.join(10)


def never(sock, head):
    del head
    sock.recv(1)


def endless_head(sock, head):
    del head
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        sock.sendall(b"X: " + b"y" * 1000 + b"\r\n")


def test_what_the_proxy_is_asked(world):
    proxy = Proxy(world, relay)
    server = world.server("ws")
    client = client_by(world, server, proxy.url, "ws", target=world.target(echo))
    ping(client)
    lines = proxy.heads[0].split("\r\n")
    assert lines[0] == f"CONNECT {HERE}:{server.main[1]} HTTP/1.1"  # --connect-addr, not the URL's host
    assert f"Host: {HERE}:{server.main[1]}" in lines
    assert "Proxy-Authorization: Basic dXNlcjpodXNoLWh1c2g=" in lines
    assert "authorization: bearer" not in proxy.heads[0].lower()  # the token is for the server alone


MISBEHAVIOUR = {
    "403": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n", "refused", "proxy_403", "refused CONNECT with 403"),
    "502": (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "refused", "proxy_502", "refused CONNECT with 502"),
    "302": (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "refused", "proxy_302", "with 302"),
    "garbage": (b"SSH-2.0-OpenSSH_9.2\r\n", "disconnected", None, "is not HTTP"),
    "status": (b"HTTP/1.1 2x0 OK\r\n\r\n", "disconnected", None, "is not HTTP"),
    "nothing": (b"", "disconnected", None, "closed the connection without an answer"),
    "half": (b"HTTP/1.1 200 OK\r\nX: y", "disconnected", None, "closed the connection without an answer"),
    "endless": (endless_head, "disconnected", None, "is longer than 16384 bytes"),
    "silence": (never, "disconnected", None, "did not answer CONNECT in time"),
}


@pytest.mark.parametrize("case", MISBEHAVIOUR)
def test_a_proxy_that_misbehaves_is_told_and_tried_again(world, case):
    answer, event, code, text = MISBEHAVIOUR[case]
    proxy = Proxy(world, answer)
    client = client_by(world, world.server("ws"), proxy.url, "ws", "--client-retry-interval", "10ms",
                       "--client-auth-retry-interval", "10ms", wait=False)
    seen = client.wait_event(event)
    assert text in seen["reason"] and seen.get("code") == code
    assert PASSWORD not in client.log and "dXNlcj" not in client.log
    if case != "silence":
        client.wait_event("connecting", after=client.mark())


def test_a_proxy_that_is_not_there_is_named(world):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client = client_by(world, world.server("ws"), "127.0.0.1:%d" % closed.getsockname()[1], "ws", wait=False)
        assert "proxy 127.0.0.1: connect: Connection refused" in client.wait_event("disconnected")["reason"]
    client = client_by(world, world.server("ws"), "no-such-proxy.invalid:3128", "ws", wait=False)
    assert "no-such-proxy.invalid" in client.wait_event("disconnected")["reason"]


@pytest.mark.parametrize("env", [
    {"NO_PROXY": HERE}, {"no_proxy": "0.0.0.0/8"}, {"NO_PROXY": "*"}, {"NO_PROXY": "localhost"},
    {"HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": ""},
])
def test_what_no_proxy_names_is_reached_directly(world, env):
    server = world.server("ws")
    client_by(world, server, "http://127.0.0.1:1", "ws", target=world.target(echo), env=env)


def test_this_machine_is_reached_directly(world):
    server = world.server("ws")
    ping(world.client(server, world.target(echo), env={"HTTP_PROXY": "http://127.0.0.1:1"}))


@pytest.mark.parametrize("value", ["socks5://u:hush@p.test:1", "https://u:hush@p.test", "http://u:hush@p.test:0"])
def test_a_proxy_that_cannot_be_is_refused_at_start(burrow, value):
    for command in (["client"], ["check-config", "client"]):
        done = burrow.run(*command, "--client-id", "c", "--local-target", "127.0.0.1:9", "--server-url",
                          "ws://server.test/ws", env={"HTTP_PROXY": value})
        assert done.returncode == 2, done.stderr
        assert "HTTP_PROXY: " in done.stderr and "http://[USER:PASSWORD@]HOST[:PORT]" in done.stderr
        assert "hush" not in done.stderr


def test_without_a_proxy_variable_nothing_is_asked(world):
    server = world.server("ws")
    url, *addr = way(server)
    client = world.client(server, world.target(echo), *addr, url=url)
    ping(client)
    assert "proxy" not in client.wait_event("connecting")
    with pytest.raises(ProcessError):
        client.wait_event("refused", 0)

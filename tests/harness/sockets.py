# SPDX-License-Identifier: Apache-2.0
"""Small targets and users of a tunnel, for behaviours that no real program shows on demand."""
import contextlib
import socket
import struct
import threading

from harness.wait import PATIENCE


def reset(sock):
    """Closes with a RST instead of a FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_all(sock):
    """Everything up to EOF; a reset raises ConnectionResetError."""
    parts = []
    while True:
        part = sock.recv(1 << 18)
        if not part:
            return b"".join(parts)
        parts.append(part)


def read_exactly(sock, n):
    data = bytearray()
    while len(data) < n:
        part = sock.recv(min(n - len(data), 1 << 18))
        if not part:
            raise EOFError(f"EOF after {len(data)} of {n} bytes")
        data += part
    return bytes(data)


def was_reset(sock, seconds=PATIENCE):
    """True for a RST, False for a clean EOF; data before either is thrown away."""
    sock.settimeout(seconds)
    try:
        read_all(sock)
    except ConnectionResetError:
        return True
    return False


def dial(address, timeout=PATIENCE):
    sock = socket.create_connection(address, timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def is_reset(address, seconds=PATIENCE):
    """True when a new connection ends with a RST, however soon: connect() itself may see it."""
    try:
        sock = dial(address)
    except ConnectionResetError:
        return True
    with sock:
        return was_reset(sock, seconds)


def serves(address):
    """Whether a new connection gets its echo."""
    with contextlib.suppress(OSError, EOFError), dial(address) as sock:
        sock.sendall(b"x")
        return read_exactly(sock, 1) == b"x"
    return False


class Target:
    """A listener whose connections are each handled by `handler(sock)` on a thread of their own;
    without a handler the test takes them with accept()."""

    def __init__(self, handler=None, backlog=128, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, 0))
        self.listener.listen(backlog)
        self.address = self.listener.getsockname()[:2]
        self.handler, self.connections = handler, []
        self._lock, self._ended = threading.Lock(), False
        if handler:
            threading.Thread(target=self._serve, daemon=True).start()

    def __str__(self):
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def accept(self, timeout=PATIENCE):
        self.listener.settimeout(timeout)
        sock, _ = self.listener.accept()
        sock.settimeout(PATIENCE)
        self.connections.append(sock)
        return sock

    def _serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self._lock:
                if self._ended:
                    sock.close()
                    return
                self.connections.append(sock)
            threading.Thread(target=self._handle, args=(sock,), daemon=True).start()

    def _handle(self, sock):
        with contextlib.suppress(OSError, EOFError):
            self.handler(sock)
        with contextlib.suppress(OSError):
            sock.close()

    def close(self):
        with self._lock:
            self._ended = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self.connections:
            with contextlib.suppress(OSError):
                sock.close()


def echo(sock):
    """Sends back what comes, up to EOF."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        data = sock.recv(1 << 16)
        if not data:
            return
        sock.sendall(data)


def answer_after_eof(sock):
    """Reads the whole request first, as a service that needs its end does; then echoes it."""
    sock.sendall(read_all(sock))


_silent = []  # sockets that keep their ports, so that nobody else can listen there


def refused_address():
    """An address of this machine where nothing listens."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    _silent.append(sock)
    return "127.0.0.1:%d" % sock.getsockname()[1]

# SPDX-License-Identifier: Apache-2.0
"""One stream's trouble is its own: the others keep moving and heartbeats stay on time."""
import contextlib
import socket
import threading
import time

from harness.sockets import dial, echo, read_exactly, was_reset

CHUNK = b"isolation" * 1000
HEARTBEATS = ("--heartbeat-interval", "500ms", "--heartbeat-timeout", "4s")


class Blackhole:
    """A target that echoes on its first connections; on one whose first byte is `z` it reads no
    more. After close_door() it accepts nobody, with a backlog that is full: dials hang."""

    def __init__(self, world):
        self.target = world.target()
        self.extra, self.held = [], []
        self.accepting = True
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        self.target.listener.settimeout(0.05)
        while self.accepting:
            try:
                sock, _ = self.target.listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            sock.settimeout(None)
            self.target.connections.append(sock)
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock):
        with contextlib.suppress(OSError):
            if sock.recv(1, socket.MSG_PEEK) == b"z":
                self.held.append(sock)  # open and never read
                return
            echo(sock)
            sock.close()

    def close_door(self):
        """Stops accepting and fills the backlog, until a further connect gets no answer."""
        self.accepting = False
        self.thread.join()
        self.target.listener.listen(0)
        for _ in range(16):
            sock = socket.socket()
            sock.settimeout(0.3)
            self.extra.append(sock)
            try:
                sock.connect(self.target.address)
            except TimeoutError:
                return
        raise AssertionError("the backlog never filled")

    def close(self):
        for sock in self.extra:
            sock.close()


def ping_all(users, data):
    """Sends data on every stream, then reads it back from every one; the seconds it took."""
    start = time.monotonic()
    for user in users:
        user.sendall(data)
    for user in users:
        assert read_exactly(user, len(data)) == data
    return time.monotonic() - start


def stuff(user):
    """Writes until everything on the way is full and stays so."""
    user.settimeout(1)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 1 << 30:
            sent += user.send(b"z" * 65536)
    return sent


def test_ninety_eight_streams_pass_by_a_stalled_and_a_blackholed_one(world, transport):
    hole = Blackhole(world)
    world.closing.append(hole)
    server, client, bridge = world.tunnel(transport, hole.target, *HEARTBEATS)
    with contextlib.ExitStack() as stack:
        def user():
            return stack.enter_context(dial(bridge))

        users = [user() for _ in range(98)]
        ping_all(users, b"first")
        alone = min(ping_all(users, CHUNK) for _ in range(5))

        stalled = user()
        sent = stuff(stalled)
        assert sent < 64 << 20, "nothing held the sender back"
        hole.close_door()
        mark = client.mark(), server.mark()
        blackholed = user()
        blackholed.sendall(b"anybody?")
        dialled = time.monotonic()

        ping_all(users, CHUNK)
        # Its dial takes 5 s; a machine that is so slow says nothing of who waited for whom.
        assert time.monotonic() - dialled > 4 or not client.seen("target_failed", mark[0])
        beside = [ping_all(users, CHUNK) for _ in range(20)]
        assert min(beside) < max(5 * alone, 0.5), (alone, beside)

        # Quiet for longer than the timeout: only heartbeats keep the session, and they must.
        stalled.settimeout(6)
        with contextlib.suppress(TimeoutError):
            stalled.recv(1)
        ping_all(users, b"later")
        assert not client.seen("disconnected", mark[0]) and not server.seen("client_disconnected", mark[1])
        # The dial of the blackholed one ends after 5 s, and as a reset.
        assert was_reset(blackholed)
        ping_all(users, b"last")


def test_a_stalled_reader_gets_its_bytes_when_it_reads_again(world, transport, sized):
    total = sized(64 << 20, 8 << 20)

    def source(sock):
        block = bytes(range(256)) * 256
        for _ in range(total // len(block)):
            sock.sendall(block)

    _, client, bridge = world.tunnel(transport, world.target(source), *HEARTBEATS)
    with dial(bridge) as slow, dial(bridge) as fast:
        fast.settimeout(60)
        assert len(read_exactly(fast, total)) == total
        data = read_exactly(slow, total)
        assert data == bytes(range(256)) * (total // 256)
        assert slow.recv(1) == b""
    assert not client.seen("disconnected")

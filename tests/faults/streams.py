# SPDX-License-Identifier: Apache-2.0
"""Many streams through one bridge, each way of each with a mark of its own in every 32 bytes, so that a byte
in a wrong place is seen. One thread holds both ends: the users' sockets and the target's."""
import contextlib
import selectors
import time

from harness.sockets import dial, read_exactly

RECORD = 32


class End:
    """One socket: what it sends is its mark again and again, what it receives has to be the peer's mark."""

    def __init__(self, sock, sends, expects):
        self.sock, self.sends, self.expects = sock, sends, expects
        self.received, self.closed_at, self.was_reset = 0, None, False

    def check(self, data):
        at = self.received % RECORD
        wanted = (self.expects * ((at + len(data)) // RECORD + 1))[at:at + len(data)]
        assert data == wanted, f"bytes of another stream: {data[:100]!r} instead of {wanted[:100]!r}"
        self.received += len(data)


def mark(session, number, way):
    return b"%-15s%08d%s%8s" % (str(session).encode()[:15], number, way, b"........")


class Streams:
    """session: a number that no other session has; target: without a handler."""

    def __init__(self, network, bridge, target, session, count=50):
        self.users, self.services = [], []
        with network.inside("server"):
            for number in range(count):
                user = dial(bridge)
                up, down = mark(session, number, b"u"), mark(session, number, b"d")
                user.sendall(up)
                self.users.append(End(user, up, down))
        by_mark = {user.sends: user for user in self.users}
        for _ in range(count):
            service = target.accept()
            up = read_exactly(service, RECORD)
            assert up in by_mark, f"a target was reached by {up!r}, which is none of session {session}"
            self.services.append(End(service, by_mark[up].expects, up))
        for end in self.services:
            end.sock.sendall(end.sends)
        for end in self.users:
            end.check(read_exactly(end.sock, RECORD))

    def pour(self, size=16384):
        """As much as goes at once, in both directions of each."""
        for end in self.users + self.services:
            end.sock.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                end.sock.send(end.sends * (size // RECORD))

    def watch(self, ends, seconds):
        """Reads until all of these ends are closed; the time of the last, or None when some still live."""
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            for end in ends:
                if end.closed_at is None:
                    end.sock.setblocking(False)
                    selector.register(end.sock, selectors.EVENT_READ, end)
            while selector.get_map():
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                for key, _ in selector.select(left):
                    if not self._read(key.data):
                        selector.unregister(key.fileobj)
        return max(end.closed_at for end in ends)

    @staticmethod
    def _read(end):
        try:
            data = end.sock.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            data, end.was_reset = b"", True
        if data:
            end.check(data)
            return True
        end.closed_at = time.time()
        return False

    def close(self):
        for end in self.users + self.services:
            end.sock.close()



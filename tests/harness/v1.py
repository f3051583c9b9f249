# SPDX-License-Identifier: Apache-2.0
"""Version 1 of the wire as its documentation has it (docs/wire.md), over Debian's websockets: what the two
peers that the tests play have in common. It is strict: whatever burrow sends that a peer of version 1
need not understand is a Fault."""
import collections
import contextlib
import hashlib
import json
import queue
import socket
import struct
import threading
from concurrent.futures import Future

from websockets.connection import State
from websockets.frames import Opcode

from harness.wait import PATIENCE

HEADER = struct.Struct(">BBQI")
CONTROL, DATA = 1, 2
MAX_DATA = 32768
GO_FRAGMENT = 4096  # the piece in which Burrow 0.5's client sends a message

# type: members that it must have, and those that it may have besides
MEMBERS = {
    "register": ({"client_id", "target"}, {"previous_session_id", "meta"}),
    "register_ack": ({"session_id"}, {"previous_session_id"}),
    "heartbeat": (set(), set()),
    "heartbeat_ack": (set(), set()),
    "open": ({"stream_id", "target"}, set()),
    "open_ack": ({"stream_id"}, set()),
    "close": ({"stream_id"}, set()),
    "error": ({"message"}, {"stream_id"}),
}


def pattern(n, seed=0):
    """n bytes that look random, the same for a seed."""
    return hashlib.shake_256(seed.to_bytes(4, "big")).digest(n)


class Fault(AssertionError):
    """burrow broke a rule of version 1."""


class Closed(Exception):
    """The WebSocket has ended; code is None when there was no Close frame."""

    def __init__(self, code, reason):
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


def frame(kind, stream, payload, length=None):
    return HEADER.pack(1, kind, stream, len(payload) if length is None else length) + payload


def parse(message):
    """(kind, stream, payload) of a message; the payload of a control is its object."""
    if len(message) < HEADER.size:
        raise Fault(f"a message of {len(message)} bytes is no frame")
    version, kind, stream, length = HEADER.unpack_from(message)
    payload = message[HEADER.size:]
    if version != 1 or kind not in (CONTROL, DATA) or length != len(payload):
        raise Fault(f"version {version}, kind {kind}, length {length} of {len(payload)} bytes")
    if kind == DATA:
        if length > MAX_DATA:
            raise Fault(f"{length} bytes of data in one frame")
        return kind, stream, payload
    control = json.loads(payload)
    kind_of = control.get("type")
    if kind_of not in MEMBERS:
        raise Fault(f"a control of version 2: {control}")
    needed, allowed = MEMBERS[kind_of]
    names = set(control) - {"type"}
    if needed - names or names - needed - allowed:
        raise Fault(f"members of {kind_of}: {control}")
    if any(value in ("", 0, None) for value in control.values()):
        raise Fault(f"an empty member is written: {control}")
    return kind, stream, control


class Wire:
    """One WebSocket after its handshake: frames out, frames in, from any thread. A thread of its own writes. Who
    sends waits until that is done, but the thread that reads never does: else two peers that are full of each
    other's data would wait for ever."""

    def __init__(self, sock, connection, fragment=None, text=False):
        self.sock, self.connection, self.fragment, self.text = sock, connection, fragment, text
        self._outbox, self._state = queue.SimpleQueue(), threading.Lock()
        self._reader, self._is_written = None, True  # the thread that reads; another one writes
        self._messages, self._parts = [], None
        self.end = None  # Closed, once it has ended
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()

    # ---- out

    def send_message(self, message):
        """One WebSocket message, in fragments when the peer is one that sends them."""
        self._send(lambda: self._put(message), wait=threading.get_ident() != self._reader)

    def _send(self, put, wait):
        """put() is called by the thread that writes; what the connection wants to send then is sent."""
        sent = Future()
        self._outbox.put((put, sent))
        if not self._is_written:
            self._refuse()
        if wait:
            sent.result()

    def _write(self):
        while self._write_next():
            pass
        self._is_written = False
        self._refuse()

    def _write_next(self):
        """False: nothing can be written any more, or the reader has seen the end."""
        put, sent = self._outbox.get()
        if put is None:
            return False
        try:
            with self._state:
                put()
                parts = self.connection.data_to_send()
        except Exception as error:  # the sender's, who gets it
            sent.set_exception(error)
            return True
        try:
            for part in parts:
                self.sock.sendall(part)
        except OSError as error:
            sent.set_exception(error)
            return False
        sent.set_result(None)
        return True

    def _refuse(self):
        """What came for the thread that writes when it had ended."""
        with contextlib.suppress(queue.Empty):
            while True:
                _, sent = self._outbox.get_nowait()
                if sent:
                    sent.set_exception(BrokenPipeError("the WebSocket has ended"))

    def _put(self, message):
        if self.connection.state is not State.OPEN:
            raise BrokenPipeError("the WebSocket has ended")
        c, size = self.connection, self.fragment or len(message) or 1
        pieces = [message[i:i + size] for i in range(0, len(message), size)] or [b""]
        first = c.send_text if self.text and self._is_text(message) else c.send_binary
        first(pieces[0], fin=len(pieces) == 1)
        for i, piece in enumerate(pieces[1:], 2):
            c.send_continuation(piece, fin=i == len(pieces))

    @staticmethod
    def _is_text(message):
        try:
            return message.decode() is not None
        except UnicodeDecodeError:
            return False

    def data(self, stream, payload):
        for i in range(0, len(payload), MAX_DATA):
            self.send_message(frame(DATA, stream, payload[i:i + MAX_DATA]))

    def control(self, type, header_stream=0, **members):
        """The stream id in the header of a control means nothing."""
        self.send_message(frame(CONTROL, header_stream, json.dumps({"type": type, **members}).encode()))

    def close(self, code=1000):
        if self.end is None:
            self._send(lambda: self.connection.send_close(code), wait=False)

    def cut(self):
        """The connection is lost."""
        self.sock.shutdown(socket.SHUT_RDWR)

    def release(self):
        """Once it has ended: when what answers the end is written, the socket is closed."""
        self._writer.join(5)
        self.sock.close()

    # ---- in

    def receive(self):
        """The next frame; Closed at the end."""
        self._reader = threading.get_ident()
        while not self._messages:
            if self.end:
                self._reader = None
                raise self.end
            self._read()
        return parse(self._messages.pop(0))

    def _read(self):
        try:
            data = self.sock.recv(1 << 18)
        except OSError:
            data = b""
        with self._state:
            if data:
                self.connection.receive_data(data)
            else:
                self.connection.receive_eof()
            events = self.connection.events_received()
        for event in events:
            self._event(event)
        if not data and not self.end:
            self.end = Closed(None, "lost")
        self._send(lambda: None, wait=False)  # what answers what came
        if self.end:
            self._outbox.put((None, None))

    def _event(self, event):
        opcode = getattr(event, "opcode", None)
        if opcode is Opcode.CLOSE:
            code = struct.unpack(">H", event.data[:2])[0] if event.data else 1005
            self.end = Closed(code, event.data[2:].decode())
        elif opcode in (Opcode.BINARY, Opcode.CONT):
            self._parts = ([] if opcode is Opcode.BINARY else self._parts) + [event.data]
            if event.fin:
                self._messages.append(b"".join(self._parts))
        elif opcode is Opcode.TEXT:
            raise Fault("burrow sent a text message")


class Stream:
    """What the other side sends on a stream waits here, a few frames of it, for who takes it."""

    FRAMES = 64

    def __init__(self, id):
        self.id = id
        self.acked, self.closed = threading.Event(), threading.Event()
        self.error = None  # message of an error for it
        self._frames, self._news, self._rest = collections.deque(), threading.Condition(), b""

    def put(self, data):
        """Waits for room: then the connection is not read, and nothing is dropped."""
        with self._news:
            self._news.wait_for(lambda: len(self._frames) < self.FRAMES)
            self._frames.append(data)
            self._news.notify_all()

    def finish(self):
        with self._news:
            self.closed.set()
            self.acked.set()
            self._news.notify_all()

    def recv(self, timeout=PATIENCE):
        """Some bytes, b"" at the end."""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        with self._news:
            if not self._news.wait_for(lambda: self._frames or self.closed.is_set(), timeout):
                raise TimeoutError(f"nothing on stream {self.id} for {timeout} s")
            data = self._frames.popleft() if self._frames else b""
            self._news.notify_all()
        return data

    def recv_exactly(self, n, timeout=PATIENCE):
        parts, have = [], 0
        while have < n:
            part = self.recv(timeout)
            if not part:
                raise EOFError(f"the stream ended after {have} of {n} bytes")
            parts.append(part)
            have += len(part)
        data = b"".join(parts)
        self._rest = data[n:]
        return data[:n]


class Peer:
    """A thread that reads frames and hands them to on_control and on_data; what went wrong there is kept
    for check()."""

    def __init__(self):
        self.streams, self.faults = {}, []
        self.controls, self._news = [], threading.Condition()  # every control that came, in order
        self.ended = threading.Event()

    def begin(self, wire):
        self.wire = wire
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        try:
            while True:
                kind, stream, payload = self.wire.receive()
                if kind == DATA:
                    self.on_data(stream, payload)
                    continue
                with self._news:
                    self.controls.append(payload)
                    self._news.notify_all()
                self.on_control(payload)
        except Closed:
            pass
        except OSError:
            pass
        except Exception as error:  # a Fault, or a fault of the test's own
            self.faults.append(repr(error))
        self.ended.set()
        with self._news:
            self._news.notify_all()
        for stream in list(self.streams.values()):
            stream.finish()

    def wait_control(self, type, seconds=PATIENCE, count=1, **members):
        """The count-th control of this type and these members."""
        def found():
            return [c for c in self.controls if c["type"] == type
                    and all(c.get(k) == v for k, v in members.items())]
        with self._news:
            if not self._news.wait_for(lambda: len(found()) >= count or self.ended.is_set(), seconds) \
                    or len(found()) < count:
                raise AssertionError(f"no {type} {members}: {self.controls} {self.wire.end} {self.faults}")
            return found()[count - 1]

    def beat(self):
        """A heartbeat and its answer: what burrow had to do or to say before, it has."""
        count = sum(c["type"] == "heartbeat_ack" for c in self.controls)
        self.wire.control("heartbeat")
        self.wait_control("heartbeat_ack", count=count + 1)

    def wait_end(self, seconds=PATIENCE):
        """The Close code with which burrow ended the connection, None when it was cut."""
        assert self.ended.wait(seconds), "the connection stands"
        return self.wire.end.code if self.wire.end else None

    def check(self):
        assert not self.faults, self.faults

    def close(self):
        self.wire.close()
        if not self.ended.wait(5):
            self.wire.cut()
        self.wire.release()
        self.check()

# SPDX-License-Identifier: Apache-2.0
"""A server of version 1, as Burrow 0.5's behaves, without its bridge listeners: the test itself is the user
and opens the streams. Only heartbeats and their answers count as life; it drops nothing."""
import itertools
import socket
import threading
import time

from websockets.server import ServerConnection

from harness.v1 import Fault, Peer, Stream, Wire
from harness.wait import PATIENCE


class Session(Peer):
    """One client's connection, from register on."""

    def __init__(self, server, wire):
        super().__init__()
        self.server = server
        self.register, self.session_id = None, None
        self.registered = threading.Event()
        self.heard = time.monotonic()
        self.begin(wire)
        threading.Thread(target=self._heartbeats, daemon=True).start()

    def _heartbeats(self):
        self.registered.wait()
        while not self.ended.wait(self.server.interval):
            if time.monotonic() - self.heard > self.server.timeout:
                self.faults.append(f"the client was silent for {self.server.timeout} s")
                self.wire.cut()
                return
            if self.server.beats:
                try:
                    self.wire.control("heartbeat")
                except OSError:
                    return

    def on_control(self, c):
        kind = c["type"]
        if kind == "register":
            if self.register:
                raise Fault("a second register")
            self.register = c
            self.server.admit(self)
        elif not self.registered.is_set():
            raise Fault(f"{c} before register_ack")
        elif kind in ("heartbeat", "heartbeat_ack"):
            self.heard = time.monotonic()
            if kind == "heartbeat":
                self.wire.control("heartbeat_ack")
        elif kind in ("open_ack", "close", "error"):
            stream = self.streams.get(c.get("stream_id"))
            if stream is None:
                raise Fault(f"{c} for a stream that was never opened")
            if kind == "open_ack":
                stream.acked.set()
            else:
                stream.error = c.get("message")
                stream.finish()
        else:
            raise Fault(f"a client does not send {c}")

    def on_data(self, id, data):
        if id not in self.streams:
            raise Fault(f"data for stream {id}, which was never opened")
        if not self.streams[id].closed.is_set():
            self.streams[id].put(data)

    # ---- the user

    def open(self, target=None, acked=True):
        """A new stream; waits for its open_ack, or error, unless told otherwise."""
        stream = Stream(next(self.server.ids))
        self.streams[stream.id] = stream
        self.wire.control("open", stream_id=stream.id, target=target or self.register["target"])
        if acked:
            assert stream.acked.wait(PATIENCE), f"no open_ack for stream {stream.id}: {self.controls}"
        return stream

    def send(self, stream, data):
        self.wire.data(stream.id, data)

    def close_stream(self, stream):
        self.wire.control("close", stream_id=stream.id)


class V1Server:
    """Listens; clients appear in sessions. beats False: it sends no heartbeats of its own."""

    def __init__(self, interval=10.0, timeout=30.0, beats=True, fragment=None, ack=True, refusal=None,
                 text=False):
        self.interval, self.timeout, self.beats = interval, timeout, beats
        self.fragment, self.ack, self.refusal, self.text = fragment, ack, refusal, text
        self.sessions, self._news = [], threading.Condition()
        self.ids = itertools.count(1)  # rising over all sessions of the client
        self.headers = None            # of the last upgrade
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "ws://127.0.0.1:%d/ws" % self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._upgrade, args=(sock,), daemon=True).start()

    def _upgrade(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = ServerConnection(max_size=None)
        requests = []
        while not requests:
            data = sock.recv(65536)
            if not data:
                return
            connection.receive_data(data)
            requests = connection.events_received()
        self.headers = requests[0].headers
        connection.send_response(connection.accept(requests[0]))
        for part in connection.data_to_send():
            sock.sendall(part)
        Session(self, Wire(sock, connection, self.fragment, self.text))

    def admit(self, session):
        """Answers a register: the newer connection wins."""
        if self.refusal:
            session.wire.control("error", message=self.refusal)
            session.wire.close(1011)
            return
        if not self.ack:
            return
        old = self.sessions[-1] if self.sessions else None
        session.session_id = f"sess-{len(self.sessions) + 1}"
        previous = session.register.get("previous_session_id")
        session.heard = time.monotonic()
        session.registered.set()
        session.wire.control("register_ack", session_id=session.session_id,
                             **({"previous_session_id": previous} if previous else {}))
        if old and not old.ended.is_set():
            old.wire.close(1012)
        with self._news:
            self.sessions.append(session)
            self._news.notify_all()

    def session(self, number=1, seconds=PATIENCE):
        """The number-th session that was registered."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.sessions) >= number, seconds), "no client came"
            return self.sessions[number - 1]

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for session in self.sessions:
            session.close()

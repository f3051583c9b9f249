# SPDX-License-Identifier: Apache-2.0
"""A client of version 1, as Burrow 0.5's behaves: one target, pieces of 4096 bytes, data perhaps before
open_ack, and never back after a Close with 1000 or 1001. Only that it drops nothing is better."""
import socket
import threading
from urllib.parse import urlsplit

from websockets.client import ClientConnection
from websockets.datastructures import Headers
from websockets.uri import parse_uri

from harness.v1 import Fault, GO_FRAGMENT, MAX_DATA, Peer, Stream, Wire
from harness.wait import PATIENCE


class Refused(Exception):
    """The upgrade was refused."""


def connect(url, token, fragment=GO_FRAGMENT, text=False):
    """A Wire after the WebSocket's handshake."""
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname, parts.port), PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = ClientConnection(parse_uri(url), max_size=None)
    request = connection.connect()
    request.headers = Headers([*request.headers.raw_items(), ("Authorization", f"Bearer {token}")])
    connection.send_request(request)
    for part in connection.data_to_send():
        sock.sendall(part)
    while not connection.events_received():
        data = sock.recv(65536)
        if not data:
            raise Refused("the server hung up")
        connection.receive_data(data)
        if connection.handshake_exc:
            raise Refused(str(connection.handshake_exc))
    sock.settimeout(None)
    return Wire(sock, connection, fragment, text)


class V1Client(Peer):
    """Registers; joins each stream to its target, a (host, port). target None: streams are left to the test,
    which finds them in opened and answers by hand."""

    def __init__(self, url, token, client_id, target, previous=None, meta=None, **options):
        super().__init__()
        self.client_id, self.target = client_id, target
        self.target_text = "%s:%d" % target if target else "127.0.0.1:9"
        self.opened, self._arrived = [], threading.Condition()
        self.session_id = None
        wire = connect(url, token, **options)
        more = {"previous_session_id": previous} if previous else {}
        if meta is not None:
            more["meta"] = meta
        wire.control("register", client_id=client_id, target=self.target_text, **more)
        self._previous = previous
        self._acked, self._last_id = False, 0
        self.begin(wire)

    def ready(self, seconds=PATIENCE):
        ack = self.wait_control("register_ack", seconds)
        self.session_id = ack["session_id"]
        return self

    # ---- what comes

    def on_control(self, c):
        if c["type"] == "register_ack":
            if self._acked or not c["session_id"].startswith("sess-"):
                raise Fault(f"{c}")
            if c.get("previous_session_id") != self._previous:
                raise Fault(f"previous_session_id is not echoed: {c}")
            self._acked = True
        elif c["type"] == "error" and "stream_id" not in c:
            pass  # the end follows
        elif not self._acked:
            raise Fault(f"{c} before register_ack")
        elif c["type"] == "heartbeat":
            self.wire.control("heartbeat_ack")
        elif c["type"] == "open":
            self.on_open(c)
        elif c["type"] == "close":
            self.on_close(c["stream_id"])
        elif c["type"] not in ("heartbeat_ack",):
            raise Fault(f"a server does not send {c}")

    def on_open(self, c):
        id = c["stream_id"]
        if id <= self._last_id:
            raise Fault(f"stream {id} after stream {self._last_id}")
        if c["target"] != self.target_text:
            raise Fault(f"{c} names another target than {self.target_text}")
        self._last_id = id
        stream = self.streams[id] = Stream(id)
        with self._arrived:
            self.opened.append(stream)
            self._arrived.notify_all()
        if self.target:
            threading.Thread(target=self.join, args=(stream,), daemon=True).start()

    def on_data(self, id, data):
        stream = self.streams.get(id)
        if stream is None:
            raise Fault(f"data for stream {id}, which was never opened")
        if not stream.acked.is_set():
            raise Fault(f"data for stream {id} before its open_ack")
        if not stream.closed.is_set():
            stream.put(data)

    def on_close(self, id):
        if id not in self.streams:
            raise Fault(f"close of stream {id}, which was never opened")
        self.streams[id].finish()

    # ---- streams

    def accept(self, seconds=PATIENCE):
        """The next stream that the server has opened."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.opened, seconds), self.controls
            return self.opened.pop(0)

    def acknowledge(self, stream):
        stream.acked.set()
        self.wire.control("open_ack", stream_id=stream.id)

    def join(self, stream):
        """As Burrow 0.5 does it: dial, pump, and only then open_ack; the target's end is a close."""
        try:
            sock = socket.create_connection(self.target, 5)
        except OSError as error:
            stream.finish()
            self.wire.control("error", stream_id=stream.id, message=str(error))
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(None)
        up = threading.Thread(target=self.pump_up, args=(stream, sock), daemon=True)
        up.start()
        try:
            self.acknowledge(stream)
            while data := stream.recv(timeout=None):
                sock.sendall(data)
        except OSError:
            pass
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        up.join()
        sock.close()

    def pump_up(self, stream, sock):
        try:
            while data := sock.recv(MAX_DATA):
                self.wire.data(stream.id, data)
        except OSError:
            pass
        try:
            if not stream.closed.is_set():
                self.wire.control("close", stream_id=stream.id)
            self.wire.control("close", stream_id=stream.id)  # it comes twice now and then
        except OSError:
            pass

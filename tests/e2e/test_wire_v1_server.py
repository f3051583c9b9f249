# SPDX-License-Identifier: Apache-2.0
"""burrow's server with a client of version 1 of the wire (harness/v1_client.py), from register to close."""
import contextlib
import socket
import ssl
import threading
import time

import pytest

from harness.sockets import (dial, echo, is_reset, read_all, read_exactly, refused_address, reset, was_reset)
from harness.burrow import split_address
from harness.v1 import CONTROL, DATA, MAX_DATA, frame, pattern
from harness.v1_client import Refused, V1Client, connect
from harness.wait import until

MIB = 1 << 20
HEARTBEATS = ("--heartbeat-interval", "500ms", "--heartbeat-timeout", "6s")
NEVER_AGAIN = (1000, 1001)  # codes on which a client of version 1 leaves for good


class Tunnel:
    """A server, a client of version 1, and the bridge to it."""

    def __init__(self, world, target, *flags, client_id="client-a", **options):
        self.world, self.client_id = world, client_id
        self.server = world.server("ws", *flags)
        self.token = world.burrow.mint(client_id)
        self.client = self.join(target, **options)
        listening = self.server.wait_event("bridge_listening", client=client_id)
        self.bridge = split_address(listening["addr"])

    def join(self, target, **options):
        client = V1Client(self.server.url, self.token, self.client_id, target, **options)
        self.world.closing.append(client)
        return client.ready()


def exchange(user, data, slow=None):
    """Sends data and reads as many bytes at the same time; what came back."""
    back = bytearray()

    def read():
        while len(back) < len(data):
            if slow:
                time.sleep(slow)
            part = user.recv(1 << 18)
            if not part:
                return
            back.extend(part)
    user.settimeout(60)
    reader = threading.Thread(target=read)
    reader.start()
    user.sendall(data)
    reader.join(90)
    assert not reader.is_alive()
    return bytes(back)


def test_a_client_registers_and_its_users_are_served(world):
    tunnel = Tunnel(world, world.target(echo).address)
    assert tunnel.client.session_id == "sess-1"
    for i in range(1, 4):
        with dial(tunnel.bridge) as user:
            user.sendall(b"hello")
            assert read_exactly(user, 5) == b"hello"
        tunnel.client.wait_control("close", 20, stream_id=i)  # within seconds: nothing is owed
    assert [c["stream_id"] for c in tunnel.client.controls if c["type"] == "open"] == [1, 2, 3]
    connected = tunnel.server.wait_event("client_connected", client="client-a")
    assert connected["protocol"] == "1"


def test_the_bridge_is_found_by_the_api_and_streams_are_counted(world):
    tunnel = Tunnel(world, world.target(echo).address)
    with dial(tunnel.server.web) as http:
        http.sendall(b"GET /api/clients/client-a/bridge-addr HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_all(http).decode().endswith("\r\n\r\n%s:%d" % tunnel.bridge)
    with dial(tunnel.bridge) as user:
        user.sendall(b"x")
        assert read_exactly(user, 1) == b"x"
        assert tunnel.server.metric("burrow_streams_active") == 1
    tunnel.client.wait_control("close", stream_id=1)
    until(lambda: tunnel.server.metric("burrow_streams_active") == 0)


@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
@pytest.mark.parametrize("fragment", [4096, None, 1])
def test_messages_come_in_any_fragments(world, fragment, text):
    """And as text, where their bytes are UTF-8."""
    tunnel = Tunnel(world, world.target(echo).address, fragment=fragment, text=text)
    with dial(tunnel.bridge) as user:
        data = b"printable " * (500 if fragment == 1 else 20000)
        assert exchange(user, data) == data


def test_64_mib_both_ways_at_once(world, sized):
    """With heartbeats amid the data, and their answers."""
    tunnel = Tunnel(world, world.target(echo).address, "--heartbeat-interval", "200ms")
    with dial(tunnel.bridge) as user:
        data = pattern(sized(64 * MIB, 8 * MIB))
        assert exchange(user, data) == data


def test_64_mib_in_lockstep(world, sized):
    """Each piece is awaited before the next is sent."""
    tunnel = Tunnel(world, world.target(echo).address)
    piece = pattern(256 * 1024)
    with dial(tunnel.bridge) as user:
        user.settimeout(60)
        for _ in range(sized(64 * MIB, 4 * MIB) // len(piece)):
            user.sendall(piece)
            assert read_exactly(user, len(piece)) == piece


def test_fifty_streams_at_once(world, sized):
    tunnel = Tunnel(world, world.target(echo).address)
    failures = []

    def one(i):
        try:
            with dial(tunnel.bridge) as user:
                data = pattern(sized(MIB, MIB // 8) + i, i)
                assert exchange(user, data) == data
        except Exception as error:
            failures.append(repr(error))
    threads = [threading.Thread(target=one, args=(i,)) for i in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures
    opened = [c["stream_id"] for c in tunnel.client.controls if c["type"] == "open"]
    assert sorted(opened) == list(range(1, 51))


def source(n):
    def send(sock):
        sock.sendall(pattern(n))
        with contextlib.suppress(OSError):
            sock.recv(1)
    return send


def test_a_slow_reader_gets_every_byte(world, sized):
    """At 2 MB/s, which is far below what the connection brings."""
    n = sized(16 * MIB, 4 * MIB)
    tunnel = Tunnel(world, world.target(source(n)).address, *HEARTBEATS)
    with dial(tunnel.bridge) as user:
        user.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        user.settimeout(60)
        got = bytearray()
        while len(got) < n:
            time.sleep(0.02)
            part = user.recv(40960)
            assert part
            got += part
    assert bytes(got) == pattern(n)
    assert not tunnel.server.seen("client_disconnected") and not tunnel.server.seen("stream_stalled")


def test_who_reads_nothing_loses_that_stream_alone(world, sized):
    """The others wait for at most half the heartbeat timeout; then they go on, and the session has lived."""
    n = sized(64 * MIB, 16 * MIB)
    tunnel = Tunnel(world, world.target(source(n)).address, *HEARTBEATS)
    with dial(tunnel.bridge) as stuck:
        tunnel.client.wait_control("open", stream_id=1)
        tunnel.server.wait_event("stream_stalled", 40, client="client-a", stream=1)
        tunnel.client.wait_control("close", stream_id=1)
        with dial(tunnel.bridge) as user:
            user.settimeout(60)
            assert read_exactly(user, n) == pattern(n)
        assert was_reset(stuck), "a stream that was cut ended as if it were whole"
    assert not tunnel.server.seen("client_disconnected")
    assert tunnel.server.metric("burrow_streams_stalled_total") == 1


def test_a_banner_before_open_ack_reaches_the_user(world):
    tunnel = Tunnel(world, None)
    with dial(tunnel.bridge) as user:
        user.sendall(b"EHLO")
        stream = tunnel.client.accept()
        tunnel.client.wire.data(stream.id, b"220 ready")
        assert read_exactly(user, 9) == b"220 ready"
        tunnel.client.beat()  # nothing of the user's may have come: on_data would find it
        tunnel.client.check()
        tunnel.client.acknowledge(stream)
        assert stream.recv_exactly(4) == b"EHLO"
        tunnel.client.wire.control("open_ack", stream_id=stream.id)  # once more does no harm
        tunnel.client.wire.data(stream.id, b"250")
        assert read_exactly(user, 3) == b"250"


def test_a_refused_target_is_a_reset(world):
    host, port = refused_address().split(":")
    tunnel = Tunnel(world, (host, int(port)))
    assert is_reset(tunnel.bridge)
    tunnel.client.check()


def test_a_close_is_answered_and_may_come_twice(world):
    tunnel = Tunnel(world, None)
    with dial(tunnel.bridge) as user:
        stream = tunnel.client.accept()
        tunnel.client.acknowledge(stream)
        tunnel.client.wire.data(stream.id, b"last words")
        tunnel.client.wire.control("close", stream_id=stream.id)
        tunnel.client.wire.control("close", stream_id=stream.id)
        assert read_all(user) == b"last words"
        tunnel.client.wait_control("close", stream_id=stream.id)
    with dial(tunnel.bridge) as user:  # the session has not minded
        tunnel.client.acknowledge(tunnel.client.accept())
    assert len([c for c in tunnel.client.controls if c["type"] == "close" and c["stream_id"] == 1]) == 1


def test_frames_for_unknown_streams_are_ignored(world):
    tunnel = Tunnel(world, world.target(echo).address)
    wire = tunnel.client.wire
    for stream in (0, 1, 99, 2**63, 2**64 - 1):
        wire.data(stream, b"nobody's")
    for stream in (0, 7, 2**62):
        wire.control("close", stream_id=stream)
        wire.control("open_ack", stream_id=stream)
    wire.control("error", stream_id=7, message="nobody's")
    wire.control("error", message="of no stream")
    wire.control("close")
    wire.control("weather", stream_id=1)
    wire.control("open", stream_id=2, target="127.0.0.1:1")  # a client does not open
    wire.control("register", client_id="client-a", target="again")
    wire.control("heartbeat")
    tunnel.client.wait_control("heartbeat_ack")  # all has been read
    with dial(tunnel.bridge) as user:
        user.sendall(b"still here")
        assert read_exactly(user, 10) == b"still here"


def test_the_stream_id_of_a_control_is_that_of_its_json(world):
    tunnel = Tunnel(world, None)
    with dial(tunnel.bridge) as first, dial(tunnel.bridge) as second:
        one, two = tunnel.client.accept(), tunnel.client.accept()
        for stream in (one, two):
            stream.acked.set()
            tunnel.client.wire.control("open_ack", header_stream=77, stream_id=stream.id)
        tunnel.client.wire.control("close", header_stream=two.id, stream_id=one.id)
        assert first.recv(1) == b""
        tunnel.client.wire.data(two.id, b"alive")
        assert read_exactly(second, 5) == b"alive"


def test_heartbeats_are_answered_at_once_and_sent_in_each_interval(world):
    tunnel = Tunnel(world, None, *HEARTBEATS)
    for i in range(1, 6):
        tunnel.client.wire.control("heartbeat")
        tunnel.client.wait_control("heartbeat_ack", count=i)
    tunnel.client.wait_control("heartbeat", 20, count=4)


def test_a_silent_client_is_given_up(world):
    tunnel = Tunnel(world, None, *HEARTBEATS)
    tunnel.client.on_control = lambda control: None  # answers nothing any more
    user = dial(tunnel.bridge)
    assert was_reset(user)
    tunnel.server.wait_event("client_disconnected", client="client-a")
    assert tunnel.client.wait_end() not in NEVER_AGAIN


def test_a_response_follows_the_users_eof(world):
    """Half-close: the close is held back until the answer is whole."""
    tunnel = Tunnel(world, None)
    answer = pattern(4 * MIB)
    with dial(tunnel.bridge) as user:
        user.sendall(b"request")
        user.shutdown(socket.SHUT_WR)
        stream = tunnel.client.accept()
        tunnel.client.acknowledge(stream)
        assert stream.recv_exactly(7) == b"request"
        assert not stream.closed.wait(7), "longer than for a user to whom nothing is owed"
        sender = threading.Thread(target=tunnel.client.wire.data, args=(stream.id, answer))
        sender.start()
        assert read_exactly(user, len(answer)) == answer
        sender.join()
        tunnel.client.wire.control("close", stream_id=stream.id)
        assert user.recv(1) == b""
        tunnel.client.wait_control("close", stream_id=stream.id)


def test_the_targets_eof_reaches_the_user_though_the_user_goes_on(world):
    """What the user still sends goes nowhere, but costs it nothing of the answer."""
    tunnel = Tunnel(world, None)
    answer = pattern(MIB // 2)
    with dial(tunnel.bridge) as user:
        stream = tunnel.client.accept()
        tunnel.client.acknowledge(stream)
        tunnel.client.wire.data(stream.id, answer)
        tunnel.client.wire.control("close", stream_id=stream.id)
        tunnel.client.wait_control("close", stream_id=stream.id)
        user.sendall(b"too late")
        tunnel.client.beat()
        assert read_all(user) == answer


def test_the_users_reset_closes_the_stream(world):
    target = world.target()
    tunnel = Tunnel(world, target.address)
    user = dial(tunnel.bridge)
    user.sendall(b"x")
    service = target.accept()
    assert read_exactly(service, 1) == b"x"
    reset(user)
    tunnel.client.wait_control("close", stream_id=1)
    assert read_all(service) == b""


def test_a_lost_client_leaves_no_user_hanging(world):
    tunnel = Tunnel(world, None)
    user = dial(tunnel.bridge)
    tunnel.client.acknowledge(tunnel.client.accept())
    tunnel.client.wire.cut()
    assert was_reset(user)
    tunnel.server.wait_event("client_disconnected", client="client-a")
    assert is_reset(tunnel.bridge)


def test_a_client_comes_back_and_its_bridge_and_ids_go_on(world):
    target = world.target(echo)
    tunnel = Tunnel(world, target.address)
    with dial(tunnel.bridge) as user:
        user.sendall(b"x")
        assert read_exactly(user, 1) == b"x"
    tunnel.client.close()
    tunnel.server.wait_event("client_disconnected", client="client-a")
    again = tunnel.join(target.address, previous=tunnel.client.session_id)
    assert again.session_id == "sess-2"
    with dial(tunnel.bridge) as user:
        user.sendall(b"y")
        assert read_exactly(user, 1) == b"y"
    assert again.wait_control("open")["stream_id"] > 1, "ids rise over all sessions of a client"


def test_the_newer_connection_wins(world):
    tunnel = Tunnel(world, None)
    user = dial(tunnel.bridge)
    tunnel.client.acknowledge(tunnel.client.accept())
    newer = tunnel.join(world.target(echo).address)
    assert tunnel.client.wait_end() == 1012
    assert was_reset(user), "a stream of the old session ended as if it were whole"
    with dial(tunnel.bridge) as user:
        user.sendall(b"new")
        assert read_exactly(user, 3) == b"new"
    assert not newer.ended.is_set()


def test_two_clients_that_take_the_id_from_each_other_are_logged_and_counted(world):
    """More often than version 2 may; who names the session that the server has is the same process again."""
    tunnel = Tunnel(world, None)
    newer = [tunnel.join(None) for _ in range(6)]
    back = tunnel.join(None, previous=newer[-1].session_id)
    assert newer[-1].wait_end() == 1012
    taken = tunnel.server.wait_events("client_takeover", 6)
    assert [event["takeovers"] for event in taken] == ["1", "2", "3", "4", "5", "6"]
    assert tunnel.server.metric('burrow_takeovers_total{result="taken"}') == 6
    assert tunnel.server.metric('burrow_takeovers_total{result="refused"}') == 0
    assert not back.ended.is_set()


def test_version_2_takes_over_from_version_1_and_back(world):
    target = world.target(echo)
    tunnel = Tunnel(world, target.address)
    client = world.client(tunnel.server, target)
    assert tunnel.client.wait_end() == 1012
    assert client.bridge == tunnel.bridge, "the bridge keeps its port when the binary is swapped"
    tunnel.join(target.address)
    client.wait_event("refused", code="superseded")
    with dial(tunnel.bridge) as user:
        user.sendall(b"v1")
        assert read_exactly(user, 2) == b"v1"


def test_a_client_of_version_1_wins_however_often_the_id_changes_hands(world):
    """While one process of each version runs, the one of version 2 is who waits."""
    target = world.target(echo)
    tunnel = Tunnel(world, target.address)
    for i in range(2):
        client = world.client(tunnel.server, target, name=f"client {i}")
        tunnel.join(target.address)
        client.wait_event("refused", code="superseded")
        client.stop()
    late = world.client(tunnel.server, target, name="late", wait=False)
    late.wait_event("refused", code="superseded")
    tunnel.server.wait_event("register_refused", code="superseded")
    newest = tunnel.join(target.address)
    with dial(tunnel.bridge) as user:
        user.sendall(b"v1")
        assert read_exactly(user, 2) == b"v1"
    assert not newest.ended.is_set()


def test_another_name_than_the_tokens_is_refused(world):
    server = world.server("ws")
    client = V1Client(server.url, world.burrow.mint("client-a"), "client-b", None)
    assert client.wait_control("error")["message"] == "client identity mismatch"
    assert client.wait_end() in (1011, 1012)
    client.close()


def test_without_a_token_there_is_no_upgrade(world):
    server = world.server("ws")
    with pytest.raises(Refused, match="401"):
        connect(server.url, "nonsense")


def test_before_register_nothing_else_counts(world):
    server = world.server("ws")
    token = world.burrow.mint("client-a")
    wire = connect(server.url, token)
    wire.control("heartbeat")
    wire.data(1, b"early")
    wire.control("open_ack", stream_id=1)
    wire.control("register", client_id="client-a", target="127.0.0.1:9", meta={"region": "home"})
    kind, _, ack = wire.receive()
    assert kind == CONTROL and ack == {"type": "register_ack", "session_id": "sess-1"}
    wire.close()


@pytest.mark.parametrize("message", [
    frame(DATA, 1, b"four", length=3),
    frame(DATA, 1, b"four", length=5),
    frame(DATA, 1, b"four") + b"x",
    frame(DATA, 1, b"four") * 2,
    frame(DATA, 1, bytes(MAX_DATA + 1)),
    b"\x01\x02short",
    b"",
    frame(9, 1, b"four") + frame(DATA, 1, b"four"),
    b"\x02" + frame(DATA, 1, b"four")[1:],
    frame(CONTROL, 0, b"{}"),
    frame(CONTROL, 0, b"no json"),
], ids=["longer", "shorter", "trailing", "two", "too large", "cut", "empty", "unknown and another",
        "version 2", "no type", "no json"])
def test_a_message_that_is_no_frame_ends_the_connection(world, message):
    tunnel = Tunnel(world, None)
    tunnel.client.wire.send_message(message)
    assert tunnel.client.wait_end() in (1011, 1012)
    tunnel.server.wait_event("client_disconnected", client="client-a")


def test_a_server_that_stops_says_come_back(world):
    tunnel = Tunnel(world, None)
    user = dial(tunnel.bridge)
    tunnel.client.acknowledge(tunnel.client.accept())
    tunnel.server.stop()
    assert tunnel.client.wait_end() == 1012
    with contextlib.suppress(ConnectionResetError):
        user.recv(1)
    user.close()


def test_tls_needs_version_2(world):
    """Raw TLS keeps no messages: a version 1 register is refused in words."""
    server = world.server("tls")
    context = ssl.create_default_context(cafile=world.burrow.certificate[0])
    context.set_alpn_protocols(["burrow/2"])
    with context.wrap_socket(dial(server.main), server_hostname="localhost") as sock:
        register = b'{"type":"register","client_id":"client-a","target":"127.0.0.1:9"}'
        sock.sendall(frame(CONTROL, 0, register))
        answer = read_all(sock)
    assert b"tls:// needs wire protocol 2" in answer
    server.wait_event("register_refused", code="protocol")

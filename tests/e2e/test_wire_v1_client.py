# SPDX-License-Identifier: Apache-2.0
"""burrow's client with a server of version 1 of the wire (harness/v1_server.py), from register to close.
The test is the user: it opens the streams."""
import signal
import socket
import threading
import time

import pytest

from harness.sockets import echo, read_all, read_exactly, refused_address, reset
from harness.v1 import DATA, GO_FRAGMENT, MAX_DATA, frame, pattern
from harness.v1_server import V1Server
from harness.wait import PATIENCE

MIB = 1 << 20
FAST_RETRY = ("--client-retry-interval", "100ms")


@pytest.fixture
def serve(world):
    def make(**options):
        server = V1Server(**options)
        world.closing.append(server)
        return server
    return make


@pytest.fixture
def join(world, serve):
    """A server and a client for the target; returns client and session."""
    def make(target, *flags, **options):
        server = serve(**options)
        client = world.client(server, target, *flags, wait=False)
        return client, server.session()
    return make


def exchange(session, stream, data):
    """Sends data and takes as many bytes at the same time."""
    sender = threading.Thread(target=session.send, args=(stream, data))
    sender.start()
    back = stream.recv_exactly(len(data), timeout=60)
    sender.join()
    return back


def test_a_client_registers_and_serves_its_target(world, join):
    target = world.target(echo)
    client, session = join(target)
    register = dict(session.register)
    assert register.pop("meta")["protocol"] == 2, "a server of version 2 would learn so"
    assert register == {"type": "register", "client_id": "client-a", "target": str(target)}
    assert session.server.headers["Authorization"].startswith("Bearer ")
    client.wait_event("connected", protocol=1)
    client.wait_event("service_ready", target=target)
    for _ in range(3):
        stream = session.open()
        assert exchange(session, stream, b"hello") == b"hello"
        session.close_stream(stream)
        session.wait_control("close", stream_id=stream.id)  # each close is answered
    session.check()


def test_of_several_services_the_first_is_served_and_an_error_names_the_rest(world, join):
    first = world.target(echo)
    client, session = join(f"web={first}", "--local-target", "db=127.0.0.1:1")
    left_out = client.wait_event("service_left_out")
    assert left_out["level"] == "error" and left_out["service"] == "db"
    assert session.register["target"] == str(first)
    assert exchange(session, session.open(), b"first") == b"first"


def test_a_reload_that_withdraws_the_registered_service_registers_the_next(world, serve, tmp_path):
    """Version 1 has no word for it: the client leaves, and comes back with what it still has."""
    config = tmp_path / "client.yaml"
    first, second = world.target(echo), world.target(echo)
    config.write_text(f"local-target: ['a={first}', 'b={second}']\n")
    config.chmod(0o600)
    server = serve()
    client = world.client(server, "", "--config", config, *FAST_RETRY, wait=False)
    session = server.session()
    assert session.register["target"] == str(first)
    session.open()
    config.write_text(f"local-target: ['b={second}']\n")
    client.signal(signal.SIGHUP)
    again = server.session(2)
    assert session.ended.wait(PATIENCE)
    assert again.register["target"] == str(second)
    assert exchange(again, again.open(), b"second") == b"second"


@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
@pytest.mark.parametrize("fragment", [GO_FRAGMENT, None, 1])
def test_messages_come_in_any_fragments(world, join, fragment, text):
    """And as text, where their bytes are UTF-8."""
    _, session = join(world.target(echo), fragment=fragment, text=text)
    data = b"printable " * (500 if fragment == 1 else 20000)
    assert exchange(session, session.open(), data) == data


@pytest.mark.parametrize("fragment", [GO_FRAGMENT, None])
def test_64_mib_both_ways_at_once(world, join, sized, fragment):
    _, session = join(world.target(echo), fragment=fragment)
    data = pattern(sized(64 * MIB, 8 * MIB))
    assert exchange(session, session.open(), data) == data


def test_64_mib_in_lockstep(world, join, sized):
    _, session = join(world.target(echo))
    stream, piece = session.open(), pattern(256 * 1024)
    for _ in range(sized(64 * MIB, 4 * MIB) // len(piece)):
        assert exchange(session, stream, piece) == piece


def test_fifty_streams_at_once(world, join, sized):
    _, session = join(world.target(echo))
    failures = []

    def one(i):
        try:
            stream = session.open()
            data = pattern(sized(MIB, MIB // 8) + i, i)
            assert exchange(session, stream, data) == data
            session.close_stream(stream)
        except Exception as error:
            failures.append(repr(error))
    threads = [threading.Thread(target=one, args=(i,)) for i in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures


def test_a_slow_target_gets_every_byte(world, join, sized):
    n = sized(16 * MIB, 2 * MIB)
    got = bytearray()

    def slow(sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        while len(got) < n:
            time.sleep(0.02)
            part = sock.recv(65536)
            if not part:
                return
            got.extend(part)
        sock.sendall(b"all")
    client, session = join(world.target(slow))
    stream = session.open()
    session.send(stream, pattern(n))
    assert stream.recv_exactly(3, timeout=60) == b"all"
    assert bytes(got) == pattern(n)
    assert not client.seen("disconnected") and not client.seen("stream_stalled")


def test_a_target_that_reads_nothing_loses_that_stream_alone(world, join):
    """After half of 30 s. Heartbeats go on meanwhile, though the connection is not read."""
    target = world.target()
    client, session = join(target, interval=1.0, timeout=12.0)
    stuck, other = session.open(), session.open()
    target.accept(), target.accept()
    sender = threading.Thread(target=session.send, args=(stuck, bytes(16 * MIB)))
    sender.start()
    client.wait_event("stream_stalled", 40, stream=stuck.id)
    session.wait_control("close", stream_id=stuck.id)
    sender.join()
    session.send(other, b"x")
    assert target.connections[1].recv(1) == b"x"
    assert not client.seen("disconnected")
    session.check()


def test_data_before_open_ack_is_kept_for_the_dial(world, join):
    target = world.target()
    _, session = join(target)
    stream = session.open(acked=False)
    session.send(stream, b"early")
    service = target.accept()
    assert read_exactly(service, 5) == b"early"
    assert stream.acked.wait(PATIENCE)


def test_early_data_and_a_close_reach_the_target(world, join):
    """A user that sends and is gone before the target has answered the dial."""
    target = world.target()
    _, session = join(target)
    stream = session.open(acked=False)
    session.send(stream, b"fire and forget")
    session.close_stream(stream)
    assert read_all(target.accept()) == b"fire and forget"


def test_a_refused_target_is_an_error_for_its_stream(world, join):
    client, session = join(refused_address())
    stream = session.open()
    assert stream.error, session.controls
    client.wait_event("target_failed")
    assert not [c for c in session.controls if c["type"] in ("open_ack", "close")]


def test_an_open_for_another_target_dials_nothing(world, join):
    other = world.target()
    client, session = join(world.target(echo))
    stream = session.open(target=str(other))
    assert "target" in stream.error
    client.wait_event("stream_refused", target=other)
    other.listener.settimeout(0.3)
    with pytest.raises(TimeoutError):
        other.listener.accept()


def test_wrong_ids_do_no_harm(world, join):
    target = world.target(echo)
    client, session = join(target)
    stream = session.open()
    assert exchange(session, stream, b"one") == b"one"
    wire = session.wire
    for id in (0, 99, 2**62):
        wire.data(id, b"nobody's")
        wire.control("close", stream_id=id)
    wire.data(2**64 - 1, b"nobody's")
    wire.control("open", stream_id=0, target=str(target))
    wire.control("open", stream_id=stream.id, target=str(target))  # it lives: no answer may end it
    wire.control("open_ack", stream_id=stream.id)
    wire.control("weather", stream_id=stream.id)
    wire.control("register", client_id="x", target="y")
    assert exchange(session, stream, b"two") == b"two"
    session.close_stream(stream)
    session.wait_control("close", stream_id=stream.id)
    session.close_stream(stream)
    assert exchange(session, session.open(), b"three") == b"three"
    assert not client.seen("disconnected")


def test_opens_need_not_come_in_the_order_of_their_ids(world, join):
    """A server whose users come at once may write them so."""
    _, session = join(world.target(echo))
    session.server.ids = iter((7, 3, 5))
    for stream in [session.open() for _ in range(3)]:
        assert exchange(session, stream, b"in any order") == b"in any order"


def test_the_stream_id_of_a_control_is_that_of_its_json(world, join):
    _, session = join(world.target(echo))
    first, second = session.open(), session.open()
    session.wire.control("close", header_stream=second.id, stream_id=first.id)
    session.wait_control("close", stream_id=first.id)
    assert exchange(session, second, b"alive") == b"alive"


def test_heartbeats_are_answered_at_once(world, join):
    _, session = join(world.target(echo), beats=False)
    for i in range(1, 6):
        session.wire.control("heartbeat")
        session.wait_control("heartbeat_ack", count=i)


def test_a_heartbeat_breaks_ten_seconds_of_silence(world, join):
    client, session = join(world.target(echo), beats=False)
    start = time.monotonic()
    session.wait_control("heartbeat")
    assert time.monotonic() - start > 5
    assert not client.seen("disconnected")


def test_a_blackholed_target_delays_no_heartbeat(world, join):
    hole = world.target(backlog=0)
    filler = []
    with pytest.raises(TimeoutError):  # until a connect gets no answer any more
        while len(filler) < 8:
            filler.append(socket.create_connection(hole.address, 0.5))
    _, session = join(hole, interval=0.5, timeout=6.0)
    stream = session.open(acked=False)
    for i in range(1, 5):
        session.wait_control("heartbeat_ack", count=i)
    assert not stream.acked.is_set(), "the hole let somebody in"
    for sock in filler:
        sock.close()
    session.check()


def test_the_targets_eof_closes_the_stream(world, join):
    """After a moment, as the user might still send."""
    target = world.target()
    _, session = join(target)
    stream = session.open()
    service = target.accept()
    service.sendall(pattern(MIB))
    service.close()
    assert stream.recv_exactly(MIB) == pattern(MIB)
    assert stream.recv() == b""
    session.wait_control("close", stream_id=stream.id)


def test_what_the_user_sends_after_the_targets_eof_still_arrives(world, join):
    target = world.target()
    _, session = join(target)
    stream = session.open()
    service = target.accept()
    service.sendall(b"go on")
    service.shutdown(socket.SHUT_WR)
    assert stream.recv_exactly(5) == b"go on"
    session.beat()
    session.beat()  # the client has seen the EOF by now
    sender = threading.Thread(target=session.send, args=(stream, pattern(4 * MIB)))
    sender.start()
    assert read_exactly(service, 4 * MIB) == pattern(4 * MIB)
    sender.join()
    session.close_stream(stream)
    assert service.recv(1) == b""


def test_the_targets_reset_closes_the_stream(world, join):
    target = world.target()
    _, session = join(target)
    stream = session.open()
    reset(target.accept())
    session.wait_control("close", stream_id=stream.id)


def test_a_lost_server_ends_the_targets_and_the_client_names_its_last_session(world, join):
    target = world.target()
    client, session = join(target, "--client-retry-interval", "100ms")
    session.open()
    service = target.accept()
    session.wire.cut()
    with pytest.raises(ConnectionResetError):
        service.recv(1)
    again = session.server.session(2)
    assert again.register["previous_session_id"] == session.session_id
    stream = again.open()
    assert stream.id > 1
    again.send(stream, b"x")
    assert target.accept().recv(1) == b"x"
    client.wait_event("connected", session="sess-2")


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012])
def test_the_client_comes_back_whatever_the_close_code(world, join, code):
    _, session = join(world.target(echo), "--client-retry-interval", "100ms")
    session.wire.close(code)
    session.server.session(2)


def test_a_client_that_is_superseded_comes_back(world, serve):
    server, target = serve(), world.target(echo)
    world.client(server, target, *FAST_RETRY, wait=False)
    first = server.session()
    world.client(server, target, *FAST_RETRY, wait=False, name="the newer client")
    newer = server.session(2)
    assert first.ended.wait(PATIENCE)
    assert exchange(newer, newer.open(), b"new") == b"new"


def test_an_identity_mismatch_is_a_refusal(world, serve):
    server = serve(refusal="client identity mismatch")
    client = world.client(server, world.target(echo), wait=False)
    refused = client.wait_event("refused")
    assert refused["code"] == "identity_mismatch" and int(refused["retry_ms"]) <= 5000


@pytest.mark.parametrize("message", [
    frame(DATA, 1, b"four", length=3),
    frame(DATA, 1, b"four", length=5),
    frame(DATA, 1, b"four") * 2,
    frame(DATA, 1, bytes(MAX_DATA + 1)),
    b"",
    frame(9, 1, b"four") + frame(DATA, 1, b"four"),
    b"\x02" + frame(DATA, 1, b"four")[1:],
], ids=["longer", "shorter", "two", "too large", "empty", "unknown and another", "version 2"])
def test_a_message_that_is_no_frame_ends_the_connection(world, join, message):
    client, session = join(world.target(echo), "--client-retry-interval", "100ms")
    session.wire.send_message(message)
    client.wait_event("disconnected")
    session.server.session(2)


def test_a_stopping_client_says_good_bye(world, join):
    client, session = join(world.target(echo))
    client.wait_event("connected")
    client.stop()
    assert session.wait_end() == 1000

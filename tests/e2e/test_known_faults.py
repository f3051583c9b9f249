# SPDX-License-Identifier: Apache-2.0
"""The known faults of Burrow 0.5, and the tests that burrow has none of them: here where no other file has
one, most of them with a client of version 1, as those that come from Burrow 0.5 are."""
import contextlib
import os
import re
import resource
import socket
import struct

import pytest

from harness.burrow import split_address
from harness.sockets import dial, echo, is_reset, read_exactly, serves, was_reset
from harness.v1 import CONTROL, frame
from harness.v1_client import V1Client, connect
from harness.wait import PATIENCE, descriptors, until

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20

FAULTS = {
    "bulk data cut short": [
        "test_every_byte.py::test_every_byte_comes_back", "test_wire_v1_server.py::test_64_mib_both_ways_at_once",
        "test_wire_v1_server.py::test_64_mib_in_lockstep", "test_wire_v1_client.py::test_64_mib_both_ways_at_once",
        "test_wire_v1_client.py::test_64_mib_in_lockstep"],
    "a slow reader kills its stream and then others": [
        "test_isolation.py::test_a_stalled_reader_gets_its_bytes_when_it_reads_again",
        "test_wire_v1_server.py::test_a_slow_reader_gets_every_byte",
        "test_wire_v1_server.py::test_who_reads_nothing_loses_that_stream_alone",
        "test_wire_v1_client.py::test_a_slow_target_gets_every_byte"],
    "half-close loses the response": [
        "test_half_close.py::test_a_target_that_answers_only_after_eof_answers_in_full",
        "test_wire_v1_server.py::test_a_response_follows_the_users_eof"],
    "the target's EOF never reaches the pod": [
        "test_half_close.py::test_the_targets_eof_reaches_the_user_while_the_user_may_still_send",
        "test_wire_v1_server.py::test_the_targets_eof_reaches_the_user_though_the_user_goes_on",
        "test_wire_v1_client.py::test_the_targets_eof_closes_the_stream"],
    "pod sockets stay open after the client died": [
        "test_loss.py::test_after_kill_of_the_client_its_users_are_reset_and_its_bridge_stays",
        "test_wire_v1_server.py::test_a_lost_client_leaves_no_user_hanging"],
    "pod sockets stay open after the client was taken over": [
        "test_loss.py::test_a_second_client_with_the_same_id_takes_over",
        "test_wire_v1_server.py::test_the_newer_connection_wins"],
    "pod sockets stay open after the client stopped": [
        "test_loss.py::test_a_stopped_client_is_found_dead_by_its_silence",
        "test_loss.py::test_sigterm_of_the_client_ends_users_in_order",
        "test_wire_v1_server.py::test_a_silent_client_is_given_up"],
    "data of an old session reaches the next": [
        "test_loss.py::test_nothing_of_the_old_session_reaches_the_new_one",
        "test_known_faults.py::test_late_frames_of_an_old_session_reach_nobody"],
    "one EMFILE ends a bridge listener for ever": [
        "test_known_faults.py::test_a_bridge_outlives_a_lack_of_descriptors"],
    "200 tokens with unknown key ids make 200 JWKS fetches": [
        "test_jwks.py::test_200_tokens_with_unknown_kids_make_one_fetch"],
    "one 300 MB message makes the server take 627 MB": [
        "test_known_faults.py::test_a_message_of_300_mb_costs_no_memory"],
    "a blackholed target blocks the client's heartbeats": [
        "test_isolation.py::test_ninety_eight_streams_pass_by_a_stalled_and_a_blackholed_one",
        "test_wire_v1_client.py::test_a_blackholed_target_delays_no_heartbeat"],
    "the client dials any target that the server names": [
        "test_wire_v1_client.py::test_an_open_for_another_target_dials_nothing"],
    "a token lives on after it expired": [
        "test_known_faults.py::test_an_expired_token_opens_no_streams_and_ends_its_session"],
    "streams_active never falls": [
        "test_known_faults.py::test_streams_active_falls_however_streams_end"],
    "no end of listeners and timers per client id": [
        "test_known_faults.py::test_a_client_that_comes_back_a_hundred_times_leaves_one_listener",
        "test_known_faults.py::test_what_clients_leave_is_swept"],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_known_fault_has_its_test(fault):
    for place in FAULTS[fault]:
        file, name = place.split("::")
        with open(os.path.join(HERE, file)) as source:
            assert re.search(rf"^def {name}\(", source.read(), re.M), place


class Site:
    """A server, and clients of version 1."""

    def __init__(self, world, *flags):
        self.world, self.server = world, world.server("ws", *flags)

    def join(self, target=None, client_id="client-a", token=None):
        token = token or self.world.burrow.mint(client_id)
        mark = self.server.mark()
        client = V1Client(self.server.url, token, client_id, target)
        self.world.closing.append(client)
        client.ready()
        listening = self.server.wait_event("bridge_listening", after=mark, client=client_id)
        client.bridge = split_address(listening["addr"])
        return client

    def wait_metric(self, name, value):
        until(lambda: self.server.metric(name) == value, lambda: f"{name} is {self.server.metric(name)}")

    def wait_descriptors(self, most):
        until(lambda: descriptors(self.server) <= most, lambda: f"{descriptors(self.server)} are open, not {most}")


def test_late_frames_of_an_old_session_reach_nobody(world):
    """The ids of a client's streams rise over all its sessions, so none is ever meant twice."""
    site = Site(world)
    old = site.join()
    user = dial(old.bridge)
    stream = old.accept()
    old.acknowledge(stream)
    old.wire.cut()
    assert was_reset(user)
    new = site.join()
    with dial(new.bridge) as user:
        fresh = new.accept()
        new.acknowledge(fresh)
        assert fresh.id != stream.id
        new.wire.data(stream.id, b"of old")
        new.wire.data(fresh.id, b"of now")
        assert read_exactly(user, 6) == b"of now"


def test_a_bridge_outlives_a_lack_of_descriptors(world):
    site = Site(world)
    client = site.join(world.target(echo).address)
    assert serves(client.bridge)
    soft, hard = resource.prlimit(site.server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(site.server.pid, resource.RLIMIT_NOFILE, (descriptors(site.server) + 2, hard))
    users = [socket.socket() for _ in range(8)]
    for user in users:
        user.setblocking(False)
        user.connect_ex(client.bridge)
    site.server.wait_event("accept_paused")
    resource.prlimit(site.server.pid, resource.RLIMIT_NOFILE, (soft, hard))
    for user in users:
        user.close()
    until(lambda: serves(client.bridge), "the bridge is gone for good")


def fragment(length, first):
    """The head of a fragment that is not the last, with a mask of zeros."""
    size = struct.pack(">BH", 0x80 | 126, length) if length < 1 << 16 else struct.pack(">BQ", 0x80 | 127, length)
    return bytes([2 if first else 0]) + size + bytes(4)


@pytest.mark.parametrize("length", [300_000_000, 32768], ids=["one piece", "fragments"])
def test_a_message_of_300_mb_costs_no_memory(world, length):
    """Its header is enough to refuse it, that of the WebSocket or, where it comes in fragments, burrow's own."""
    site = Site(world, "--log-level", "debug")
    before = site.server.memory_kib()
    wire = connect(site.server.url, world.burrow.mint("client-a"))
    wire.sock.settimeout(PATIENCE)
    said = frame(CONTROL, 0, b"", length=300_000_000)
    wire.sock.sendall(fragment(length, True) + said)
    event, reason = ("handshake_closed", "a message is too long") if length > 32768 else ("register_refused", "too long")
    assert reason in site.server.wait_event(event)["reason"]
    with contextlib.suppress(ConnectionError):
        wire.sock.sendall(bytes(32768 - len(said)))
        for _ in range(300_000_000 // 32768):
            wire.sock.sendall(fragment(32768, False) + bytes(32768))
    wire.sock.close()
    assert site.server.memory_kib() - before < 16 << 10
    assert serves(site.join(world.target(echo).address).bridge)


def test_an_expired_token_opens_no_streams_and_ends_its_session(world):
    """No new streams from then on; the session ends within half a minute more."""
    site = Site(world)
    client = site.join(world.target(echo).address, token=world.burrow.mint("client-a", expires_in="5s"))
    assert serves(client.bridge)
    until(lambda: not serves(client.bridge), "streams are still opened")
    assert is_reset(client.bridge)
    assert client.wait_end(45) in (1011, 1012)


def test_streams_active_falls_however_streams_end(world):
    site = Site(world)
    target = world.target(echo)
    client = site.join(target.address)
    assert serves(client.bridge)  # the user ends it
    silent = site.join(None, client_id="client-b")
    users = [dial(silent.bridge) for _ in range(5)]
    streams = {stream.id: stream for stream in (silent.accept() for _ in users)}
    assert site.server.metric("burrow_streams_active") >= 5
    for stream in list(streams.values())[1:]:
        silent.acknowledge(stream)
    first, second, third, fourth, _ = streams.values()
    silent.wire.control("error", stream_id=first.id, message="refused")
    silent.wire.control("close", stream_id=second.id)
    silent.wire.control("close", stream_id=third.id)
    silent.wire.data(fourth.id, b"x")
    for user in users[1:4]:
        user.close()
    silent.wire.cut()
    site.wait_metric("burrow_streams_active", 0)
    for user in users:
        user.close()


def test_a_client_that_comes_back_a_hundred_times_leaves_one_listener(world):
    site = Site(world)
    client = site.join(world.target(echo).address)
    bridge = client.bridge
    assert serves(bridge)
    before = descriptors(site.server)
    for _ in range(100):
        client.wire.cut()
        client = site.join(world.target(echo).address)
        assert client.bridge == bridge
    site.wait_metric("burrow_sessions_active", 1)
    site.wait_descriptors(before + 2)


def test_what_clients_leave_is_swept(world):
    site = Site(world, "--stale-service-age", "500ms", "--sweep-interval", "200ms")
    before = descriptors(site.server)
    for i in range(20):
        site.join(client_id=f"client-{i}").close()
    site.wait_metric("burrow_clients_known", 0)
    site.wait_descriptors(before + 2)

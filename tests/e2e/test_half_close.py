# SPDX-License-Identifier: Apache-2.0
"""The ends of a stream: FIN, RST and refusal mean through the tunnel what they mean without it."""
import socket

import pytest

from harness.sockets import (answer_after_eof, dial, echo, is_reset, read_all, read_exactly, refused_address,
                             reset, was_reset)

REQUEST = bytes(range(256)) * 4096  # 1 MiB, more than a first window


def test_a_request_ended_by_fin_gets_its_whole_answer(world, transport):
    _, _, bridge = world.tunnel(transport, world.target(echo))
    with dial(bridge) as user:
        user.sendall(b"request")
        user.shutdown(socket.SHUT_WR)
        assert read_all(user) == b"request"


def test_a_target_that_answers_only_after_eof_answers_in_full(world, transport):
    _, _, bridge = world.tunnel(transport, world.target(answer_after_eof))
    with dial(bridge) as user:
        user.sendall(REQUEST)
        user.shutdown(socket.SHUT_WR)
        assert read_all(user) == REQUEST


def test_a_fin_without_a_byte_reaches_the_target(world, transport):
    target = world.target()
    _, _, bridge = world.tunnel(transport, target)
    with dial(bridge) as user:
        user.shutdown(socket.SHUT_WR)
        service = target.accept()
        assert service.recv(1) == b""
        service.sendall(b"goodbye")
        service.close()
        assert read_all(user) == b"goodbye"


def test_the_targets_eof_reaches_the_user_while_the_user_may_still_send(world, transport):
    target = world.target()
    _, _, bridge = world.tunnel(transport, target)
    with dial(bridge) as user:
        user.sendall(b"hello")
        service = target.accept()
        assert read_exactly(service, 5) == b"hello"
        service.sendall(b"last words")
        service.shutdown(socket.SHUT_WR)
        assert read_all(user) == b"last words"
        user.sendall(b"still here")
        assert read_exactly(service, 10) == b"still here"
        user.shutdown(socket.SHUT_WR)
        assert service.recv(1) == b""


def test_the_users_rst_is_a_rst_at_the_target(world, transport):
    target = world.target()
    _, _, bridge = world.tunnel(transport, target)
    user = dial(bridge)
    user.sendall(b"hello")
    service = target.accept()
    assert read_exactly(service, 5) == b"hello"
    reset(user)
    assert was_reset(service)


def test_the_targets_rst_is_a_rst_at_the_user(world, transport):
    target = world.target()
    _, _, bridge = world.tunnel(transport, target)
    with dial(bridge) as user:
        user.sendall(b"hello")
        service = target.accept()
        assert read_exactly(service, 5) == b"hello"
        reset(service)
        assert was_reset(user)


def test_a_refused_target_resets_the_user(world, transport):
    _, _, bridge = world.tunnel(transport, refused_address())
    assert is_reset(bridge), "a refused target looked like a clean end"


@pytest.mark.parametrize("then", ["fin", "rst"])
def test_what_the_target_wrote_before_its_end_arrives(world, transport, then):
    """All of it before a FIN; before a RST nothing is promised but that it ends as a RST."""
    target = world.target()
    _, _, bridge = world.tunnel(transport, target)
    with dial(bridge) as user:
        service = target.accept()
        service.sendall(b"x" * 100_000)
        if then == "fin":
            service.close()
            assert len(read_all(user)) == 100_000
        else:
            reset(service)
            assert was_reset(user)


def test_many_short_connections_all_get_their_answer(world, transport, sized):
    _, _, bridge = world.tunnel(transport, world.target(echo))
    for i in range(sized(500, 100)):
        with dial(bridge) as user:
            message = b"%d" % i
            user.sendall(message)
            user.shutdown(socket.SHUT_WR)
            assert read_all(user) == message

# SPDX-License-Identifier: Apache-2.0
"""A newer token renews a session: streams go on beyond the end of the first token."""
import os
import time

from harness.sockets import dial, echo, read_exactly, was_reset
from harness.wait import until


def write(path, text):
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.replace(f"{path}.new", path)


def ping(user):
    user.sendall(b"ping")
    assert read_exactly(user, 4) == b"ping"


def test_streams_outlive_the_token_that_they_began_with(world, burrow, tmp_path):
    token = tmp_path / "token"
    server = world.server("ws")
    write(token, burrow.mint("client-a", expires_in="15s"))
    end = time.time() + 15
    client = world.client(server, world.target(echo), "--bearer-token-file", token, "--token-refresh-window", "14s",
                          token="")
    with dial(client.bridge) as user:
        ping(user)
        write(token, burrow.mint("client-a", expires_in="1h"))
        client.wait_event("token_renewed")
        server.wait_event("token_renewed", client="client-a")
        until(lambda: time.time() > end + 0.5, seconds=30)
        ping(user)
        with dial(client.bridge) as other:
            ping(other)
    assert len(client.seen("connected")) == 1


def test_a_refused_token_leaves_the_session_until_its_end(world, burrow, tmp_path):
    token = tmp_path / "token"
    write(token, burrow.mint("client-a", expires_in="1m"))
    server = world.server("ws")
    client = world.client(server, world.target(echo), "--bearer-token-file", token, "--token-refresh-window", "1h",
                          token="")
    with dial(client.bridge) as user:
        write(token, burrow.mint("client-a", secret="another secret, of somebody who is not trusted here"))
        client.wait_event("token_refused", code="invalid_token")
        server.wait_event("auth_refused", code="invalid_token")
        ping(user)
        write(token, burrow.mint("client-a"))
        client.wait_event("token_renewed")
        ping(user)


def test_a_token_of_another_client_ends_the_connection(world, burrow, tmp_path):
    token = tmp_path / "token"
    write(token, burrow.mint("client-a", expires_in="1m"))
    server = world.server("ws")
    client = world.client(server, world.target(echo), "--bearer-token-file", token, "--token-refresh-window", "1h",
                          token="")
    with dial(client.bridge) as user:
        ping(user)
        write(token, burrow.mint("client-b"))
        client.wait_event("refused", code="identity_mismatch")
        assert was_reset(user)

# SPDX-License-Identifier: Apache-2.0
"""auth-static: tokens of a file, and what happens when the file changes."""
import os
import subprocess
import time

import pytest

from harness.sockets import dial, echo, read_exactly, serves
from harness.tokens import TokenFile
from harness.wait import until

TOKEN = "a-token-of-the-tests-5e884898da28047151d0e56f8dc62927"


@pytest.fixture
def tokens(tmp_path):
    return TokenFile(tmp_path)


def hello(client):
    with dial(client.bridge) as user:
        user.sendall(b"hello")
        assert read_exactly(user, 5) == b"hello"


def test_a_token_of_the_file_lets_its_client_in(world, tokens, transport):
    tokens.add(TOKEN, "client-a")
    server = world.server(transport, *tokens.flags, auth=False)
    assert server.wait_event("static_tokens")["count"] == "1"
    hello(world.client(server, world.target(echo), token=TOKEN))


def test_the_line_of_the_readme_is_a_good_one(world, tmp_path, tokens):
    line = subprocess.run(["sh", "-c", 'echo "$(printf %s "$TOKEN" | sha256sum | cut -d" " -f1) client-a"'],
                          env={"TOKEN": TOKEN, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    tokens.write(line.stdout)
    server = world.server("ws", *tokens.flags, auth=False)
    hello(world.client(server, world.target(echo), token=TOKEN))


@pytest.mark.parametrize("token, code", [("another-token", "invalid_token"), ("", "missing_bearer")])
def test_who_is_not_in_the_file_is_refused(world, tokens, transport, token, code):
    tokens.add(TOKEN, "client-a")
    server = world.server(transport, *tokens.flags, auth=False)
    client = world.client(server, "127.0.0.1:9", token=token, wait=False)
    client.wait_event("refused", code=code)
    refused = server.wait_event("auth_refused", code=code)
    assert refused["plugin"] == "auth-static" and TOKEN not in server.log
    assert not server.seen("client_connected")


def test_a_token_is_good_for_its_client_id_only(world, tokens):
    tokens.add(TOKEN, "client-b")
    server = world.server("ws", *tokens.flags, auth=False)
    world.client(server, "127.0.0.1:9", token=TOKEN, wait=False).wait_event("refused", code="identity_mismatch")


def test_a_token_that_has_ended_is_refused_with_its_code(world, tokens):
    tokens.add(TOKEN, "client-a", expires="2020-01-01T00:00:00Z")
    server = world.server("ws", *tokens.flags, auth=False)
    world.client(server, "127.0.0.1:9", token=TOKEN, wait=False).wait_event("refused", code="token_expired")


def test_the_client_learns_when_its_token_ends(world, tokens):
    """After the end no stream is opened any more."""
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 10))
    tokens.add(TOKEN, "client-a", expires=end)
    server = world.server("ws", *tokens.flags, auth=False)
    client = world.client(server, world.target(echo), token=TOKEN)
    hello(client)
    until(lambda: not serves(client.bridge), "streams are still opened", 30)


def test_a_changed_file_counts_for_who_comes_next(world, tokens):
    tokens.add(TOKEN, "client-a")
    server = world.server("ws", *tokens.flags, auth=False)
    first = world.client(server, world.target(echo), token=TOKEN)
    mark = server.mark()
    tokens.lines.clear()
    tokens.add("another-token", "client-b")
    assert server.wait_event("static_tokens", after=mark)["count"] == "1"
    hello(world.client(server, world.target(echo), client_id="client-b", token="another-token"))
    hello(first)  # its session goes on
    world.client(server, "127.0.0.1:9", client_id="client-c", token=TOKEN,
                 wait=False).wait_event("refused", code="invalid_token")


def test_a_broken_file_leaves_the_old_one_in_force(world, tokens):
    tokens.add(TOKEN, "client-a")
    server = world.server("ws", *tokens.flags, auth=False)
    mark = server.mark()
    tokens.write("this is no line\n")
    failed = server.wait_event("file_refused", after=mark, plugin="auth-static")
    assert "line 1" in failed["reason"] and "SHA-256" in failed["reason"]
    hello(world.client(server, world.target(echo), token=TOKEN))


def test_a_file_that_is_deleted_is_told_of_and_leaves_the_old_one_in_force(world, tokens):
    tokens.add(TOKEN, "client-a")
    server = world.server("ws", *tokens.flags, auth=False)
    os.remove(tokens.path)
    assert "No such file" in server.wait_event("file_refused", plugin="auth-static")["reason"]
    assert server.metric('burrow_file_reloads_total{result="refused"}') == 1
    hello(world.client(server, world.target(echo), token=TOKEN))


def test_grants_with_a_typo_in_the_file_are_told_at_the_start(world, tokens):
    tokens.add(TOKEN, "client-a", grants={"service": ["pg"]})
    server = world.server("ws", *tokens.flags, auth=False, wait=False)
    assert server.wait() in (1, 2)
    assert "line 1" in server.log and "service" in server.log


@pytest.mark.parametrize("content, word", [(None, "No such file"), ("x\n", "line 1"), ("\0", "text")])
def test_a_bad_file_is_a_bad_configuration(burrow, tmp_path, content, word):
    path = tmp_path / "tokens"
    if content is not None:
        path.write_text(content)
        path.chmod(0o600)
    done = burrow.run("server", "--server-addr", "127.0.0.1:0", "--auth-static-file", path)
    assert done.returncode == 2
    assert "--auth-static-file (BURROW_AUTH_STATIC_FILE)" in done.stderr and word in done.stderr


def test_a_file_that_everyone_may_write_is_refused(burrow, tokens):
    import os
    os.chmod(tokens.path, 0o606)
    done = burrow.run("server", "--server-addr", "127.0.0.1:0", *tokens.flags)
    assert done.returncode == 2 and "chmod o-w" in done.stderr

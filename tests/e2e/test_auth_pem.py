# SPDX-License-Identifier: Apache-2.0
"""Tokens signed with private keys, from minting to the tunnel; keys that change; nothing leaks."""
import re
import os
import socket
import subprocess

import pytest

from harness.burrow import AUDIENCE, ISSUER
from harness.sockets import dial, echo, read_exactly
from harness.wait import until

KINDS = {"RS256": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "PS384": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
         "ES256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "ES512": ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
         "EdDSA": ["ED25519"]}


def make_key(folder, alg, name="key"):
    """(private, public) PEM files."""
    private, public = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".pub")
    subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", *KINDS[alg], "-out", private], check=True,
                   capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


def mint(burrow, private, alg, client_id="client-a", *flags):
    done = burrow.run("token", "mint", "--sub", client_id, "--private-key-file", private, "--jwt-alg", alg,
                      "--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE, *flags)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def server_flags(public, alg):
    return ["--jwt-public-key-file", public, "--jwt-alg", alg, "--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE]


def pem_server(world, public, alg):
    return world.server("ws", *server_flags(public, alg), auth=False)


def through(client):
    with dial(client.bridge) as user:
        user.sendall(b"hello")
        assert read_exactly(user, 5) == b"hello"


@pytest.mark.parametrize("alg", KINDS)
def test_a_token_of_a_private_key_opens_a_tunnel(world, burrow, tmp_path, alg):
    private, public = make_key(tmp_path, alg)
    server = pem_server(world, public, alg)
    through(world.client(server, world.target(echo), token=mint(burrow, private, alg)))


def test_another_key_is_refused_and_verify_says_why_without_a_server(world, burrow, tmp_path):
    private, public = make_key(tmp_path, "ES256")
    other, _ = make_key(tmp_path, "ES256", "other")
    server = pem_server(world, public, "ES256")
    token = mint(burrow, other, "ES256")
    client = world.client(server, "127.0.0.1:9", token=token, wait=False)
    client.wait_event("refused", code="invalid_token")
    reason = server.wait_event("auth_refused", code="invalid_token")["reason"]
    done = burrow.run("token", "verify", token, *server_flags(public, "ES256"))
    assert done.returncode == 1 and done.stdout == f"refused: code=invalid_token reason={reason}\n"
    done = burrow.run("token", "verify", mint(burrow, private, "ES256"), *server_flags(public, "ES256"))
    assert done.returncode == 0 and done.stdout.startswith('accepted: client "client-a"')


def test_a_new_key_file_counts_at_once_and_a_broken_one_changes_nothing(world, burrow, tmp_path):
    private, public = make_key(tmp_path, "EdDSA")
    new_private, new_public = make_key(tmp_path, "EdDSA", "new")
    server = pem_server(world, public, "EdDSA")
    first = world.client(server, world.target(echo), token=mint(burrow, private, "EdDSA"))
    mark = server.mark()
    with open(public, "w") as file:
        file.write("-----BEGIN PUBLIC KEY-----\n")
    server.wait_event("file_refused", after=mark)
    through(world.client(server, world.target(echo), client_id="client-b",
                         token=mint(burrow, private, "EdDSA", "client-b")))
    mark = server.mark()
    os.replace(new_public, public)
    server.wait_event("file_reloaded", after=mark)
    assert server.metric('burrow_file_reloads_total{result="taken"}') == 1
    assert server.metric('burrow_file_reloads_total{result="refused"}') >= 1
    through(world.client(server, world.target(echo), client_id="client-c",
                         token=mint(burrow, new_private, "EdDSA", "client-c")))
    through(first)  # who is in stays in
    late = world.client(server, "127.0.0.1:9", client_id="client-d", token=mint(burrow, private, "EdDSA", "client-d"),
                        wait=False)
    late.wait_event("refused", code="invalid_token")


def test_inspect_shows_claims_and_never_the_signature(burrow, tmp_path):
    private, _ = make_key(tmp_path, "EdDSA")
    token = mint(burrow, private, "EdDSA", "client-a", "--grants", '{"streams": 3}', "--kid", "2026-11")
    done = burrow.run("token", "inspect", token)
    assert done.returncode == 0, done.stdout
    for part in ('"EdDSA"', '"2026-11"', 'sub      "client-a"', '{"streams":3}', "64 bytes, neither shown"):
        assert part in done.stdout
    # A second may have passed since it was made.
    assert re.search(r"in (1 h|59 min \d+ s)$", done.stdout, re.M)
    assert token.rsplit(".", 1)[1] not in done.stdout
    bad = burrow.run("token", "inspect", token + ".x")
    assert bad.returncode == 1 and "more segments" in bad.stdout
    assert burrow.run("token", "inspect", "abc").returncode == 1
    assert burrow.run("token", "inspect").returncode == 2  # nothing on standard input


def handshake(address, token):
    with socket.create_connection(address, timeout=20) as link:
        link.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     b"Authorization: Bearer " + token.encode() + b"\r\n\r\n")
        assert link.recv(12) == b"HTTP/1.1 101"


def memory_and_descriptors(pid):
    with open(f"/proc/{pid}/statm") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(f"/proc/{pid}/fd"))


def settled(pid, descriptors):
    """Memory once no more than so many descriptors are open."""
    until(lambda: memory_and_descriptors(pid)[1] <= descriptors, f"more than {descriptors} descriptors are open", 30)
    return memory_and_descriptors(pid)[0]


def test_ten_thousand_handshakes_with_rs256_leak_nothing(world, burrow, tmp_path):
    private, public = make_key(tmp_path, "RS256")
    server = pem_server(world, public, "RS256")
    token = mint(burrow, private, "RS256")
    _, descriptors = memory_and_descriptors(server.pid)
    count = 2000 if burrow.sanitized else 10000
    for _ in range(count // 5):
        handshake(server.web, token)
    # Libraries open a few for good when they are used first (/dev/urandom).
    before = settled(server.pid, descriptors + 4)
    _, descriptors = memory_and_descriptors(server.pid)
    for _ in range(count - count // 5):
        handshake(server.web, token)
    growth = settled(server.pid, descriptors) - before
    # A sanitizer keeps freed memory for a while; its own check for leaks runs at the end.
    assert burrow.sanitized or growth < 1024 * 1024, f"{growth} bytes more"

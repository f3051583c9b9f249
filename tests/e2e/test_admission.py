# SPDX-License-Identifier: Apache-2.0
"""Who is let in, and what the others are told."""
import base64
import hashlib
import hmac
import http.client
import json
import ssl
import time

import pytest

from harness.burrow import AUDIENCE, ISSUER, SECRET, make_certificate
from harness.sockets import dial, echo, read_exactly

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def forge(secret=SECRET, header=None, signed=True, **claims):
    """A token of any content, for what `burrow token mint` refuses to make."""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    now = int(time.time())
    claims = {"sub": "client-a", "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600, **claims}
    claims = {k: v for k, v in claims.items() if v is not None}
    body = part(json.dumps(header or {"alg": "HS256", "typ": "JWT"}).encode()) + "." + part(json.dumps(claims).encode())
    mac = hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest() if signed else b""
    return body + "." + part(mac)


REFUSED = {
    "another_secret": (lambda: forge(secret="another secret, also long enough"), "invalid_token"),
    "expired": (lambda: forge(exp=int(time.time()) - 120), "token_expired"),
    "not_yet_valid": (lambda: forge(nbf=int(time.time()) + 600), "token_not_yet_valid"),
    "another_issuer": (lambda: forge(iss="someone"), "invalid_token"),
    "another_audience": (lambda: forge(aud="something"), "invalid_token"),
    "no_expiry": (lambda: forge(exp=None), "invalid_token"),
    "alg_none": (lambda: forge(header={"alg": "none"}, signed=False), "invalid_token"),
    "another_alg": (lambda: forge(header={"alg": "HS512"}), "invalid_token"),
    "not_a_token": (lambda: "abc", "invalid_token"),
    "two_segments": (lambda: "abc.def", "invalid_token"),
}


def ask(server, method="GET", path="/ws", headers=None, body=None):
    """One HTTP request to the server's port; (status, headers, body). headers: a dict, or pairs."""
    if server.transport == "ws":
        link = http.client.HTTPConnection(*server.web, timeout=10)
    else:
        context = ssl._create_unverified_context()
        link = http.client.HTTPSConnection(*server.web, timeout=10, context=context)
    link.putrequest(method, path)
    for name, value in headers.items() if isinstance(headers, dict) else headers or ():
        link.putheader(name, value)
    if body is not None:
        link.putheader("Content-Length", str(len(body)))
    link.endheaders(body.encode() if isinstance(body, str) else body)
    answer = link.getresponse()
    result = answer.status, answer.headers, answer.read().decode()
    link.close()
    return result


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_token_is_refused_before_the_upgrade(world, case):
    server = world.server("ws")
    make, code = REFUSED[case]
    status, headers, body = ask(server, headers={**UPGRADE, "Authorization": "Bearer " + make()})
    assert status == 401
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert body.startswith(f"unauthorized: code={code} reason=") and body.endswith("\n")
    assert server.wait_event("auth_refused", code=code, request_id=headers["X-Request-Id"])["reason"]
    assert server.metric(f'burrow_auth_refusals_total{{code="{code}"}}') == 1


@pytest.mark.parametrize("values, why", [(["Bearer a", "Bearer b"], "more than one credential"),
                                         (["Bearer " + "a" * 8193], "too long")])
def test_two_credentials_and_a_token_that_is_too_long_are_refused_like_others(world, values, why):
    server = world.server("ws", "--plugin", "transport-ws", "--plugin", "auth-none", auth=False)
    status, headers, body = ask(server, headers=[*UPGRADE.items(), *(("Authorization", value) for value in values)])
    assert (status, body) == (401, "unauthorized: code=invalid_token reason=the token is not valid\n")
    assert why in server.wait_event("auth_refused", code="invalid_token", request_id=headers["X-Request-Id"])["reason"]
    assert server.metric('burrow_auth_refusals_total{code="invalid_token"}') == 1


def test_no_token_is_missing_bearer(world):
    server = world.server("ws")
    status, _, body = ask(server, headers=UPGRADE)
    assert status == 401 and body.startswith("unauthorized: code=missing_bearer reason=")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_the_scheme_of_authorization_may_have_any_case(world, burrow, scheme):
    server = world.server("ws")
    status, headers, _ = ask(server, headers={**UPGRADE, "Authorization": f"{scheme} {burrow.mint('client-a')}"})
    assert status == 101
    assert headers["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert "Sec-WebSocket-Extensions" not in headers


def test_a_token_in_the_query_is_no_token(world, burrow):
    server = world.server("ws")
    status, _, body = ask(server, path="/ws?access_token=" + burrow.mint("client-a"), headers=UPGRADE)
    assert status == 401 and "missing_bearer" in body


def test_a_client_with_a_bad_token_is_told_why_and_tries_again_slowly(world, transport):
    server = world.server(transport)
    client = world.client(server, "127.0.0.1:9", token=forge(secret="another secret, also long enough"), wait=False)
    refused = client.wait_event("refused", code="invalid_token")
    assert int(refused["retry_ms"]) <= 60_000
    server.wait_event("auth_refused", code="invalid_token")
    assert not server.seen("client_connected") and not server.seen("bridge_listening")


def test_a_clients_retry_after_a_refusal_follows_its_flag(world, burrow):
    """The token file is read at every connect, so that a new token mends it."""
    server = world.server("ws")
    path = burrow.folder + "/token"
    with open(path, "w") as file:
        file.write(forge(secret="another secret, also long enough"))
    client = world.client(server, world.target(echo), "--bearer-token-file", path, "--client-auth-retry-interval",
                          "200ms", token="", wait=False)
    client.wait_event("refused", code="invalid_token")
    with open(path, "w") as file:
        file.write(burrow.mint("client-a") + "\n")
    client.ready()


def test_a_token_for_another_client_id_is_an_identity_mismatch(world, transport, burrow):
    server = world.server(transport)
    client = world.client(server, "127.0.0.1:9", token=burrow.mint("somebody-else"), wait=False)
    client.wait_event("refused", code="identity_mismatch")
    refused = server.wait_event("register_refused", client="client-a")
    assert refused["request_id"] and refused["reason"] == "the right is that of the client id somebody-else"
    assert not server.seen("client_connected") and not server.seen("bridge_listening")


def test_auth_none_lets_anybody_in_but_must_be_named(world):
    server = world.server("ws", "--plugin", "transport-ws", "--plugin", "auth-none", auth=False)
    client = world.client(server, world.target(echo), token="")
    with dial(client.bridge) as user:
        user.sendall(b"hello")
        assert read_exactly(user, 5) == b"hello"


@pytest.mark.parametrize("transport", ["wss", "tls"])
def test_a_certificate_of_another_authority_is_refused(world, tmp_path, transport):
    server = world.server(transport)
    other, _ = make_certificate(str(tmp_path))
    client = world.client(server, "127.0.0.1:9", wait=False, authority=other)
    client.wait_event("disconnected")
    assert not server.seen("client_connected")


@pytest.mark.parametrize("transport", ["wss", "tls"])
def test_tls_skip_verify_connects_and_warns(world, transport):
    server = world.server(transport)
    client = world.client(server, world.target(echo), "--tls-skip-verify", authority=None)
    assert "--tls-skip-verify" in client.wait_event("plugin", level="warn")["msg"]


def test_the_client_shows_a_new_token_before_the_old_one_ends(world, burrow):
    server = world.server("ws")
    path = burrow.folder + "/short-token"
    with open(path, "w") as file:
        file.write(burrow.mint("client-a", expires_in="3s"))
    client = world.client(server, world.target(echo), "--bearer-token-file", path, "--token-refresh-window", "1s",
                          token="")
    mark = client.mark()
    with open(path, "w") as file:
        file.write(burrow.mint("client-a"))
    client.wait_event("token_renewed", after=mark)

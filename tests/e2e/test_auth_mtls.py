# SPDX-License-Identifier: Apache-2.0
"""auth-mtls: clients that are known by their TLS certificate, over WebSocket and raw TLS."""
import http.client
import ssl

import pytest

from harness.authority import Authority
from harness.sockets import dial, echo, read_exactly, serves
from harness.wait import until

SECURE = ("wss", "tls")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=SECURE)
def transport(request):
    return request.param


def hello(client):
    with dial(client.bridge) as user:
        user.sendall(b"hello")
        assert read_exactly(user, 5) == b"hello"


def serve(world, transport, authority, *flags):
    return world.server(transport, "--tls-client-ca", authority.ca, *flags, auth=False)


def test_a_certificate_lets_the_client_in_that_it_names(world, transport, authority):
    server = serve(world, transport, authority)
    hello(world.client(server, world.target(echo), *authority.flags("/CN=client-a"), token=""))


@pytest.mark.parametrize("field, alt", [("dns", "DNS:client-a"), ("uri", "URI:client-a"), ("email", "email:client-a")])
def test_the_name_may_stand_in_an_alternative_name(world, transport, authority, field, alt):
    server = serve(world, transport, authority, "--mtls-subject", field)
    hello(world.client(server, world.target(echo), *authority.flags("/CN=somebody", alt), token=""))


def test_a_certificate_for_another_client_id_is_an_identity_mismatch(world, transport, authority):
    server = serve(world, transport, authority)
    client = world.client(server, "127.0.0.1:9", *authority.flags("/CN=client-b"), token="", wait=False)
    client.wait_event("refused", code="identity_mismatch")
    assert not server.seen("client_connected")


def test_without_a_certificate_nobody_gets_in_but_health_answers(world, transport, authority):
    server = serve(world, transport, authority)
    client = world.client(server, "127.0.0.1:9", token="", wait=False)
    client.wait_event("refused", code="missing_bearer")
    assert "no client certificate" in server.wait_event("auth_refused", plugin="auth-mtls")["reason"]
    link = http.client.HTTPSConnection(*server.web, timeout=20, context=ssl._create_unverified_context())
    link.request("GET", "/healthz")
    assert link.getresponse().status == 200
    link.close()


def test_a_token_does_not_stand_in_for_a_certificate(world, burrow, transport, authority):
    server = serve(world, transport, authority)
    client = world.client(server, "127.0.0.1:9", token=burrow.mint("client-a"), wait=False)
    client.wait_event("refused", code="invalid_token")


def test_a_certificate_of_another_authority_is_refused_by_tls(world, transport, authority, tmp_path):
    server = serve(world, transport, authority)
    other = Authority(tmp_path, "another authority")
    client = world.client(server, "127.0.0.1:9", *other.flags("/CN=client-a"), token="", wait=False)
    assert "refused our certificate" in client.wait_event("disconnected")["reason"]
    assert not server.seen("client_connected") and not server.seen("auth_refused")


def test_a_certificate_that_is_not_for_clients_is_refused_by_tls(world, transport, authority):
    server = serve(world, transport, authority)
    flags = authority.flags("/CN=client-a", extensions=["extendedKeyUsage=serverAuth"])
    client = world.client(server, "127.0.0.1:9", *flags, token="", wait=False)
    client.wait_event("disconnected")
    assert not server.seen("client_connected")


@pytest.mark.parametrize("subject, word", [("/CN=client-a/CN=client-b", "several common names"),
                                           ("/CN=client-a\x7f", "control character")])
def test_a_certificate_without_one_clear_name_is_refused_with_a_code(world, transport, authority, subject, word):
    server = serve(world, transport, authority)
    client = world.client(server, "127.0.0.1:9", *authority.flags(subject), token="", wait=False)
    client.wait_event("refused", code="invalid_token")
    assert word in server.wait_event("auth_refused", plugin="auth-mtls")["reason"]


def test_after_the_certificate_has_ended_no_stream_is_opened(world, transport, authority):
    server = serve(world, transport, authority)
    client = world.client(server, world.target(echo), *authority.flags("/CN=client-a", seconds=10), token="")
    hello(client)
    until(lambda: not serves(client.bridge), "streams are still opened", 30)


def test_a_client_may_be_required_to_show_a_certificate_whoever_judges(world, burrow, transport, authority):
    """Two factors: TLS demands the certificate, the token is judged."""
    server = world.server(transport, "--tls-client-ca", authority.ca, "--tls-client-required", "--plugin",
                          "transport-ws", "--plugin", "transport-tls", "--plugin", "auth-hmac")
    hello(world.client(server, world.target(echo), *authority.flags("/CN=whoever")))
    bare = world.client(server, "127.0.0.1:9", client_id="client-b", wait=False)
    bare.wait_event("disconnected")
    server.wait_event("client_connected", client="client-a")
    assert not server.seen("client_connected", client="client-b")


def test_where_auth_mtls_is_listed_the_certificate_is_enough_though_it_is_required(world, transport, authority):
    """As the documents say of their list with both: it takes the certificate alone."""
    server = world.server(transport, "--tls-client-ca", authority.ca, "--tls-client-required", "--plugin",
                          "transport-ws", "--plugin", "transport-tls", "--plugin", "auth-mtls", "--plugin", "auth-hmac")
    hello(world.client(server, world.target(echo), *authority.flags("/CN=client-a"), token=""))
    server.wait_event("client_connected", client="client-a", auth="auth-mtls")


def test_a_client_authority_and_a_secret_are_several_sources(burrow, authority):
    cert, key = burrow.certificate
    done = burrow.run("server", "--server-addr", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key, "--tls-client-ca",
                      authority.ca, env={"BURROW_JWT_HMAC_SECRET": "x" * 40})
    assert done.returncode == 2
    assert "--tls-client-ca" in done.stderr and "--jwt-hmac-secret" in done.stderr


@pytest.mark.parametrize("flags, word", [
    (["--plugin", "transport-ws", "--plugin", "auth-mtls"], "--tls-client-ca"),
    (["--tls-client-required", "--plugin", "auth-none", "--plugin", "transport-ws"], "--tls-client-required"),
    (["--mtls-subject", "name", "--plugin", "auth-mtls", "--plugin", "transport-ws"], "--mtls-subject"),
])
def test_a_configuration_without_sense_is_refused(burrow, flags, word):
    done = burrow.run("server", "--server-addr", "127.0.0.1:0", *flags)
    assert done.returncode == 2 and word in done.stderr

# SPDX-License-Identifier: Apache-2.0
"""Several auth plugins: they are asked in the order of the list until one knows the credential."""
import pytest

from harness.authority import Authority
from harness.burrow import SECRET
from harness.sockets import dial, echo, read_exactly
from harness.tokens import TokenFile

SECURE = ("wss", "tls")
TOKEN = "a-token-of-the-tests-5e884898da28047151d0e56f8dc62927"
PLUGINS = ("auth-static", "auth-mtls", "auth-hmac")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def chain(world, authority, tmp_path):
    """A server with three auth plugins in an order."""
    tokens = TokenFile(tmp_path)
    tokens.add(TOKEN, "by-list")

    def serve(transport, order=PLUGINS, *flags):
        plugins = ("transport-ws", "transport-tls", *order)
        return world.server(transport, *(item for name in plugins for item in ("--plugin", name)),
                            "--tls-client-ca", authority.ca, *tokens.flags, *flags)
    return serve


def hello(client):
    with dial(client.bridge) as user:
        user.sendall(b"hello")
        assert read_exactly(user, 5) == b"hello"


@pytest.mark.parametrize("order", [PLUGINS, PLUGINS[::-1]], ids=["in_order", "reversed"])
@pytest.mark.parametrize("transport", SECURE)
def test_each_plugin_lets_in_whom_it_knows(world, burrow, chain, authority, transport, order):
    server, target = chain(transport, order), world.target(echo)
    hello(world.client(server, target, client_id="by-list", token=TOKEN))
    hello(world.client(server, target, client_id="by-jwt", token=burrow.mint("by-jwt")))
    hello(world.client(server, target, *authority.flags("/CN=by-cert"), client_id="by-cert", token=""))
    for name in ("by-list", "by-jwt", "by-cert"):
        server.wait_event("client_connected", client=name)
    assert not server.seen("auth_refused")


@pytest.mark.parametrize("transport", SECURE)
def test_whom_nobody_knows_is_refused(world, burrow, chain, transport):
    server = chain(transport)
    stranger = world.client(server, "127.0.0.1:9", token="another-token", wait=False)
    stranger.wait_event("refused", code="invalid_token")
    forger = world.client(server, "127.0.0.1:9", client_id="by-jwt",
                          token=burrow.mint("by-jwt", secret=SECRET + "!"), wait=False)
    forger.wait_event("refused", code="invalid_token")
    nobody = world.client(server, "127.0.0.1:9", client_id="nobody", token="", wait=False)
    nobody.wait_event("refused", code="missing_bearer")
    assert not server.seen("client_connected")


@pytest.mark.parametrize("transport", SECURE)
def test_a_certificate_that_nobody_judges_does_not_spoil_a_token(world, burrow, authority, transport):
    server = world.server(transport, "--tls-client-ca", authority.ca, "--plugin", "transport-ws", "--plugin",
                          "transport-tls", "--plugin", "auth-hmac")
    hello(world.client(server, world.target(echo), *authority.flags("/CN=whoever")))


@pytest.mark.parametrize("transport", SECURE)
def test_a_denial_is_final_though_a_later_plugin_would_allow(world, chain, authority, transport):
    """A certificate without one clear name is denied before the token of the list is looked at."""
    server = chain(transport, ("auth-mtls", "auth-static", "auth-hmac"))
    client = world.client(server, "127.0.0.1:9", *authority.flags("/CN=a/CN=b"), client_id="by-list", token=TOKEN,
                          wait=False)
    client.wait_event("refused", code="invalid_token")
    assert server.wait_event("auth_refused")["plugin"] == "auth-mtls"


def test_the_first_that_knows_the_client_decides(world, chain, authority):
    """With both, the list's order says which identity counts where both are shown at once."""
    server, target = chain("wss", ("auth-static", "auth-mtls", "auth-hmac")), world.target(echo)
    flags = authority.flags("/CN=by-cert")
    hello(world.client(server, target, *flags, client_id="by-list", token=TOKEN))
    client = world.client(server, target, *flags, client_id="by-cert", token=TOKEN, wait=False)
    client.wait_event("refused", code="identity_mismatch")


@pytest.mark.parametrize("transport", SECURE)
def test_a_certificate_and_a_token_in_the_register_frame(world, burrow, chain, authority, transport):
    server, target = chain(transport, PLUGINS, "--token-in-register"), world.target(echo)
    hello(world.client(server, target, "--token-in-register", client_id="by-list", token=TOKEN))
    hello(world.client(server, target, "--token-in-register", *authority.flags("/CN=by-cert"), client_id="by-cert",
                       token=""))

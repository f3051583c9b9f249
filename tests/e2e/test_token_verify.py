# SPDX-License-Identifier: Apache-2.0
"""`burrow token verify`: what a server with the same options would say, by the server's own auth plugins."""
import json

import pytest

from harness.burrow import SECRET
from harness.provider import Key, Provider, Web
from harness.tokens import TokenFile

TOKEN = "a-token-of-the-tests-5e884898da28047151d0e56f8dc62927"


@pytest.fixture
def served(world):
    """Serves until the test ends."""
    def begin(web):
        world.closing.append(web)
        return web
    return begin


def verify(burrow, token, *flags):
    done = burrow.run("token", "verify", *flags, token, timeout=30)
    return done.returncode, done.stdout, done.stderr


def test_it_takes_the_servers_whole_command_line_and_its_config_file(burrow, tmp_path):
    token = burrow.mint("client-a")
    flags = ["--jwt-hmac-secret", SECRET, "--jwt-issuer", "somebody"]
    server = ["--server-addr", "127.0.0.1:1", "--max-clients", "3", "--bridge-port-range", "20000-20010"]
    code, said, _ = verify(burrow, token, *flags[:2], *server)
    assert code == 0 and said.startswith('accepted: client "client-a"') and said.endswith("by auth-hmac\n")
    code, said, _ = verify(burrow, token, *flags, *server)
    assert code == 1 and said.startswith("refused: code=invalid_token reason=iss ")
    file = tmp_path / "burrow.yaml"
    file.write_text(f"server-addr: 127.0.0.1:1\njwt-hmac-secret: {SECRET}\nplugins:\n"
                    "  - transport-ws\n  - auth-hmac\n")
    file.chmod(0o600)
    assert verify(burrow, token, "--config", str(file))[0] == 0


def test_the_second_secret_counts_as_it_does_for_the_server(burrow):
    flags = ["--jwt-hmac-secret", "another" * 10, "--jwt-hmac-secret-previous", SECRET]
    assert verify(burrow, burrow.mint("client-a"), *flags)[0] == 0
    assert verify(burrow, burrow.mint("client-a"), *flags[:2])[0] == 1


def test_keys_of_a_provider_are_fetched_by_https(burrow, served):
    key = Key("k1")
    provider = served(Provider(key, certificate=burrow.certificate))
    flags = provider.flags(authority=burrow.certificate[0])
    code, said, log = verify(burrow, key.token(), *flags)
    assert code == 0 and said.startswith('accepted: client "client-a"'), said + log
    code, said, _ = verify(burrow, Key("k2").token(), *flags)
    assert code == 1 and said.startswith("refused: code=invalid_token")
    code, said, log = verify(burrow, key.token(), *provider.flags())
    assert code == 1 and said.startswith("cannot tell: plugin=auth-jwks reason=") and "certificate" in said
    assert "event=jwks_failed" in log
    provider.close()
    code, said, _ = verify(burrow, key.token(), *flags)
    assert code == 1 and "there is no key set yet" in said


def test_keys_that_are_left_out_are_named(burrow, served):
    key, other = Key("k1"), Key("k2")
    bad = {**other.jwk, "use": "enc"}
    provider = served(Provider(key))
    provider.manner = lambda _, request: request.reply(200, json.dumps({"keys": [key.jwk, bad]}).encode())
    code, _, log = verify(burrow, other.token(), *provider.flags())
    assert code == 1 and "event=jwks_key_skipped" in log and "kid=k2" in log


def test_a_service_that_judges_is_asked(burrow, served):
    asked = []

    def answer(request):
        asked.append(request.headers["Authorization"])
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            request.reply(401)
        else:
            request.reply(200, json.dumps({"subject": "client-a", "grants": {"max_streams": 3}}).encode(),
                          Content_Type="application/json")

    web = served(Web(answer))
    flags = ["--auth-http-url", web.url + "/ask"]
    code, said, log = verify(burrow, TOKEN, *flags)
    assert code == 0 and 'client "client-a"' in said and "max_streams=3, by auth-http" in said, said + log
    assert verify(burrow, "another", *flags)[0] == 1
    assert asked == [f"Bearer {TOKEN}", "Bearer another"]


def test_a_list_of_tokens_is_read_and_a_chain_is_asked_in_its_order(burrow, tmp_path):
    tokens = TokenFile(tmp_path)
    tokens.add(TOKEN, "client-b")
    chain = ["--plugin", "auth-hmac", "--plugin", "auth-static", "--jwt-hmac-secret", SECRET, *tokens.flags]
    assert verify(burrow, TOKEN, *chain)[1] == \
        'accepted: client "client-b", grants none: the server\'s limits apply, by auth-static\n'
    assert verify(burrow, burrow.mint("client-a"), *chain)[1].endswith("by auth-hmac\n")
    code, said, _ = verify(burrow, "neither", *chain)
    assert code == 1 and said.index("auth-hmac: ") < said.index("auth-static: ")


def test_a_token_is_no_certificate(burrow):
    code, said, _ = verify(burrow, TOKEN, "--plugin", "auth-mtls", "--tls-client-ca", burrow.certificate[0])
    assert code == 1 and said.startswith("refused: code=")


@pytest.mark.parametrize("argv, said", [
    (["verify", TOKEN], "no key source"),
    (["--jwt-alg", "HS256", "verify", TOKEN], "the subcommand comes before its options"),
    (["verify", TOKEN, "--jwks-url", "http://idp.example/"], "--jwks-allow-http"),
    (["verify", TOKEN, "--jwt-hmac-secret-file", "/no/such/file"], "--jwt-hmac-secret-file"),
    (["verify", TOKEN, "--jwt-hmac-secret", SECRET, "--max-clients", "none"], "--max-clients"),
    (["verify", TOKEN, "--jwt-hmac-secret", SECRET, "--no-such"], "--no-such")])
def test_wrong_options_are_one_line_and_exit_2(burrow, argv, said):
    done = burrow.run("token", *argv)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""

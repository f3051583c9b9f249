# SPDX-License-Identifier: Apache-2.0
"""auth-jwks with a real provider of keys: they rotate under load, strangers invent key ids, and
the provider stalls, redirects, floods and dies. With BURROW_LONG=1 the rotations last for minutes."""
import concurrent.futures
import os
import socket
import threading
import time

import pytest

from harness.burrow import make_certificate
from harness.provider import UPGRADE, Key, Provider, document
from harness.provider import knock as upgrade
from harness.sockets import dial, echo, read_exactly

LONG = os.environ.get("BURROW_LONG") == "1"


def knock(server, token):
    """The status that a client with this token gets: 101 lets it in."""
    return upgrade(server, token)[0]


def serve(world, provider, **options):
    world.closing.append(provider)
    return world.server("ws", *provider.flags(**options), auth=False)


def open_files(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def test_a_client_with_a_token_of_the_provider_comes_through(world, burrow):
    key = Key("k1")
    provider = Provider(key, certificate=burrow.certificate)
    server = serve(world, provider, authority=burrow.certificate[0])
    server.wait_event("jwks_loaded", keys=1)
    client = world.client(server, world.target(echo), token=key.token())
    with dial(client.bridge) as user:
        user.sendall(b"hello")
        assert read_exactly(user, 5) == b"hello"
    assert knock(server, Key("k1").token()) == 401
    assert knock(server, key.token(aud="somebody else")) == 401
    assert knock(server, key.token(exp=int(time.time()) - 120)) == 401


def test_a_provider_that_the_authority_does_not_know_gives_no_keys(world, burrow):
    key = Key("k1")
    server = serve(world, Provider(key, certificate=burrow.certificate))
    failed = server.wait_event("jwks_failed")
    assert "certificate" in failed["reason"] and failed["keys_kept"] == "0"
    assert knock(server, key.token()) == 503


def stalls(provider, request):
    provider.stopping.wait(60)
    request.close_connection = True


def drips(provider, request):
    request.send_response_only(200)
    request.end_headers()
    while not provider.stopping.wait(1):
        request.wfile.write(b" ")


def floods(provider, request):
    request.send_response_only(200)
    request.send_header("Content-Length", str(2 << 30))
    request.end_headers()
    for _ in range(2 << 10):
        request.wfile.write(bytes(1 << 20))


def redirects(provider, request):
    request.reply(302, Location=f"http://localhost:{provider.port}/jwks")


def fails(provider, request):
    request.reply(500, document(Key("k1")))


def lies(provider, request):
    request.reply(200, b"<html>please sign in</html>")


def trouble(world, server, provider, manner):
    """The provider misbehaves, or dies (None), until the server has noticed; who serves then."""
    mark = server.mark()
    if manner is not None:
        provider.manner = manner
        server.wait_event("jwks_failed", 40, after=mark)
        provider.manner = None
        return provider
    provider.close()
    server.wait_event("jwks_failed", 40, after=mark)
    again = Provider(*provider.keys, port=provider.port)
    world.closing[world.closing.index(provider)] = again
    return again


def test_authorities_that_change_count_and_broken_ones_leave_the_old(world, burrow, tmp_path):
    keys = [Key("k1"), Key("k2"), Key("k3")]
    authority = tmp_path / "ca.pem"
    good = open(burrow.certificate[0], "rb").read()
    authority.write_bytes(good)
    provider = Provider(keys[0], certificate=burrow.certificate)
    server = serve(world, provider, authority=authority, jwks_refresh="200ms")
    server.wait_event("jwks_loaded", keys=1)
    mark = server.mark()
    authority.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    assert server.wait_event("file_refused", after=mark)["plugin"] == "auth-jwks"
    provider.keys = keys[1:2]
    server.wait_event("jwks_loaded", after=mark)
    assert knock(server, keys[1].token()) == 101
    other = tmp_path / "other"
    other.mkdir()
    mark = server.mark()
    authority.write_bytes(open(make_certificate(str(other))[0], "rb").read())
    server.wait_event("file_reloaded", after=mark)
    assert "certificate" in server.wait_event("jwks_failed", after=mark)["reason"]
    assert knock(server, keys[1].token()) == 101  # the last good set
    mark = server.mark()
    authority.write_bytes(good)
    provider.keys = keys[2:]
    server.wait_event("jwks_loaded", after=mark)
    assert knock(server, keys[2].token()) == 101


def test_keys_rotate_a_hundred_times_under_load(world, sized):
    """Each key is published for two rotations before it signs and for one after; at times the provider
    misbehaves or dies. Nobody with a token of the present key is refused; one of a withdrawn key lets
    nobody in once the set was fetched."""
    rotations, pace = sized(100, 20), 2.0 if LONG else 0.4
    troubles = [redirects, fails, lies, floods, None] + ([stalls, drips] if LONG else [])
    keys = [Key(f"k{i}") for i in range(rotations + 4)]
    provider = Provider(*keys[:3])
    server = serve(world, provider, jwks_refresh="200ms")
    server.wait_event("jwks_loaded", keys=3)
    client = world.client(server, world.target(echo), token=keys[0].token(exp=int(time.time()) + 3600))
    present, done, refused, admitted = [0], threading.Event(), [], [0]

    def load():
        while not done.is_set():
            i = present[0]
            status = knock(server, keys[i].token(f"client-{i}"))
            if status == 101:
                admitted[0] += 1
            else:
                refused.append((i, status))

    loads = [threading.Thread(target=load) for _ in range(2)]
    for thread in loads:
        thread.start()
    try:
        for i in range(1, rotations):
            began = time.monotonic()
            present[0] = i
            provider.keys = keys[max(0, i - 1):i + 3]
            provider.wait_more(2)  # the second began after the change
            if i >= 2:
                assert knock(server, keys[i - 2].token()) == 401, "a withdrawn key lets in"
            if i % (5 if LONG else 20) == 3:
                provider = trouble(world, server, provider, troubles[i // (5 if LONG else 20) % len(troubles)])
            time.sleep(max(0.0, pace - (time.monotonic() - began)))
    finally:
        done.set()
        for thread in loads:
            thread.join()
    assert not refused, f"{len(refused)} refused of {admitted[0]}: {refused[:5]}"
    assert admitted[0] > rotations
    assert server.memory_kib() < sized(200, 600) << 10  # sanitizers keep what is freed for a while
    with dial(client.bridge) as user:  # a session outlives the keys of its token
        user.sendall(b"hello")
        assert read_exactly(user, 5) == b"hello"


@pytest.mark.parametrize("manner, reason", [
    (stalls, "not done within"), (drips, "not done within"), (floods, "more than 1048576 bytes"),
    (redirects, "only the same origin"), (fails, "status 500"), (lies, "no JSON object")])
def test_a_provider_that_misbehaves_leaves_the_last_good_set(world, sized, manner, reason):
    old, new = Key("old"), Key("new")
    provider = Provider(old)
    server = serve(world, provider, jwks_refresh="500ms")
    server.wait_event("jwks_loaded", keys=1)
    assert knock(server, old.token()) == 101
    mark = server.mark()
    provider.manner = manner
    failed = server.wait_event("jwks_failed", after=mark)
    assert reason in failed["reason"] and failed["keys_kept"] == "1"
    assert knock(server, old.token()) == 101
    assert server.memory_kib() < sized(200, 600) << 10  # sanitizers keep what is freed for a while
    mark = server.mark()
    provider.keys, provider.manner = [new], None
    server.wait_event("jwks_loaded", after=mark, keys=1)
    assert knock(server, new.token()) == 101
    assert knock(server, old.token()) == 401


def test_a_provider_that_dies_leaves_the_last_good_set_and_may_come_back(world):
    old, new = Key("old"), Key("new")
    provider = Provider(old)
    server = serve(world, provider, jwks_refresh="500ms")
    server.wait_event("jwks_loaded", keys=1)
    provider.close()
    server.wait_event("jwks_failed")
    assert knock(server, old.token()) == 101
    assert knock(server, new.token()) == 401  # code=verifier_config: see the log
    assert server.wait_event("auth_refused", code="verifier_config")
    mark = server.mark()
    again = Provider(new, port=provider.port)
    world.closing[-1] = again
    server.wait_event("jwks_loaded", after=mark)
    assert knock(server, new.token()) == 101


def test_a_server_starts_without_its_provider_and_lets_clients_in_when_it_is_there(world):
    key = Key("k1")
    provider = Provider(key)
    provider.manner = fails
    server = serve(world, provider)
    server.wait_event("jwks_failed")
    client = world.client(server, world.target(echo), "--client-retry-interval", "200ms",
                          token=key.token(), wait=False)
    assert knock(server, key.token()) == 503
    provider.manner = None
    client.ready(60)


def refuse_unknown_kids(server, provider, n):
    """Shows n tokens of a stranger, each with a key id of its own: one fetch per cooldown asks for them."""
    stranger, began = Key("stranger"), time.monotonic()
    tokens = (stranger.token(kid=f"random-{i}") for i in range(n))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda token: knock(server, token), tokens)) == {401}
    cooldowns = int((time.monotonic() - began) // 30) + 1
    assert 2 <= provider.requests <= 1 + cooldowns


def test_200_tokens_with_unknown_kids_make_one_fetch(world):
    """Burrow 0.5 makes 200."""
    key = Key("k1")
    provider = Provider(key)
    server = serve(world, provider)
    server.wait_event("jwks_loaded")
    refuse_unknown_kids(server, provider, 200)
    assert knock(server, key.token()) == 101


def test_10000_random_kids_cause_one_fetch_per_cooldown(world, sized):
    key = Key("k1")
    provider = Provider(key)
    server = serve(world, provider)
    server.wait_event("jwks_loaded")
    refuse_unknown_kids(server, provider, sized(10000, 1000))
    assert knock(server, key.token()) == 101


def test_a_mounted_key_set_is_followed_through_its_links(world, tmp_path):
    """As a volume mount swaps them: a link to a folder is replaced."""
    old, new = Key("old"), Key("new")
    for name, key in (("first", old), ("second", new)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "jwks.json").write_bytes(document(key))
    (tmp_path / "data").symlink_to("first")
    server = world.server("ws", f"--jwks-url=file:{tmp_path}/data/jwks.json", "--jwt-alg=ES256", auth=False)
    assert knock(server, old.token()) == 101
    assert knock(server, new.token()) == 401
    mark = server.mark()
    (tmp_path / "next").symlink_to("second")
    (tmp_path / "next").rename(tmp_path / "data")
    server.wait_event("jwks_loaded", after=mark)
    assert knock(server, new.token()) == 101
    assert knock(server, old.token()) == 401
    mark = server.mark()
    (tmp_path / "second" / "jwks.json").write_bytes(b"{")
    server.wait_event("jwks_failed", after=mark)
    assert knock(server, new.token()) == 101


def test_descriptors_and_memory_stay_flat_over_many_fetches(world, burrow, sized):
    provider = Provider(Key("k1"), certificate=burrow.certificate)
    server = serve(world, provider, authority=burrow.certificate[0], jwks_refresh="100ms")
    provider.wait_more(5)
    files, memory = open_files(server), server.memory_kib("VmRSS")
    provider.wait_more(sized(60, 30), 60)
    assert open_files(server) <= files + 2
    assert server.memory_kib("VmRSS") < memory + sized(4 << 10, 64 << 10)


def test_the_server_stops_with_a_fetch_under_way_and_clients_waiting(world):
    key = Key("k1")
    provider = Provider(key)
    provider.manner = stalls
    server = serve(world, provider)
    with socket.create_connection(server.web, 20) as link:
        lines = [f"{name}: {value}" for name, value in UPGRADE.items()]
        link.sendall("\r\n".join(["GET /ws HTTP/1.1", "Host: x", *lines,
                                  f"Authorization: Bearer {key.token()}", "", ""]).encode())
        provider.wait_requests(1)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("flags, said", [
    (["--jwks-url=http://idp.example/jwks"], "--jwks-allow-http"),
    (["--jwks-url=idp.example"], "expected https://HOST/PATH"),
    (["--jwks-url=https://u:hunter2@idp.example/"], "--jwks-url (BURROW_JWKS_URL)"),
    (["--jwks-url=https://idp.example/", "--jwt-alg=HS256"], "--jwt-alg"),
    (["--jwks-url=https://idp.example/", "--jwks-ca=/no/such/file"], "--jwks-ca"),
    (["--jwks-url=https://idp.example/", "--jwks-refresh=0s"], "--jwks-refresh")])
def test_bad_options_end_with_2_and_one_line(burrow, flags, said):
    done = burrow.run("server", "--server-addr=127.0.0.1:0", *flags)
    assert done.returncode == 2 and said in done.stderr and "hunter2" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1

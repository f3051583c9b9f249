# SPDX-License-Identifier: Apache-2.0
"""auth-http with a real service that judges tokens, and with the other plugins of a chain."""
import http.client
import json
import threading
import time

import pytest

from harness.provider import Web, knock
from harness.sockets import dial, echo, read_exactly
from harness.tokens import TokenFile
from harness.wait import descriptors, until


class Service(Web):
    """Knows the tokens of its table: {token: (status, object), or what makes them}; others are 401. `fields` go with
    every answer; `hold` delays them, and `most` tells how many questions were open at once."""

    def __init__(self, known, **options):
        self.known, self.fields, self.hold, self.seen = known, {}, None, []
        self.at_once, self.most, self._lock = 0, 0, threading.Lock()  # questions: now, and ever
        super().__init__(self._answer, **options)

    def _answer(self, request):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        assert scheme == "Bearer"
        self.seen.append(dict(request.headers))
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        if self.hold:
            self.hold.wait(30)
        with self._lock:
            self.at_once -= 1
        answer = self.known.get(token, (401, {"code": "invalid_token"}))
        status, answer = answer() if callable(answer) else answer
        request.reply(status, json.dumps(answer).encode(), **self.fields)

    def flags(self, **options):
        given = {"auth-http-url": self.url + "/judge", **{f"auth-http-{k.replace('_', '-')}": v for k, v in options.items()}}
        return [f"--{name}={value}" for name, value in given.items()]


@pytest.fixture
def service(world):
    def make(known, **options):
        service = Service(known, **options)
        world.closing.append(service)
        return service
    return make


def allow(subject="client-a", **more):
    return 200, {"subject": subject, **more}


def test_whom_the_service_lets_in_comes_through_and_only_as_whom_it_says(world, burrow, service, transport):
    judge = service({"t1": allow()}, certificate=burrow.certificate)
    server = world.server(transport, *judge.flags(ca=burrow.certificate[0]), auth=False)
    client = world.client(server, world.target(echo), token="t1")
    with dial(client.bridge) as user:
        user.sendall(b"hello")
        assert read_exactly(user, 5) == b"hello"
    other = world.client(server, world.target(echo), client_id="client-b", token="t1", wait=False)
    assert other.wait_event("refused")["code"] == "identity_mismatch"
    assert judge.seen[0]["X-Burrow-Peer"] == "127.0.0.1"


@pytest.mark.parametrize("answer, status, code", [
    ((401, {"code": "invalid_token"}), 401, "invalid_token"),
    ((401, {"code": "token_expired"}), 401, "token_expired"),
    ((401, "no object"), 401, "invalid_token"),
    ((403, {"reason": "not today"}), 401, "invalid_token"),
    (allow(expires=1000), 401, "token_expired"),
    ((200, {"name": "Ada"}), 503, None),
    ((500, {}), 503, None),
    ((302, {}), 503, None)])
def test_each_answer_of_the_service_has_its_status(world, service, answer, status, code):
    server = world.server("ws", *service({"t1": answer}).flags(), auth=False)
    got, text = knock(server, "t1")
    assert got == status
    assert code is None or f"code={code} " in text
    assert "not today" not in text


def test_grants_of_the_service_are_enforced(world, service):
    server = world.server("ws", *service({"t1": allow(grants={"services": ["web"]}),
                                          "t2": allow(grants={"unheard": 1})}).flags(), auth=False)
    target = world.target(echo)
    world.client(server, f"web={target}", "--local-target", f"pg={target}", token="t1")
    server.wait_event("grant_refused", grant="services", service="pg")
    assert knock(server, "t2")[0] == 401  # what is not understood lets nobody in


def test_an_answer_counts_as_long_as_it_says(world, service):
    judge = service({"t1": allow(), "t2": lambda: allow(expires=int(time.time()) + 5)})
    judge.fields = {"Cache_Control": "max-age=600"}
    server = world.server("ws", *judge.flags(), auth=False)
    assert [knock(server, "t1")[0] for _ in range(5)] == [101] * 5
    assert judge.requests == 1
    assert knock(server, "t2")[0] == 101
    judge.known["t2"] = (401, {"code": "token_expired"})
    until(lambda: knock(server, "t2")[0] == 401)
    judge.fields = {}
    assert {knock(server, "t3")[0] for _ in range(3)} == {401}
    assert judge.requests == 6


def test_many_clients_with_one_token_are_one_question(world, service):
    judge = service({"t1": allow()})
    judge.hold = threading.Event()
    server = world.server("ws", *judge.flags(), auth=False)
    statuses, before = [], descriptors(server)
    knocks = [threading.Thread(target=lambda: statuses.append(knock(server, "t1")[0])) for _ in range(20)]
    for thread in knocks:
        thread.start()
    judge.wait_requests(1)
    until(lambda: descriptors(server) >= before + 20)  # all have come
    judge.hold.set()
    for thread in knocks:
        thread.join()
    assert statuses == [101] * 20
    assert judge.requests < 20


def test_a_service_that_stalls_holds_up_only_those_who_ask_it(world, service):
    judge = service({"t1": allow()})
    judge.hold = threading.Event()
    server = world.server("ws", *judge.flags(timeout="4s"), auth=False)
    waiting = threading.Thread(target=knock, args=(server, "t1"))
    waiting.start()
    judge.wait_requests(1)
    link = http.client.HTTPConnection(*server.web, timeout=20)
    link.request("GET", "/healthz")
    assert link.getresponse().status == 200 and waiting.is_alive()
    link.close()
    waiting.join()
    assert knock(server, "t1")[0] == 503
    assert "not done within 4000 ms" in server.wait_event("auth_http_failing")["reason"]
    judge.hold.set()
    assert knock(server, "t1")[0] == 101
    server.wait_event("auth_http_recovered")


def test_a_token_that_the_service_does_not_know_goes_to_the_next_plugin(world, service, tmp_path):
    tokens = TokenFile(tmp_path)
    tokens.add("a-token-of-the-file-5e884898da28047151d0e56f8dc62927", "client-b")
    tokens.add("barred", "client-c")
    judge = service({"t1": allow(), "barred": (403, {})})
    server = world.server("ws", "--plugin", f"auth-http,auth-http-url={judge.url}/judge", "--plugin",
                          f"auth-static,auth-static-file={tokens.path}", "--plugin", "transport-ws", auth=False)
    assert knock(server, "t1")[0] == 101
    assert knock(server, "a-token-of-the-file-5e884898da28047151d0e56f8dc62927")[0] == 101
    assert knock(server, "barred")[0] == 401
    assert knock(server, "nobody")[0] == 401


def test_the_server_stops_with_questions_under_way(world, service):
    judge = service({})
    judge.hold = threading.Event()
    server = world.server("ws", *judge.flags(timeout="9s"), auth=False)
    client = world.client(server, world.target(echo), token="t1", wait=False)
    judge.wait_requests(1)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 8
    judge.hold.set()
    client.stop()


@pytest.mark.parametrize("flags, said", [
    (["--auth-http-url=http://idp.example/"], "--auth-http-allow-http"),
    (["--auth-http-url=idp.example"], "expected https://HOST/PATH"),
    (["--auth-http-url=https://u:hunter2@idp.example/"], "--auth-http-url (BURROW_AUTH_HTTP_URL)"),
    (["--auth-http-url=https://idp.example/", "--auth-http-timeout=1m"], "--auth-http-timeout"),
    (["--auth-http-url=https://idp.example/", "--jwks-url=https://idp.example/"], "several key sources")])
def test_bad_options_end_with_2_and_one_line(burrow, flags, said):
    done = burrow.run("server", "--server-addr=127.0.0.1:0", *flags)
    assert done.returncode == 2 and said in done.stderr and "hunter2" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1

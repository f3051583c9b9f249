# SPDX-License-Identifier: Apache-2.0
"""Credentials that a kubeconfig's program says, before an invented API that stops taking them."""
import contextlib
import json
import os
import signal
import urllib.request

import pytest

from harness.burrow import SECRET, clean_environment
from harness.kubernetes import Api, failure, say
from harness.process import Process
from harness.wait import PATIENCE, until
from test_expose_interrupt import Objects


class Guarded(Objects):
    """Takes one token only, that of the file from which the program says it."""

    def __init__(self, token, on_proxy):
        super().__init__(ready=on_proxy is not None)
        self.token, self.shown, self.api, self.on_proxy = token, [], None, on_proxy

    def renew(self, token):
        self.token.write_text(token)

    def __call__(self, method, path, body):
        if self.on_proxy and "/proxy/" in path:
            self.shown.append(self.api.authorization)
            self.on_proxy(self)
        if self.api.authorization != f"Bearer {self.token.read_text()}":
            return failure(401, "Unauthorized")
        return super().__call__(method, path, body)


def kubeconfig(folder, url, script):
    program = folder / "login"
    program.write_text("#!/bin/sh\necho run >>\"${0%/*}/runs\"\n" + script)
    program.chmod(0o755)
    path = folder / "kubeconfig"
    path.write_text(json.dumps({
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "here"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"exec": {"command": "./login", "apiVersion": "client.authentication.k8s.io/v1"}}}]}))
    return path


def runs(folder):
    return len((folder / "runs").read_text().split()) if (folder / "runs").exists() else 0


@pytest.fixture
def exposing(burrow, world, tmp_path):
    processes = []

    def make(on_proxy=None):
        objects = Guarded(tmp_path / "token", on_proxy)
        objects.renew("first")
        api = objects.api = Api(objects)
        world.closing.append(api)
        path = kubeconfig(tmp_path, api.url, """printf '{"status": {"token": "%s"}}' "$(cat "${0%/*}/token")"\n""")
        processes.append(Process("expose", [
            # As who starts it may have it: no news of children.
            "/bin/sh", "-c", 'exec env --ignore-signal=CHLD "$@" >&2', "sh", burrow.binary, "expose", "--client-id", "web", "--local-target", "127.0.0.1:1",
            "--service-type", "ClusterIP", "--kubeconfig", path, "--kube-allow-exec"], env=clean_environment()))
        return processes[0], objects, api
    yield make
    for process in processes:
        if process.running():
            process.kill()


def test_with_a_token_that_was_refused_it_asks_again_and_cleans_up(exposing, tmp_path):
    process, objects, api = exposing()
    api.wait("GET", "/pods")  # all is created, and the wait has begun
    assert runs(tmp_path) == 1
    with api.news:
        objects.renew("second")
    process.signal(signal.SIGINT)
    assert process.wait() == 130
    assert objects.objects == {} and runs(tmp_path) == 2, process.log


def test_the_way_through_the_api_server_asks_again_after_a_401(exposing):
    process, objects, api = exposing(lambda objects: objects.renew("second"))
    api.wait("GET", "/proxy/ws", count=2)
    process.signal(signal.SIGINT)
    assert process.wait() == 0
    assert objects.shown[:2] == ["Bearer first", "Bearer second"] and objects.objects == {}, process.log


def test_a_server_goes_on_while_the_program_runs_and_only_its_calls_wait(world, burrow, tmp_path):
    """At a reload, too: to check the configuration runs nothing."""
    api = Api(lambda method, path, body: say(200, {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": []}))
    world.closing.append(api)
    os.mkfifo(tmp_path / "answer")
    flags = ["--enable-kube-api", "true", "--kube-allow-exec", "--kubeconfig",
             str(kubeconfig(tmp_path, api.url, 'cat "${0%/*}/answer"\n'))]
    done = burrow.run("check-config", "server", *flags, env=clean_environment(BURROW_JWT_HMAC_SECRET=SECRET))
    assert done.returncode == 0 and runs(tmp_path) == 0, done.stderr
    server = world.server("ws", *flags)
    until(lambda: runs(tmp_path) == 1)
    mark = server.mark()
    server.signal(signal.SIGHUP)
    server.wait_event("reloaded", after=mark)
    with urllib.request.urlopen(f"{server.web_url}/healthz", timeout=PATIENCE) as answer:
        assert answer.status == 200
    assert runs(tmp_path) == 1 and api.requests == []
    def reader():  # of what the program reads from, not waited for without an end
        with contextlib.suppress(OSError):
            return os.open(tmp_path / "answer", os.O_WRONLY | os.O_NONBLOCK)
    with open(until(reader), "w", encoding="utf-8") as answer:
        answer.write('{"status": {"token": "from-exec"}}')
    api.wait("GET", "/services")
    assert api.authorizations == {"Bearer from-exec"}

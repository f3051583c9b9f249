# SPDX-License-Identifier: Apache-2.0
"""`burrow expose` that is interrupted, and again while it cleans up, by an invented API that stops answering."""
import json
import re
import shlex
import signal
import threading

import pytest

from harness.burrow import clean_environment
from harness.kubernetes import Api, failure, say
from harness.process import Process
from harness.wait import PATIENCE

MADE = ["secret/burrow-web-auth", "serviceaccount/burrow-web", "role/burrow-web", "rolebinding/burrow-web",
        "deployment/burrow-web", "service/burrow-web"]

AVAILABLE = {"observedGeneration": 9, "conditions": [{"type": "Available", "status": "True"}]}


class Objects:
    """What was created stays as it was, and no server is ever ready but with `ready`; `silent` keeps every answer back."""

    def __init__(self, ready=False):
        self.objects, self.ready, self.silent, self.over = {}, ready, False, threading.Event()

    def __call__(self, method, path, body):
        path = path.split("?")[0]
        if self.silent:
            return 200, {}, self.nothing()
        if method == "POST":
            name = f"{path}/{body['metadata']['name']}"
            body["metadata"]["uid"] = f"uid-{len(self.objects)}"
            self.objects[name] = body
            return say(201, body)
        if path.endswith("/pods") or path.endswith("/events") or path.endswith("/replicasets"):
            return say(200, {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": []})
        if path not in self.objects:
            return failure(404, f"{path} not found")
        found = self.objects.pop(path) if method == "DELETE" else self.objects[path]
        return say(200, {**found, "status": AVAILABLE} if self.ready and "/deployments/" in path else found)

    def nothing(self):
        self.over.wait(2 * PATIENCE)
        yield b""


@pytest.fixture
def exposing(burrow, world, tmp_path):
    objects = Objects()
    api = Api(objects)
    world.closing.append(api)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps({
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "here"}}],
        "clusters": [{"name": "c", "cluster": {"server": api.url}}], "users": [{"name": "u", "user": {"token": "t"}}]}))
    process = Process("expose", [
        "/bin/sh", "-c", 'exec "$@" >&2', "sh", burrow.binary, "expose", "--client-id", "web", "--local-target", "127.0.0.1:1",
        "--service-type", "ClusterIP", "--kubeconfig", kubeconfig], env=clean_environment())
    api.wait("GET", "/pods")  # all is created, and the wait has begun
    yield process, objects, api
    objects.over.set()
    if process.running():
        process.kill()


def test_interrupted_once_it_deletes_what_it_has_made(exposing):
    process, objects, _ = exposing
    process.signal(signal.SIGINT)
    assert process.wait() == 130
    assert objects.objects == {} and [f"{name} deleted" in process.log for name in MADE] == [True] * len(MADE)


def test_interrupted_again_it_leaves_at_once_and_has_said_what_removes_the_rest(exposing, burrow):
    process, objects, api = exposing
    with api.news:
        objects.silent = True
    process.signal(signal.SIGINT)
    said = process.wait_line("cleaning up; interrupted again, burrow leaves at once")
    process.signal(signal.SIGINT)
    assert process.wait() == 130
    assert said.rsplit(": ", 1)[1].split() == MADE and len(objects.objects) == len(MADE)
    objects.silent = False
    objects.over.set()
    command = shlex.split(re.search("until `(.*)`", said)[1])
    assert command[:3] == ["burrow", "expose", "delete"]
    done = burrow.run(*command[1:])
    assert done.returncode == 0 and objects.objects == {}, done.stderr

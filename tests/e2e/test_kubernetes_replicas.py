# SPDX-License-Identifier: Apache-2.0
"""Servers that know which pod they are, against an invented API: what they ask for at their start, whose Services they
take away, and what they leave alone."""
import json
import re
import threading

import pytest

from harness.kubernetes import Api, failure, left_behind, say
from harness.sockets import echo
from harness.wait import PATIENCE
from test_kubernetes_answers import NAME, kubeconfig, published  # noqa: F401 (fixtures)

POD = {"metadata": {"name": "server-0", "uid": "p", "ownerReferences": [
    {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "r"}]}, "status": {"phase": "Running"}}
REPLICA_SET = {"metadata": {"name": "rs", "uid": "r", "ownerReferences": [
    {"apiVersion": "apps/v1", "kind": "Deployment", "name": "burrow", "uid": "d"}]}}
TIDY = ("--sweep-interval", "200ms", "--stale-service-age", "500ms")


class Cluster:
    """Objects of all kinds, by kind and name, as the API keeps them. Its watches tell nothing."""

    def __init__(self):
        self.objects = {("pods", "server-0"): POD, ("replicasets", "rs"): REPLICA_SET}
        self.version = 0

    def __call__(self, method, path, body):
        kind, name = re.search(r"/namespaces/here/(\w+)/?([^?]*)", path).groups()
        if "watch=true" in path:
            return 200, {}, self.silence()
        if method == "GET" and not name:
            return say(200, {"kind": "List", "metadata": {"resourceVersion": str(self.version)},
                             "items": [o for (k, _), o in self.objects.items() if k == kind]})
        if method in ("POST", "PUT"):
            return say(201, self.put(kind, body))
        if (kind, name) not in self.objects:
            return failure(404, f'{kind} "{name}" not found')
        if method == "DELETE":
            del self.objects[kind, name]
            return say(200, {"kind": "Status", "status": "Success"})
        return say(200, self.objects[kind, name])

    def put(self, kind, body):
        self.version += 1
        body = json.loads(json.dumps(body))
        body["metadata"].setdefault("name", f"{body['metadata'].get('generateName')}{self.version}")
        body["metadata"].update(uid=f"u{self.version}", resourceVersion=str(self.version))
        self.objects[kind, body["metadata"]["name"]] = body
        return body

    def kept_by(self, pod, phase, client_id):
        """A Service that the replica `pod` keeps; returns its name."""
        self.objects["pods", pod] = {"metadata": {"name": pod, "uid": pod}, "status": {"phase": phase}}
        service = left_behind(client_id)
        service["metadata"]["annotations"] = {"burrow.dev/holder": pod}
        return self.put("services", service)["metadata"]["name"]

    @staticmethod
    def silence():
        threading.Event().wait(PATIENCE)
        yield b""


@pytest.fixture(autouse=True)
def downward_api(monkeypatch):
    monkeypatch.setenv("POD_NAME", "server-0")
    monkeypatch.setenv("POD_IP", "10.0.0.7")


def asked(api, method, part=""):
    return [r for r in api.requests if r[0] == method and part in r[1]]


# An answer that says nothing about the pod, and how often: more often than a call is repeated by itself.
AWAY = {"401": (failure(401, "Unauthorized"), 2), "503": (failure(503, "starting"), 6)}


@pytest.mark.parametrize("how", AWAY)
def test_a_server_that_cannot_read_its_pod_yet_takes_nothing_away(published, how):  # noqa: F811
    cluster, (answer, times) = Cluster(), AWAY[how]
    cluster.kept_by("server-1", "Running", "other")
    cluster.kept_by("server-0", "Running", "client-a")
    cluster.objects["pods", "server-0"] = POD
    left = [times]

    def script(method, path, body):
        if "/pods/server-0" in path and left[0] > 0:
            left[0] -= 1
            return answer
        return cluster(method, path, body)

    api, server, _ = published(script, *TIDY)
    api.wait("POST", "/endpointslices")
    api.wait("GET", "/pods?", count=2)  # the sweep looks whose Services they are
    assert not asked(api, "DELETE") and "selector" not in cluster.objects["services", NAME]["spec"]
    assert cluster.objects["services", NAME]["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
    (said,) = server.seen("plugin")
    assert "nothing is published until then" in said["msg"]


def test_a_replica_set_that_cannot_be_read_yet_is_asked_for_again(published):  # noqa: F811
    cluster, left = Cluster(), [1]

    def script(method, path, body):
        if "/replicasets/" in path and left[0] > 0:
            left[0] -= 1
            return failure(401, "Unauthorized")
        return cluster(method, path, body)

    api, _, _ = published(script)
    assert api.wait("POST", "/services")[2]["metadata"]["ownerReferences"][0]["name"] == "burrow"


def test_without_slices_too_the_services_of_another_replica_stay(published):  # noqa: F811
    cluster = Cluster()
    cluster.kept_by("server-1", "Running", "other")
    api, _, _ = published(cluster, "--kube-endpoints", "selector", *TIDY)
    api.wait("GET", "/pods?", count=3)
    assert not asked(api, "DELETE")


def test_without_the_right_to_read_pods_what_is_left_behind_is_tidied_away(published):  # noqa: F811
    cluster = Cluster()
    name = cluster.kept_by("server-1", "Running", "other")

    def script(method, path, body):
        return failure(403, "pods is forbidden") if "/pods" in path else cluster(method, path, body)

    api, _, _ = published(script, *TIDY)
    assert api.wait("DELETE")[1].endswith(name)


def test_an_endpoint_slice_that_is_not_ours_is_never_changed(published):  # noqa: F811
    cluster = Cluster()
    foreign = cluster.put("endpointslices", {"metadata": {"name": NAME, "labels": {"owner": "somebody"}}, "endpoints": []})
    api, server, _ = published(cluster)
    assert f"an EndpointSlice {NAME} that is not ours" in server.wait_event("registry_failed")["reason"]
    api.wait("GET", "/endpointslices/", count=2)  # once more, and leaves it alone again
    assert cluster.objects["endpointslices", NAME] == foreign
    assert not asked(api, "PUT") and not asked(api, "POST", "/endpointslices")
    assert "not ours" in api.wait("POST", "/events")[2]["message"]


def test_without_the_right_to_make_slices_the_selector_leads_to_the_server(published):  # noqa: F811
    cluster = Cluster()

    def script(method, path, body):
        if method == "POST" and "/endpointslices" in path:
            return failure(403, 'endpointslices.discovery.k8s.io is forbidden: User "a" cannot create resource '
                           '"endpointslices" in API group "discovery.k8s.io" in the namespace "here"')
        return cluster(method, path, body)

    api, server, _ = published(script)
    assert api.wait("POST", "/services", count=2)[2]["spec"]["selector"] == {"app": "burrow-server"}
    assert "Services have the selector instead" in server.wait_event("plugin")["msg"]
    assert not server.seen("registry_failed")


def test_a_quota_that_is_used_up_does_not_end_slices(published):  # noqa: F811
    """A refusal (403), too, and not for want of a right: the next may come through."""
    cluster, refused = Cluster(), []

    def script(method, path, body):
        if method == "POST" and "/endpointslices" in path and not refused:
            refused.append(body)
            return failure(403, f'endpointslices.discovery.k8s.io "{NAME}" is forbidden: exceeded quota: few')
        return cluster(method, path, body)

    api, server, _ = published(script)
    assert "exceeded quota" in server.wait_event("registry_failed")["reason"]
    api.wait("POST", "/endpointslices", count=2)
    assert len(asked(api, "POST", "/services")) == 1


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_replica_whose_pod_has_ended_counts_as_gone(published, phase):  # noqa: F811
    """An evicted pod stays as an object."""
    cluster = Cluster()
    kept = cluster.kept_by("server-1", "Running", "other")
    name = cluster.kept_by("server-2", phase, "gone")
    api, _, _ = published(cluster, *TIDY)
    assert api.wait("DELETE")[1].endswith(name)
    api.wait("GET", "/pods?", count=3)
    assert ("services", kept) in cluster.objects


def test_services_of_a_client_with_one_name_and_one_port_get_ports_of_their_own(world, kubeconfig):  # noqa: F811
    cluster = Cluster()
    api = Api(cluster)
    world.closing.append(api)
    server = world.server("ws", "--enable-kube-api", "true", "--kubeconfig", kubeconfig(api.url))
    world.client(server, "127.0.0.1:8001", "--local-target", "tcp=127.0.0.1:8001")
    first, second = api.wait("POST", "/services")[2]["spec"]["ports"]
    assert (first["name"], first["port"]) == ("tcp", 8001)
    assert (second["name"], second["port"]) == (f"tcp-{second['targetPort']}", second["targetPort"])


def test_an_event_tells_a_reason_once_until_something_else_happens(published, world):  # noqa: F811
    cluster, foreign = Cluster(), {"metadata": {"name": NAME}, "spec": {"ports": []}}
    cluster.put("services", foreign)
    api, server, client = published(cluster)
    api.wait("GET", f"/services/{NAME}", count=3)  # it has been refused twice
    assert len(asked(api, "POST", "/events")) == 1
    with api.news:
        del cluster.objects["services", NAME]
    api.wait("POST", "/endpointslices")
    with api.news:
        cluster.put("services", foreign)
    client.stop()
    world.client(server, world.target(echo))
    assert "not of this client" in api.wait("POST", "/events", count=2)[2]["message"]

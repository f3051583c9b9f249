# SPDX-License-Identifier: Apache-2.0
"""An API of Kubernetes that misbehaves, and kubeconfigs that are wrong. (The well-behaved API is a real
one: tests/kube.)"""
import base64
import json
import re
import subprocess
import threading

import pytest

from harness.burrow import SECRET, clean_environment
from harness.kubernetes import Api, failure, left_behind, say
from harness.sockets import echo
from harness.wait import PATIENCE

NAME = "burrow-client-client-a-6af82af8"


class Store:
    """Services as the API keeps them, in memory: what a test does not spoil works."""

    def __init__(self):
        self.services, self.version = {}, 0
        self.page = 500  # items of a list that are told at once
        self.changes, self.news = [], threading.Condition()  # (version, line of a watch)

    def __call__(self, method, path, body):
        name = path.split("?")[0].rsplit("/services", 1)[1].strip("/")
        if "watch=true" in path:
            return 200, {"Content-Type": "application/json"}, self.watch(int(re.search(r"resourceVersion=(\d+)", path)[1]))
        if method == "GET" and not name:
            items = [{k: v for k, v in s.items() if k not in ("kind", "apiVersion")} for s in self.services.values()]
            first = int((re.search(r"[?&]continue=at-(\d+)", path) or [0, 0])[1])
            more = {"continue": f"at-{first + self.page}"} if first + self.page < len(items) else {}
            return say(200, {"kind": "ServiceList", "metadata": {"resourceVersion": str(self.version), **more},
                             "items": items[first:first + self.page]})
        if method == "PUT" and body == self.services.get(body["metadata"]["name"]):
            return say(200, body)  # nothing has changed, and nobody hears of it
        if method in ("POST", "PUT"):
            return say(201 if method == "POST" else 200, self.put(body))
        if name not in self.services:
            return failure(404, f'services "{name}" not found')
        if method == "DELETE":
            self.delete(name)
            return say(200, {"kind": "Status", "status": "Success"})
        return say(200, self.services[name])

    def put(self, service):
        name = service["metadata"]["name"]
        service = json.loads(json.dumps(service))
        service["metadata"].update(uid="u", resourceVersion=str(self.version + 1))
        self.tell("MODIFIED" if name in self.services else "ADDED", service)
        self.services[name] = service
        return service

    def delete(self, name):
        self.tell("DELETED", self.services.pop(name))

    def tell(self, kind, service):
        with self.news:
            self.version += 1
            told = {**service, "metadata": {**service["metadata"], "resourceVersion": str(self.version)}}
            self.changes.append((self.version, json.dumps({"type": kind, "object": told}).encode() + b"\n"))
            self.news.notify_all()

    def watch(self, version):
        while True:
            with self.news:
                self.news.wait_for(lambda: self.changes and self.changes[-1][0] > version, PATIENCE)
                lines = [line for number, line in self.changes if number > version]
                version = self.version
            yield from lines


@pytest.fixture
def kubeconfig(tmp_path):
    def make(server, **user):
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps({
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u", "namespace": "here"}}],
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": user or {"token": "t0ken"}}],
        }))
        return str(path)
    return make


@pytest.fixture
def published(world, kubeconfig):
    """A server that publishes to an API with this script, and a client."""
    def make(script, *flags):
        api = Api(script)
        world.closing.append(api)
        server = world.server("ws", "--enable-kube-api", "true", "--kubeconfig", kubeconfig(api.url), *flags)
        client = world.client(server, world.target(echo))
        return api, server, client
    return make


def test_a_client_is_published_as_a_service(published):
    api, _, client = published(Store(), "--bridge-pod-selector", "app=x,tier=y")
    _, path, service = api.wait("POST")
    port = int(str(client.bridge[1]))
    assert path == "/api/v1/namespaces/here/services"
    assert service["metadata"]["name"] == NAME
    assert service["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "burrow", "burrow.dev/client-id": "client-a"}
    assert service["spec"]["selector"] == {"app": "x", "tier": "y"}
    (entry,) = service["spec"]["ports"]
    assert (entry["name"], entry["targetPort"]) == ("tcp", port)
    assert service["metadata"]["annotations"]["burrow.dev/target"].endswith(f":{entry['port']}")


class Cluster(Store):
    """Besides Services the pod of the server, and EndpointSlices, which are only taken."""

    def __call__(self, method, path, body):
        if "/pods/" in path:
            return say(200, {"kind": "Pod", "metadata": {"name": "server-0", "uid": "p", "ownerReferences": []}})
        if "/endpointslices" in path or "/networkpolicies" in path:
            return say(201, body) if method == "POST" else failure(404, "not found")
        return super().__call__(method, path, body)


def test_a_slice_leads_to_this_very_pod(published, monkeypatch):
    monkeypatch.setenv("POD_NAME", "server-0")
    monkeypatch.setenv("POD_IP", "10.0.0.7")
    api, _, _ = published(Cluster(), "--kube-endpoints", "slice")
    assert "selector" not in api.wait("POST", "/services")[2]["spec"]
    slice_ = api.wait("POST", "/endpointslices")[2]
    assert slice_["endpoints"][0]["addresses"] == ["10.0.0.7"]
    assert slice_["metadata"]["labels"]["kubernetes.io/service-name"] == NAME


def test_a_service_that_is_right_is_not_written_again(published, world):
    store = Store()
    api, server, client = published(store)
    api.wait("POST")
    client.stop()
    world.client(server, world.target(echo))
    api.wait("GET", NAME, count=2)
    server.signal(1)  # the reload shows that the server has been round its loop
    server.wait_event("reloaded")
    (before,) = [r for r in api.requests if r[0] == "POST"]
    for _, _, body in [r for r in api.requests if r[0] == "PUT"]:
        assert body["spec"] != before[2]["spec"] or body["metadata"]["annotations"] != before[2]["metadata"]["annotations"]


def test_a_service_goes_when_its_client_stays_away(published):
    store = Store()
    api, _, client = published(store, "--sweep-interval", "200ms", "--stale-service-age", "500ms")
    api.wait("POST")
    client.stop()
    _, path, options = api.wait("DELETE")
    assert path.endswith(NAME) and options["preconditions"]["uid"] == "u"


def test_a_service_that_is_not_ours_is_never_changed(published):
    store = Store()
    store.services[NAME] = {"metadata": {"name": NAME, "uid": "x", "resourceVersion": "1"}, "spec": {"ports": []}}
    api, server, client = published(store, "--sweep-interval", "200ms", "--stale-service-age", "500ms")
    assert "not of this client" in server.wait_event("registry_failed", plugin="registry-kubernetes")["reason"]
    client.stop()
    api.wait("GET", NAME, count=2)  # the withdrawal looks, and leaves it alone
    assert {r[0] for r in api.requests} == {"GET"}


def edit(store, change):
    """Somebody else changes the Service of the client."""
    service = json.loads(json.dumps(store.services[NAME]))
    change(service)
    return store.put(service)


def other_port(service):
    service["spec"]["ports"][0].update(port=4242, targetPort=1, nodePort=30001)


def test_a_service_that_somebody_deletes_is_made_again(published):
    store = Store()
    api, server, _ = published(store)
    first = api.wait("POST")[2]
    api.wait("GET", "watch=true")
    store.delete(NAME)
    again = api.wait("POST", count=2)[2]
    assert again["spec"] == first["spec"] and again["metadata"]["annotations"] == first["metadata"]["annotations"]
    assert server.wait_event("registry_changed", plugin="registry-kubernetes")["client"] == "client-a"


def test_a_service_that_somebody_edits_is_put_right_and_additions_stay(published):
    store = Store()
    api, server, _ = published(store)
    (right,) = api.wait("POST")[2]["spec"]["ports"]
    api.wait("GET", "watch=true")
    edit(store, lambda service: service["metadata"]["labels"].update(team="a"))
    edit(store, lambda service: service["spec"].update(type="NodePort"))
    edit(store, other_port)
    put = api.wait("PUT")[2]
    assert put["spec"]["ports"] == [{**right, "nodePort": 30001}]
    assert put["spec"]["type"] == "NodePort" and put["metadata"]["labels"]["team"] == "a"
    store.delete(NAME)
    api.wait("POST", count=2)
    assert len([r for r in api.requests if r[0] == "PUT"]) == 1  # additions alone, and its own writes, are no reason
    assert len(server.wait_events("registry_changed", 2)) == 2


def test_services_on_all_pages_of_a_list_are_found_and_tidied_away(published):
    store = Store()
    store.page = 2
    for i in range(5):
        store.put(left_behind(f"c{i}"))
    api, _, _ = published(store, "--sweep-interval", "200ms", "--stale-service-age", "500ms")
    api.wait("DELETE", count=5)
    assert set(store.services) <= {NAME}


def test_what_is_missed_while_there_is_no_watch_is_put_right_by_the_next_list(published):
    store, state = Store(), {"gone": False}

    def script(method, path, body):
        if "watch=true" in path and not state["gone"]:
            return 200, {}, until_gone()
        return store(method, path, body)

    def until_gone():
        with api.news:
            api.news.wait_for(lambda: state["gone"], PATIENCE)
        yield json.dumps({"type": "ERROR", "object": {"kind": "Status", "metadata": {}, "code": 410}}).encode() + b"\n"

    api, _, _ = published(script)
    api.wait("POST")
    api.wait("GET", "watch=true")
    with api.news:
        store.delete(NAME)
        state["gone"] = True
        api.news.notify_all()
    api.wait("POST", count=2)
    assert len([r for r in api.requests if r[1].endswith("limit=500") and r[0] == "GET"]) >= 2


def test_without_the_right_to_watch_it_is_said_once_and_the_rest_goes_on(published, world):
    store = Store()

    def script(method, path, body):
        return failure(403, "cannot watch") if "watch=true" in path else store(method, path, body)

    api, server, client = published(script)
    api.wait("POST")
    said = server.wait_event("plugin", plugin="registry-kubernetes")
    assert "the Role needs the verbs list and watch for services" in said["msg"]
    store.delete(NAME)
    client.stop()
    world.client(server, world.target(echo))
    api.wait("POST", count=2)
    assert len(server.seen("plugin")) == 1 and len([r for r in api.requests if "watch=true" in r[1]]) == 1


SPOILED = {
    "a page in HTML with 200": (200, {"Content-Type": "text/html"}, b"<html>welcome</html>"),
    "JSON that is cut": (200, {}, b'{"kind": "Service", "metadata"'),
    "more than 8 MiB": (200, {}, b'{"a": "' + b"x" * (8 * 1024 * 1024) + b'"}'),
    "401": failure(401, "Unauthorized"),
    "403": failure(403, "services is forbidden"),
    "422": failure(422, "metadata.labels: Invalid value"),
    "500": failure(500, "boom"),
    "503": failure(503, "no endpoints"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_bad_answer_is_said_once_and_the_client_is_published_later(published, name):
    store, bad = Store(), [2]

    def script(method, path, body):
        if NAME in path or method == "POST":
            if bad[0] > 0:
                bad[0] -= 1
                return SPOILED[name]
        return store(method, path, body)

    api, server, client = published(script)
    server.wait_event("registry_failed", plugin="registry-kubernetes", client="client-a")
    with api.news:
        assert api.news.wait_for(lambda: NAME in store.services, PATIENCE)
    assert len(server.seen("registry_failed")) == 1
    assert client.running() and server.running()


def test_a_busy_api_is_left_alone_as_long_as_it_asks(published):
    store, busy = Store(), [1]

    def script(method, path, body):
        if method == "POST" and busy[0] > 0:
            busy[0] -= 1
            return failure(429, "slow down", **{"Retry-After": "1"})
        return store(method, path, body)

    api, server, _ = published(script)
    api.wait("POST", count=2)
    assert not server.seen("registry_failed")


def test_a_conflict_begins_anew(published):
    store, conflicts = Store(), [2]

    def script(method, path, body):
        if method == "POST" and conflicts[0] > 0:
            conflicts[0] -= 1
            return failure(409, "already exists")
        return store(method, path, body)

    api, server, _ = published(script)
    api.wait("POST", count=3)
    assert not server.seen("registry_failed")


def test_without_an_api_the_tunnel_works(world, kubeconfig, burrow, free_port):
    server = world.server("ws", "--enable-kube-api", "true", "--kubeconfig", kubeconfig(f"http://127.0.0.1:{free_port()}"))
    client = world.client(server, world.target(echo))
    server.wait_event("registry_failed", plugin="registry-kubernetes")
    assert client.running()


# ---- kubeconfigs ----

def document(**changes):
    base = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    base.update(changes)
    return json.dumps(base)


def with_cluster(**cluster):
    return document(clusters=[{"name": "c", "cluster": cluster}])


def with_user(**user):
    return document(users=[{"name": "u", "user": user}])


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def expired_certificate(folder):
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", folder / "csr.pem", "-subj", "/CN=a"], check=True, capture_output=True)
    subprocess.run(["openssl", "x509", "-in", folder / "csr.pem", "-signkey", key, "-days", "-1", "-out", cert],
                   check=True, capture_output=True)
    return cert.read_text(), key.read_text()


WRONG = {
    "empty": ("", "it is empty"),
    "no YAML": ("a: [", "line 2, column 1"),
    "a list": ("[]", "expected a mapping"),
    "no current context": (document(**{"current-context": ""}), "current-context"),
    "a context that is not there": (document(**{"current-context": "x"}), 'no context "x"'),
    "no cluster": (document(clusters=[]), 'no cluster "c"'),
    "no user": (document(users=[]), 'no user "u"'),
    "no server": (with_cluster(), "server: missing"),
    "http to another host": (with_cluster(server="http://10.0.0.1:6443"), "expected https"),
    "a server that is no URL": (with_cluster(server="here"), "expected https"),
    "junk in base64": (with_cluster(**{"server": "https://a", "certificate-authority-data": "%%%"}), "no base64"),
    "a CA that is no certificate": (with_cluster(**{"server": "https://a", "certificate-authority-data": encoded("x")}),
                                    "no certificate"),
    "a CA file that is not there": (with_cluster(**{"server": "https://a", "certificate-authority": "ca.pem"}), "ca.pem"),
    "a certificate without its key": (with_user(**{"client-certificate-data": encoded("x")}), "client-certificate"),
    "a password": (with_user(username="a", password="b"), "passwords"),
    "an exec program": (with_user(exec={"command": "true"}), "--kube-allow-exec"),
    "aliases that explode": ("a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                             "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                             "e: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n", "too much"),
    "too large": ("a: " + "x" * (1 << 20), "larger than"),
}


def try_kubeconfig(burrow, path, *flags):
    return burrow.run("check-config", "server", "--enable-kube-api", "true", "--kubeconfig", str(path), *flags,
                      env=clean_environment(BURROW_JWT_HMAC_SECRET=SECRET, HOME="/nonexistent"))


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_kubeconfig_is_refused_in_words(burrow, tmp_path, name):
    text, expected = WRONG[name]
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    done = try_kubeconfig(burrow, path)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert expected in done.stderr and "enable-kube-api" in done.stderr


def test_an_expired_client_certificate_is_refused(burrow, tmp_path):
    cert, key = expired_certificate(tmp_path)
    path = tmp_path / "kubeconfig"
    path.write_text(with_user(**{"client-certificate-data": encoded(cert), "client-key-data": encoded(key)}))
    done = try_kubeconfig(burrow, path)
    assert done.returncode == 2 and "client-certificate has expired" in done.stderr


def test_no_kubeconfig_at_all_is_refused(burrow, tmp_path):
    done = try_kubeconfig(burrow, tmp_path / "missing")
    assert done.returncode == 2 and "missing" in done.stderr


def test_paths_are_relative_to_the_kubeconfig(burrow, tmp_path):
    (tmp_path / "ca.pem").write_text(open(burrow.certificate[0], encoding="utf-8").read())
    path = tmp_path / "kubeconfig"
    path.write_text(with_cluster(**{"server": "https://a", "certificate-authority": "ca.pem"}))
    done = try_kubeconfig(burrow, path)
    assert done.returncode == 0, done.stderr


def test_an_exec_program_that_is_allowed_gives_the_token(world, tmp_path):
    api = Api(Store())
    world.closing.append(api)
    program = tmp_path / "login"
    program.write_text('#!/bin/sh\necho \'{"kind": "ExecCredential", "status": {"token": "from-exec"}}\'\n')
    program.chmod(0o755)
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps({**json.loads(with_user(exec={"command": "./login", "apiVersion": "v1"})),
                                "clusters": [{"name": "c", "cluster": {"server": api.url}}]}))
    server = world.server("ws", "--enable-kube-api", "true", "--kubeconfig", str(path), "--kube-allow-exec")
    world.client(server, world.target(echo))
    api.wait("POST")
    assert api.authorizations == {"Bearer from-exec"}


def test_a_token_file_is_read_again_for_each_request(world, kubeconfig, tmp_path):
    api = Api(Store())
    world.closing.append(api)
    token = tmp_path / "token"
    token.write_text("first\n")
    server = world.server("ws", "--enable-kube-api", "true", "--kubeconfig", kubeconfig(api.url, tokenFile=str(token)))
    client = world.client(server, world.target(echo))
    api.wait("POST")
    token.write_text("second\n")
    client.stop()
    world.client(server, world.target(echo))
    with api.news:
        assert api.news.wait_for(lambda: api.authorizations == {"Bearer first", "Bearer second"}, PATIENCE)


def test_a_network_policy_without_labels_is_refused(burrow):
    done = burrow.run("server", "--enable-kube-api", "true", "--kube-network-policy", "everybody", env={"BURROW_JWT_HMAC_SECRET": SECRET})
    assert done.returncode == 2 and "--kube-network-policy (BURROW_KUBE_NETWORK_POLICY)" in done.stderr


def test_a_selector_that_is_none_is_refused(burrow):
    done = burrow.run("check-config", "server", "--enable-kube-api", "false", "--bridge-pod-selector", "nothing", "--plugin",
                      "registry-kubernetes", env=clean_environment(BURROW_JWT_HMAC_SECRET=SECRET))
    assert done.returncode == 2 and "--bridge-pod-selector (BURROW_BRIDGE_POD_SELECTOR)" in done.stderr

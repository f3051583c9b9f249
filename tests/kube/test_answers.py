# SPDX-License-Identifier: Apache-2.0
"""A faulty proxy in front of the real API server, and kubeconfigs against it. (An API that is invented, for what no
proxy can spoil: tests/e2e/test_kubernetes_answers.py.)"""
import base64
import json
import os
import subprocess
import urllib.parse

import pytest
import yaml

from conftest import CLUSTER, HERE, RUN, SECRET, run, wait_until
from faulty_proxy import SPOILED
from harness.burrow import clean_environment, make_certificate
from harness.kubernetes import left_behind
from harness.process import Process
from test_registry import web  # noqa: F401 (a fixture)

pytestmark = pytest.mark.api
PKI = os.path.join(RUN, "pki")
KUBECONFIG = os.path.join(RUN, "admin.kubeconfig")
SERVER = "10.200.0.1:6443"
# Tried again at once, as long as it is not for ever: nobody needs to know.
MAY_BE_SILENT = {"409", "429"}


@pytest.fixture
def on_the_node(namespace):
    """Starts a server on the node, not in a pod."""
    def start(kubeconfig, *flags):
        server = Process("server", namespace.cluster.argv(
            namespace.burrow, "server", "--server-addr", "127.0.0.1:0", "--bridge-host", "127.0.0.1", "--jwt-hmac-secret", SECRET,
            "--enable-kube-api", "true", "--kubeconfig", str(kubeconfig), "--namespace", namespace.name, *flags),
            env=clean_environment())
        namespace.processes.append(server)
        return server
    return start


@pytest.fixture
def spoiled(namespace, on_the_node, tmp_path):
    """A server whose way to the API is the proxy; returns it and a function that spoils answers."""
    proxy = Process("proxy", namespace.cluster.argv("/usr/bin/python3", os.path.join(HERE, "faulty_proxy.py"), SERVER,
                                                    f"{PKI}/ca.crt", f"{PKI}/admin.crt", f"{PKI}/admin.key"))
    namespace.processes.append(proxy)
    url = f"http://127.0.0.1:{proxy.wait_event('listening')['port']}"
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps({
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}], "users": [{"name": "u", "user": {"token": "none"}}]}))
    server = on_the_node(kubeconfig)

    def spoil(how, count, what="/services/burrow-client-"):
        asked = urllib.parse.urlencode({"how": how, "count": count, "what": what})
        run(CLUSTER, "run", "curl", "-sf", "-X", "POST", f"{url}/spoil?{asked}")
    return server, spoil


def test_more_services_than_a_page_of_a_list_holds_are_found_and_tidied_away(namespace, on_the_node):
    """What a server before this one left; a page is 500."""
    namespace.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": [left_behind(f"c{i}") for i in range(510)]}))
    on_the_node(KUBECONFIG, "--sweep-interval", "1s", "--stale-service-age", "2s")
    wait_until("all are gone", lambda: not namespace.get("services")["items"], 600)


@pytest.mark.parametrize("how", SPOILED)
def test_a_spoiled_answer_is_said_once_and_the_service_comes_all_the_same(namespace, spoiled, web, how):  # noqa: F811
    server, spoil = spoiled
    spoil(how, 3)
    client = namespace.client("web", web[0], address=server.wait_event("listening", role="main")["addr"])
    bridge = client.wait_event("service_ready")["bridge"]
    if how not in MAY_BE_SILENT:
        server.wait_event("registry_failed", client="web")
    assert run(CLUSTER, "run", "curl", "-sf", f"http://{bridge}/small") == "it works"
    assert namespace.service("web", 60)["spec"]["ports"][0]["port"] == 8000
    assert len(server.seen("registry_failed", client="web")) <= 1
    assert client.running() and len(client.seen("connected")) == 1


@pytest.mark.parametrize("how", sorted(set(SPOILED) - {"403"}))  # what is refused is asked for again after minutes
def test_a_spoiled_watch_is_taken_up_again(namespace, spoiled, web, how):  # noqa: F811
    server, spoil = spoiled
    spoil(how, 2, "watch=true")
    namespace.client("web", web[0], address=server.wait_event("listening", role="main")["addr"])
    service = namespace.service("web")
    namespace.kubectl("delete", "service", service["metadata"]["name"])
    again = namespace.service("web", 60)
    assert again["metadata"]["uid"] != service["metadata"]["uid"] and again["spec"]["ports"] == service["spec"]["ports"]


# ---- kubeconfigs, by `burrow expose delete` of what is not there ----

def as_files(document, folder):
    for kind, names in (("clusters", ["certificate-authority"]), ("users", ["client-certificate", "client-key"])):
        part = document[kind][0][kind[:-1]]
        for name in names:
            (folder / name).write_bytes(base64.b64decode(part.pop(name + "-data")))
            part[name] = name  # beside the kubeconfig


def user(make):
    def change(document, folder):
        document["users"][0]["user"] = make(folder)
    return change


def with_token(namespace):
    namespace.kubectl("create", "serviceaccount", "somebody")
    namespace.kubectl("create", "rolebinding", "somebody", "--clusterrole=cluster-admin", f"--serviceaccount={namespace.name}:somebody")
    return namespace.kubectl("create", "token", "somebody").strip()


def in_file(folder, token):
    (folder / "token").write_text(token + "\n")
    return {"tokenFile": "token"}


def by_exec(token):
    answer = json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token}})
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/echo", "args": [answer]}}


def cluster_with(**members):
    def change(document, folder):
        cluster = document["clusters"][0]["cluster"]
        cluster.pop("certificate-authority-data")
        cluster.update(members)
    return change


def by_another(document, folder):
    document["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(
        open(make_certificate(str(folder))[0], "rb").read()).decode()


KUBECONFIGS = {
    "as it is": (lambda document, folder: None, [], 0, "nothing to delete"),
    "certificates in files beside it": (as_files, [], 0, "nothing to delete"),
    "a token": (lambda token: user(lambda folder: {"token": token}), [], 0, "nothing to delete"),
    "a token in a file": (lambda token: user(lambda folder: in_file(folder, token)), [], 0, "nothing to delete"),
    "a program": (lambda token: user(lambda folder: by_exec(token)), ["--kube-allow-exec"], 0, "nothing to delete"),
    "a program that nobody allowed": (lambda token: user(lambda folder: by_exec(token)), [], 2, "--kube-allow-exec"),
    "a wrong token": (user(lambda folder: {"token": "junk"}), [], 1, "401"),
    "no check of the certificate": (cluster_with(**{"insecure-skip-tls-verify": True}), [], 0, "insecure-skip-tls-verify"),
    "the system's authorities": (cluster_with(), [], 1, "certificate"),
    "another authority": (by_another, [], 1, "certificate"),
}


@pytest.mark.parametrize("name", KUBECONFIGS)
def test_kubeconfigs_against_the_real_api(namespace, tmp_path, name):
    change, flags, code, words = KUBECONFIGS[name]
    if change.__code__.co_varnames[:change.__code__.co_argcount] == ("token",):
        change = change(with_token(namespace))
    with open(KUBECONFIG, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    change(document, tmp_path)
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(document))
    done = subprocess.run(namespace.cluster.argv(
        namespace.burrow, "expose", "delete", "--client-id", "nobody", "--namespace", namespace.name, "--kubeconfig",
        str(tmp_path / "kubeconfig"), *flags), env=clean_environment(), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code and words in done.stdout + done.stderr, done

# SPDX-License-Identifier: Apache-2.0
"""`burrow expose` in a real cluster: each way to the server carries data, and nothing is left behind."""
import base64
import json
import os
import re
import shlex
import signal
import subprocess

import pytest
import yaml

from conftest import BURROW, IMAGE, RUN, run, wait_until
from harness.burrow import clean_environment, make_certificate
from harness.process import Process
from test_registry import web  # noqa: F401 (a fixture)

KUBECONFIG = os.path.join(RUN, "admin.kubeconfig")
KINDS = ("secrets,serviceaccounts,roles,rolebindings,deployments,replicasets,pods,services,endpointslices,ingresses,"
         "networkpolicies")
BUSYBOX = "localhost/busybox:1"


class Exposing:
    """A namespace, what is in it, and `burrow expose` on the node's network."""

    def __init__(self, namespace, tmp_path, target):
        self.namespace, self.tmp, self.target = namespace, tmp_path, target
        wait_until("the namespace's own account",
                   lambda: "serviceaccount/default" in namespace.kubectl("get", "serviceaccounts", "-o", "name"))
        self.before = self.objects()

    def objects(self):
        """Everything in the namespace, by kind and name, with the version of each."""
        return {(o["kind"], o["metadata"]["name"]): o["metadata"]["resourceVersion"]
                for o in self.namespace.get(KINDS)["items"]}

    def argv(self, *flags):
        command = self.namespace.cluster.argv(self.namespace.burrow, "expose", *flags, "--namespace", self.namespace.name,
                                              "--kubeconfig", KUBECONFIG)
        return ["/bin/sh", "-c", 'exec "$@" >&2', "sh", *command]  # progress and log in one stream

    def start(self, *flags, **environment):
        process = Process("expose", self.argv("--client-id", "web", "--local-target", self.target, "--image", IMAGE, *flags),
                          env=clean_environment(XDG_RUNTIME_DIR=str(self.tmp), **environment))
        self.namespace.processes.append(process)
        return process

    def run(self, *words):
        """A run to its end: the exit code, and what it said."""
        done = subprocess.run(self.argv(*words, "--client-id", "web"), env=clean_environment(), stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, check=False, timeout=120)
        return done.returncode, done.stderr

    def carries(self, process, seconds=90):
        process.wait_event("connected", seconds)
        assert self.namespace.fetch("web") == "it works"

    def interrupt(self, process, code=0):
        process.signal(signal.SIGINT)
        assert process.wait(40) == code, process.log

    def nothing_is_left(self):
        # What the Deployment owns is collected by the controllers, after it.
        wait_until(lambda: f"nothing is left of {set(self.objects()) - set(self.before)}",
                   lambda: self.objects() == self.before, 60)
        assert os.listdir(self.tmp) == []


@pytest.fixture
def exposing(namespace, web, tmp_path):  # noqa: F811
    return Exposing(namespace, tmp_path, web[0])


def give_an_address(namespace, process):
    """What a load balancer's controller does."""
    process.wait_line("waiting for the address of the load balancer", 90)
    namespace.kubectl("patch", "service", "burrow-web", "--subresource=status", "--type=merge", "--patch",
                      '{"status": {"loadBalancer": {"ingress": [{"ip": "10.200.0.77"}]}}}')


@pytest.mark.parametrize("service_type", ["auto", "ClusterIP", "NodePort", "LoadBalancer", "None"])
def test_each_type_of_service_carries_data_and_leaves_nothing(exposing, namespace, service_type):
    process = exposing.start("--service-type", service_type)
    if service_type in ("auto", "LoadBalancer"):
        give_an_address(namespace, process)
    exposing.carries(process)
    through = {"auto": "ws://10.200.0.77:8080/ws", "LoadBalancer": "ws://10.200.0.77:8080/ws",
               "NodePort": "ws://10.200.0.1:"}.get(service_type, "through the API server")
    assert "the client connects t" in process.log and through in process.log
    exposing.interrupt(process)
    exposing.nothing_is_left()


def test_without_a_load_balancer_auto_goes_through_the_api_server(exposing):
    process = exposing.start()
    process.wait_line("there is no load balancer", 90)
    exposing.carries(process)
    assert "the client connects through the API server" in process.log
    exposing.interrupt(process)
    exposing.nothing_is_left()


def test_large_data_comes_whole_through_the_api_server(exposing, namespace, web):  # noqa: F811
    process = exposing.start("--service-type", "ClusterIP")
    exposing.carries(process)
    name = namespace.service("web")["metadata"]["name"]
    told = namespace.in_pod("sh", "-c", f"/bin/busybox wget -q -O - http://{name}.{namespace.name}.svc:8000/large"
                            " | /bin/busybox sha256sum")
    assert told.split()[0] == web[1]
    exposing.interrupt(process)
    exposing.nothing_is_left()


class Controller:
    """nginx as an Ingress controller: everything in its configuration comes from the objects in the cluster."""

    def __init__(self, namespace, name, folder):
        ingress = namespace.get("ingress", name)
        (tls,), (rule,) = ingress["spec"]["tls"], ingress["spec"]["rules"]
        annotation = {k.split("/")[1]: v for k, v in ingress["metadata"]["annotations"].items()
                      if k.startswith("nginx.ingress.kubernetes.io/")}
        for key, value in namespace.get("secret", tls["secretName"])["data"].items():
            (folder / key).write_bytes(base64.b64decode(value))
        locations = ""
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            service = namespace.get("service", backend["name"])
            port = next(p["port"] for p in service["spec"]["ports"] if p["name"] == backend["port"]["name"])
            assert path["pathType"] == "Prefix"
            locations += f"""location {path['path']} {{
                proxy_pass http://{service['spec']['clusterIP']}:{port};
                proxy_http_version {annotation['proxy-http-version']};
                proxy_read_timeout {annotation['proxy-read-timeout']}s;
                proxy_send_timeout {annotation['proxy-send-timeout']}s;
                proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection upgrade; }}"""
        assert rule["host"] in tls["hosts"]
        (folder / "nginx.conf").write_text(f"""
            daemon off; master_process off; error_log stderr warn; pid {folder}/pid; events {{ }}
            http {{ access_log off;
                client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
                uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
                server {{ listen 127.0.0.1:8443 ssl; server_name {rule['host']};
                    ssl_certificate {folder}/tls.crt; ssl_certificate_key {folder}/tls.key; {locations} }} }}""")
        self.process = Process("nginx", namespace.cluster.argv("nginx", "-c", str(folder / "nginx.conf"), "-e", "stderr"))


@pytest.fixture
def certificate(tmp_path_factory):
    return make_certificate(str(tmp_path_factory.mktemp("certificate")))


def test_interrupted_again_it_leaves_at_once_and_has_said_what_removes_the_rest(exposing, tmp_path):
    process = exposing.start("--service-type", "ClusterIP")
    exposing.carries(process)
    with open(os.path.join(RUN, "apiserver.pid"), encoding="utf-8") as file:
        apiserver = int(file.read())
    os.kill(apiserver, signal.SIGSTOP)  # so that nothing is deleted before the second signal
    try:
        process.signal(signal.SIGINT)
        said = process.wait_line("interrupted again, burrow leaves at once", 30)
        exposing.interrupt(process, 130)
    finally:
        os.kill(apiserver, signal.SIGCONT)
    assert os.listdir(tmp_path) == []  # the token
    kept, command = re.search("until `burrow (.*)`: (.*)", said).groups()[::-1]
    left = {f"{kind}/{name}".lower() for kind, name in set(exposing.objects()) - set(exposing.before)}
    assert set(kept.split()) <= left
    done = subprocess.run(exposing.namespace.cluster.argv(exposing.namespace.burrow, *shlex.split(command)),
                          env=clean_environment(), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    exposing.nothing_is_left()


def test_an_ingress_leads_to_the_server(exposing, namespace, certificate, tmp_path_factory):
    namespace.kubectl("create", "secret", "tls", "edge", f"--cert={certificate[0]}", f"--key={certificate[1]}")
    exposing.before = exposing.objects()
    process = exposing.start("--hostname", "localhost", "--tls-secret", "edge", "--ingress-class", "nginx",
                             "--ingress-annotation", "example.com/team=edge", "--connect-addr", "127.0.0.1:8443",
                             BURROW_TLS_CA=certificate[0])
    process.wait_line("the server is available", 90)
    ingress = namespace.get("ingress", "burrow-web")
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["metadata"]["annotations"]["example.com/team"] == "edge"
    controller = Controller(namespace, "burrow-web", tmp_path_factory.mktemp("nginx"))
    try:
        exposing.carries(process)
        exposing.interrupt(process)
        exposing.nothing_is_left()
    finally:
        controller.process.kill()


def test_a_server_that_is_kept_is_used_again_and_deleted(exposing):
    process = exposing.start("--service-type", "ClusterIP", "--keep")
    exposing.carries(process)
    exposing.interrupt(process)
    kept = {name for kind, name in exposing.objects() if kind == "Deployment"}
    assert kept == {"burrow-web"}
    code, said = exposing.run("--service-type", "ClusterIP", "--local-target", "127.0.0.1:1", "--image", IMAGE)
    assert code == 1 and "--reuse" in said
    process = exposing.start("--reuse")
    exposing.carries(process)
    exposing.interrupt(process)
    assert ("Deployment", "burrow-web") in exposing.objects()
    code, said = exposing.run("delete")
    assert code == 0 and "deployment/burrow-web deleted" in said
    exposing.nothing_is_left()
    code, said = exposing.run("delete")
    assert code == 0 and "nothing to delete" in said


# What keeps a pod from starting, and what is said of it.
HOLDS_UP = {
    "an image that is nowhere": (["--image", "localhost/nowhere:1"], ["ErrImagePull", "ImagePullBackOff"]),
    "a server that ends at once": (["--patch-deployment", """{"spec": {"template": {"spec": {"containers": [{"name": "server",
        "image": "%s", "command": ["/bin/sh", "-c", "echo the disk is full; exit 3"]}]}}}}""" % BUSYBOX],
        ["the server ended with code 3: the disk is full"]),
    "no node for it": (["--patch-deployment", '{"spec": {"template": {"spec": {"nodeSelector": {"disk": "fast"}}}}}'],
                       ["Unschedulable: 0/1 nodes are available"]),
    "what the namespace does not admit": (
        ["--patch-deployment", '{"spec": {"template": {"spec": {"hostNetwork": true}}}}'], ["violates PodSecurity"]),
}


@pytest.mark.parametrize("what", HOLDS_UP)
def test_why_a_pod_does_not_start_is_told_and_an_interrupt_cleans_up(exposing, what):
    flags, reasons = HOLDS_UP[what]
    process = exposing.start("--service-type", "ClusterIP", *flags)
    wait_until(lambda: f"{reasons} in {process.log}", lambda: any(r in process.log for r in reasons), 60)
    exposing.interrupt(process, 130)
    exposing.nothing_is_left()


def test_a_wait_that_is_over_cleans_up_and_says_why(exposing):
    process = exposing.start("--service-type", "ClusterIP", "--image", "localhost/nowhere:1", "--wait-timeout", "8s")
    assert process.wait(60) == 1
    assert "the server is not ready after 8 s" in process.log and "localhost/nowhere:1" in process.log
    exposing.nothing_is_left()


@pytest.mark.parametrize("kind", ["deployment", "service", "secret"])
def test_a_foreign_object_of_the_name_is_left_alone(exposing, namespace, kind):
    make = {"deployment": ["deployment", "burrow-web", f"--image={BUSYBOX}", "--replicas=0"],
            "service": ["service", "clusterip", "burrow-web", "--tcp=1:1"],
            "secret": ["secret", "generic", "burrow-web-auth"]}[kind]
    namespace.kubectl("create", *make)
    if kind == "deployment":
        namespace.kubectl("wait", "--for=condition=Available", "deployment/burrow-web")
    before = exposing.objects()
    for words in (["--service-type", "ClusterIP", "--local-target", "127.0.0.1:1"], ["delete"]):
        code, said = exposing.run(*words)
        assert code == 1 and f"{kind}/burrow-web" in said, said
        assert exposing.objects() == before


@pytest.mark.api
def test_a_dry_run_is_what_kubectl_applies(namespace):
    made = run(namespace.burrow, "expose", "--client-id", "web", "--dry-run", "--namespace", namespace.name, "--hostname",
               "a.example.com", "--tls-secret", "edge", env=clean_environment())
    namespace.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", input=made)


PATCHES = [
    '{"spec": {"replicas": null, "template": {"spec": {"containers": [{"name": "server", "env": [{"name": "A", "value": "b"}]}]}}}}',
    '{"spec": {"template": {"spec": {"containers": [{"name": "second", "image": "x"}]}}}}',
    '{"spec": {"template": {"spec": {"containers": [{"name": "server", "$patch": "delete"}, {"name": "s", "image": "x"}]}}}}',
    '{"spec": {"template": {"spec": {"containers": [{"name": "server", "args": ["a"], "env": [{"$patch": "replace"}]}]}}}}',
    '{"spec": {"template": {"spec": {"containers": [{"name": "server", "ports": [{"containerPort": 8080, "name": "web"}]}]}}}}',
    '{"spec": {"template": {"spec": {"tolerations": [{"key": "a", "operator": "Exists"}], "volumes": [{"name": "v", "emptyDir": {}}]}}}}',
    '{"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}',
    '{"metadata": {"annotations": {"a": "b"}, "labels": {"c": "d"}}}',
    '{"spec": {"template": {"spec": {"securityContext": {"$patch": "replace", "runAsNonRoot": true}}}}}',
    '{"spec": {"template": {"spec": {"imagePullSecrets": [{"name": "pull"}], "topologySpreadConstraints": [{"maxSkew": 1,'
    ' "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]}}}}',
]


@pytest.mark.api
@pytest.mark.parametrize("patch", PATCHES)
def test_a_patch_does_what_kubectl_patch_does(cluster, tmp_path, patch):
    def deployment(*flags):
        made = run(BURROW, "expose", "--client-id", "web", "--dry-run", *flags, env=clean_environment(KUBECONFIG="/nonexistent"))
        return next(o for o in yaml.safe_load_all(made) if o["kind"] == "Deployment")

    (tmp_path / "plain.json").write_text(json.dumps(deployment()))
    theirs = json.loads(cluster.kubectl("patch", "--local", "--type=strategic", "-f", str(tmp_path / "plain.json"), "-p", patch,
                                        "-o", "json"))
    theirs.pop("status", None)
    assert without_nothing(deployment("--patch-deployment", patch)) == without_nothing(theirs)


def without_nothing(value):
    """kubectl writes empty members, such as `resources: {}`, that mean nothing, and where there was nothing
    to merge with it leaves the directive standing, which the API drops."""
    if isinstance(value, dict):
        kept = {k: without_nothing(v) for k, v in value.items() if k != "$retainKeys"}
        return {k: v for k, v in kept.items() if v not in ({}, [], None)}
    return [without_nothing(v) for v in value] if isinstance(value, list) else value

# SPDX-License-Identifier: Apache-2.0
"""The tests in a real one-node Kubernetes that the tests make themselves (`cluster` beside this file:
etcd, API server, controllers, scheduler, kubelet, proxy, DNS, containerd), with the real image.

    make kube-test     builds Kubernetes once (Go), the image, and runs everything here; needs root
    make kube-api-test only the tests that are marked `api`, against etcd and the API server alone, which are built
                       in half the time: no pod runs, no controller acts, the server of burrow runs beside them
    KUBE_KEEP=1        leaves the node running, and takes one that runs: for work on these tests

Clients run on the node's network, as a host that can reach the API and the Services; pods are busybox.
Without root they are skipped, which with CI=true is a failure."""
import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from harness.burrow import clean_environment  # noqa: E402
from harness.process import Process  # noqa: E402

CLUSTER = os.path.join(HERE, "cluster")
BUILD = os.path.join(ROOT, "build", "kube")
IMAGE = "localhost/burrow:" + re.search(r"^project\(burrow VERSION ([\d.]+)",
                                        open(os.path.join(ROOT, "CMakeLists.txt"), encoding="utf-8").read(), re.M)[1]
KUBE_DIR = os.environ.get("KUBE_DIR", "/var/tmp/burrow-kube")
RUN = os.path.join(KUBE_DIR, "run")
SECRET = "a secret of the tests in Kubernetes, long enough"
API_ONLY = os.environ.get("KUBE_PART") == "api"
BURROW = os.path.join(os.environ["BURROW_BUILD"], "bin", "burrow") if API_ONLY else os.path.join(
    BUILD, "install", "usr", "bin", "burrow")
LONG = os.environ.get("BURROW_LONG") == "1"
KEEP = os.environ.get("KUBE_KEEP") == "1"


def run(*argv, **options):
    """A command that must succeed; returns its standard output."""
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, **options)
    assert done.returncode == 0, f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def wait_until(what, condition, seconds=30):
    """The first true result of the condition."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.2)  # a poll of the API: there is no event to wait for


class Cluster:
    def kubectl(self, *args, **options):
        return run(CLUSTER, "kubectl", *args, **options)

    def start_probe(self):
        """A pod of another namespace than the tests', whose busybox they use as a pod that knows nothing."""
        wait_until("the namespace's account", lambda: "serviceaccount/default" in self.kubectl(
            "-n", "default", "get", "serviceaccounts", "-o", "name"), 60)
        if not self.get("pods", "-n", "default", "-l", "run=probe")["items"]:
            self.kubectl("-n", "default", "run", "probe", "--image=localhost/busybox:1", "--image-pull-policy=Never")
        self.kubectl("-n", "default", "wait", "--for=condition=Ready", "pod/probe", "--timeout=60s")

    def in_pod(self, *command):
        """What busybox prints in that pod; a command that fails is told with what it said."""
        return self.kubectl("-n", "default", "exec", "probe", "--", "/bin/busybox", *command)

    def get(self, *args):
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def argv(self, *argv):
        """The command on the node's network, as a process that hears signals itself."""
        with open(os.path.join(RUN, "etcd.pid"), encoding="utf-8") as file:
            return ["nsenter", "-t", file.read().strip(), "-n", "--", *argv]


def pytest_configure(config):
    config.addinivalue_line("markers", "api: needs no more than the API, no pod and no controller")


def pytest_collection_modifyitems(config, items):
    if API_ONLY:
        config.hook.pytest_deselected(items=[i for i in items if not i.get_closest_marker("api")])
        items[:] = [i for i in items if i.get_closest_marker("api")]


def start(command):
    started = subprocess.run([CLUSTER, command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    assert started.returncode == 0, started.stderr


def runs():
    return KEEP and os.path.exists(os.path.join(RUN, "etcd.pid"))


@pytest.fixture(scope="session")
def cluster():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    prefix = "api-" if API_ONLY else ""
    run(CLUSTER, prefix + "deps")
    run(CLUSTER, prefix + "build")
    try:
        yield start_api() if API_ONLY else start_node()
    finally:
        if not KEEP:
            subprocess.run([CLUSTER, "down"], check=False)


def start_api():
    if not runs():
        start("api-up")
    return Cluster()


def start_node():
    install = os.path.join(BUILD, "install")
    shutil.rmtree(install, ignore_errors=True)
    run("cmake", "-S", ROOT, "-B", os.path.join(BUILD, "burrow"), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
        "-DCMAKE_INSTALL_PREFIX=/usr", "-DBURROW_TESTS=OFF")
    run("cmake", "--build", os.path.join(BUILD, "burrow"))
    run("cmake", "--install", os.path.join(BUILD, "burrow"), env={**os.environ, "DESTDIR": install})
    image = os.path.join(BUILD, "burrow.tar")
    run(os.path.join(ROOT, "packaging", "container", "build.sh"), install, image)
    if not runs():
        start("up")
    run(CLUSTER, "load", image)
    node = Cluster()
    node.start_probe()
    return node


class Namespace:
    """A namespace with a server made of the manifests, and the clients of one test."""

    def __init__(self, cluster, name):
        self.cluster, self.name, self.processes = cluster, name, []
        self.burrow = BURROW
        cluster.kubectl("create", "namespace", name)
        cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        self.kubectl("create", "secret", "generic", "burrow-server", f"--from-literal=hmac-secret={SECRET}")

    def kubectl(self, *args, **options):
        return self.cluster.kubectl("-n", self.name, *args, **options)

    def get(self, *args):
        return self.cluster.get("-n", self.name, *args)

    def apply(self, text):
        self.kubectl("apply", "-f", "-", input=text)

    def deploy(self, replicas=1, role=None, **environment):
        """The manifests, with another Role or more variables if wanted; waits for the rollout."""
        for name in ("serviceaccount", "role", "rolebinding", "deployment", "service"):
            with open(os.path.join(ROOT, "manifests", name + ".yaml"), encoding="utf-8") as file:
                text = file.read()
            if name == "role" and role:
                text = role
            if name == "deployment":
                text = text.replace("image: burrow:", "imagePullPolicy: Never\n          image: localhost/burrow:")
                text = text.replace("replicas: 1", f"replicas: {replicas}")
                more = "".join(f"            - name: {k}\n              value: \"{v}\"\n" for k, v in environment.items())
                text = text.replace("          env:\n", "          env:\n" + more)
            self.apply(text)
        self.kubectl("rollout", "status", "deployment/burrow-server", "--timeout=90s")

    def server_address(self):
        service = self.get("service", "burrow-server")
        return f"{service['spec']['clusterIP']}:8080"

    def client(self, client_id, *targets, address=None):
        """A client on the node's network; its log is read as an event stream."""
        token = run(self.burrow, "token", "mint", "--sub", client_id, "--jwt-hmac-secret", SECRET).strip()
        argv = self.cluster.argv(self.burrow, "client", "--server-url",
                                 f"ws://{address or self.server_address()}/ws", "--client-id", client_id)
        for target in targets:
            argv += ["--local-target", target]
        process = Process(client_id, argv, env=clean_environment(BURROW_BEARER_TOKEN=token))
        self.processes.append(process)
        process.wait_event("connected")
        return process

    def service(self, client_id, seconds=10):
        """The Service of the client, as soon as it is there."""
        selector = f"burrow.dev/client-id={client_id}"
        items = wait_until(f"the Service of {client_id}",
                           lambda: self.get("services", "-l", selector)["items"], seconds)
        return items[0]

    def pods(self):
        return [p for p in self.get("pods", "-l", "app=burrow-server")["items"]
                if "deletionTimestamp" not in p["metadata"]]

    def in_pod(self, *command):
        return self.cluster.in_pod(*command)

    def fetch(self, client_id, path="small", seconds=10):
        """What a pod gets of the client's web server by the name of its Service. DNS and the node's rules
        follow a new Service by and by; what they say until then is not the tunnel's."""
        service = self.service(client_id)
        url = f"http://{service['metadata']['name']}.{self.name}.svc:{service['spec']['ports'][0]['port']}/{path}"

        def got():
            try:
                return self.in_pod("wget", "-q", "-O", "-", url)
            except AssertionError as error:
                said.append(str(error))
                return None

        said = []
        return wait_until(lambda: f"{url} from a pod: {said[-1:]}", got, seconds)

    def logs(self):
        return self.kubectl("logs", "-l", "app=burrow-server", "--tail=-1", "--prefix") if self.pods() else ""

    def end(self):
        for process in self.processes:
            if process.running():
                process.kill()
        self.cluster.kubectl("delete", "namespace", self.name, "--wait=false")


@pytest.fixture
def namespace(cluster, request):
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[5:50].strip("-")
    namespace = Namespace(cluster, f"{name}-{time.time_ns() // 10**6 % 10**6}")
    try:
        yield namespace
        if request.node.stash.get(FAILED, False):
            print(namespace.logs())
    finally:
        namespace.end()


FAILED = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.stash[FAILED] = outcome.get_result().failed


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter and reporter.stats.get("skipped"):
        print("\nFAIL: with CI=true a skipped test is a failure")
        session.exitstatus = 1

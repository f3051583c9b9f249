# SPDX-License-Identifier: Apache-2.0
"""registry-kubernetes in a real cluster: Services that follow clients."""
import hashlib
import os
import signal
import time

import pytest

from conftest import CLUSTER, LONG, ROOT, RUN, run, wait_until
from harness.process import Process

SERVICES_ONLY = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: burrow-server}
rules:
  - apiGroups: [""]
    resources: [services]
    verbs: [get, list, watch, create, update, patch, delete]
"""


@pytest.fixture(scope="module")
def web(cluster, tmp_path_factory):
    """A web server on the node's loopback with a small and a large file; the address and the hash."""
    folder = tmp_path_factory.mktemp("www")
    size = (1 << 30) if LONG else (64 << 20)
    digest = hashlib.sha256()
    with open(folder / "large", "wb") as file:
        for _ in range(size >> 20):
            block = os.urandom(1 << 20)
            digest.update(block)
            file.write(block)
    (folder / "small").write_text("it works")
    server = Process("web", cluster.argv("/usr/bin/python3", "-u", "-m", "http.server", "8000", "--bind", "127.0.0.1",
                                         "--directory", str(folder)))
    wait_until("the web server", lambda: run(CLUSTER, "run", "curl", "-sf", "--retry", "20", "--retry-connrefused",
                                             "http://127.0.0.1:8000/small") == "it works")
    yield "127.0.0.1:8000", digest.hexdigest()
    server.kill()


def test_a_pod_fetches_from_the_host_by_the_name_of_the_service(namespace, web):
    namespace.deploy()
    began = time.monotonic()
    namespace.client("web", web[0])
    service = namespace.service("web")
    name = service["metadata"]["name"]
    assert name == "burrow-client-web-0fd9bc91"
    assert service["spec"]["ports"][0]["name"] == "tcp" and service["spec"]["ports"][0]["port"] == 8000
    url = f"http://{name}.{namespace.name}.svc:8000"
    assert namespace.fetch("web") == "it works"
    assert time.monotonic() - began < 10
    told = namespace.in_pod("sh", "-c", f"/bin/busybox wget -q -O - {url}/large | /bin/busybox sha256sum")
    assert told.split()[0] == web[1]


def test_the_service_outlives_the_client_and_goes_when_it_stays_away(namespace, web):
    namespace.deploy(BURROW_SWEEP_INTERVAL="1s", BURROW_STALE_SERVICE_AGE="5s")
    client = namespace.client("web", web[0])
    before = namespace.service("web")
    client.stop()
    client = namespace.client("web", web[0])
    after = namespace.service("web")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["ports"] == before["spec"]["ports"]
    client.stop()
    wait_until("the Service is gone", lambda: not namespace.get("services", "-l", "burrow.dev/client-id")["items"], 30)
    assert namespace.get("services")["items"] != []  # the server's own


def test_a_port_for_each_service_of_the_client(namespace, web):
    namespace.deploy()
    namespace.client("many", f"web={web[0]}", "other=127.0.0.1:9000")
    ports = {p["name"]: p["port"] for p in namespace.service("many")["spec"]["ports"]}
    assert ports == {"web": 8000, "other": 9000}


def test_an_id_that_is_no_label_is_published_by_its_hash(namespace, web):
    namespace.deploy(BURROW_SWEEP_INTERVAL="1s", BURROW_STALE_SERVICE_AGE="3s")
    client = namespace.client("user@example.com", web[0])
    items = wait_until("the Service", lambda: namespace.get("services", "-l", "burrow.dev/client-id")["items"])
    assert items[0]["metadata"]["annotations"]["burrow.dev/client-id"] == "user@example.com"
    client.stop()
    wait_until("the Service is gone", lambda: not namespace.get("services", "-l", "burrow.dev/client-id")["items"], 30)


def test_a_foreign_service_of_the_name_is_left_alone_and_an_event_tells(namespace, web):
    namespace.deploy(BURROW_SWEEP_INTERVAL="1s", BURROW_STALE_SERVICE_AGE="2s")
    namespace.kubectl("create", "service", "clusterip", "burrow-client-web-0fd9bc91", "--tcp=1:1")
    before = namespace.get("service", "burrow-client-web-0fd9bc91")
    client = namespace.client("web", web[0])
    events = wait_until("an Event", lambda: [e for e in namespace.get("events")["items"]
                                             if e["reason"] == "ServiceNotPublished"])
    assert events[0]["involvedObject"]["kind"] == "Deployment"
    client.stop()
    wait_until("the client is forgotten", lambda: "client_disconnected" in namespace.logs())
    time.sleep(5)  # several sweeps: nothing must happen
    assert namespace.get("service", "burrow-client-web-0fd9bc91") == before


def test_a_service_that_is_deleted_by_hand_is_back_as_it_was(namespace, web):
    namespace.deploy()
    namespace.client("web", web[0])
    assert namespace.fetch("web") == "it works"
    before = namespace.service("web")
    namespace.kubectl("delete", "service", before["metadata"]["name"])
    after = namespace.service("web", 10)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["spec"]["ports"] == before["spec"]["ports"]
    assert namespace.fetch("web") == "it works"
    (slice_,) = namespace.get("endpointslices", "-l", "burrow.dev/client-id=web")["items"]
    namespace.kubectl("delete", "endpointslice", slice_["metadata"]["name"])
    wait_until("the EndpointSlice is back", lambda: namespace.get("endpointslices", "-l", "burrow.dev/client-id=web")["items"], 10)
    assert namespace.fetch("web") == "it works"


def test_what_somebody_edits_is_put_right_and_the_rest_is_left_alone(namespace, web):
    namespace.deploy()
    namespace.kubectl("create", "service", "clusterip", "foreign", "--tcp=1:1")
    namespace.client("web", web[0])
    before = namespace.service("web")
    name = before["metadata"]["name"]
    foreign = namespace.get("service", "foreign")
    # What is added stays, and is no reason to write.
    namespace.kubectl("label", "service", name, "team=a")
    namespace.kubectl("patch", "service", name, "-p", '{"spec": {"type": "NodePort"}}')
    typed = namespace.get("service", name)
    assert typed["spec"]["ports"][0]["nodePort"] > 0
    no_pod = {**typed["spec"], "selector": {"burrow.dev/no-pod": "true"}}  # so that controllers clear what they have made
    for wrong, right in (('{"spec": {"ports": [{"port": 8000, "targetPort": 1}]}}', typed["spec"]),
                         ('{"spec": {"selector": {"app": "another"}}}', no_pod)):
        namespace.kubectl("patch", "service", name, "-p", wrong)
        wait_until(lambda: f"right after {wrong}: {namespace.get('service', name)['spec']}",
                   lambda: namespace.get("service", name)["spec"] == right, 20)
    assert namespace.get("service", name)["metadata"]["labels"]["team"] == "a"
    slice_ = namespace.get("endpointslice", name)
    namespace.kubectl("patch", "endpointslice", name, "--type=merge", "-p", '{"ports": [{"name": "tcp", "port": 1}]}')
    wait_until("the EndpointSlice is right", lambda: namespace.get("endpointslice", name)["ports"] == slice_["ports"], 20)
    namespace.kubectl("patch", "service", "foreign", "-p", '{"spec": {"ports": [{"port": 1, "targetPort": 2}]}}')
    edited = namespace.get("service", "foreign")
    assert edited["spec"] != foreign["spec"]
    # Each edit that was put right is told once; our own writes, and what was added, are not.
    wait_until("the last edit is told", lambda: namespace.logs().count("registry_changed") >= 3)
    assert namespace.fetch("web") == "it works"
    assert namespace.get("service", "foreign") == edited
    assert namespace.logs().count("registry_changed") == 3


def test_the_role_of_burrow_0_5_is_enough_for_one_replica(namespace, web):
    namespace.deploy(role=SERVICES_ONLY)
    namespace.client("web", web[0])
    service = namespace.service("web")
    assert service["spec"]["selector"] == {"app": "burrow-server"}
    assert namespace.fetch("web") == "it works"
    assert namespace.logs().count("forbidden") == 1


def test_each_client_has_a_network_policy_that_goes_with_its_service(namespace, web):
    with open(os.path.join(ROOT, "manifests", "role.yaml"), encoding="utf-8") as file:
        role = file.read() + """
  - apiGroups: [networking.k8s.io]
    resources: [networkpolicies]
    verbs: [get, create, update]
"""
    namespace.deploy(role=role, BURROW_KUBE_NETWORK_POLICY="access.example.com/{client}=true", BURROW_SWEEP_INTERVAL="1s",
                     BURROW_STALE_SERVICE_AGE="5s")
    client = namespace.client("web", web[0])
    (policy,) = wait_until("the policy", lambda: namespace.get("networkpolicies")["items"], 10)
    service = namespace.service("web")
    assert policy["metadata"]["name"] == service["metadata"]["name"]
    assert policy["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": service["spec"]["ports"][0]["targetPort"]}]
    mark = client.mark()
    namespace.kubectl("delete", "pod", namespace.pods()[0]["metadata"]["name"], "--wait=false")
    client.wait_event("service_ready", 30, after=mark)
    port = int(client.seen("service_ready")[-1]["bridge"].rsplit(":", 1)[1])
    wait_until("the policy follows", lambda: namespace.get("networkpolicies")["items"][0]["spec"]["ingress"][0]["ports"]
               == [{"protocol": "TCP", "port": port}])
    client.stop()
    wait_until("the policy is collected", lambda: not namespace.get("networkpolicies")["items"], 60)


def test_uninstalling_removes_the_services_of_clients(namespace, web):
    namespace.deploy()
    namespace.client("web", web[0])
    namespace.service("web")
    namespace.kubectl("delete", "deployment", "burrow-server")
    wait_until("the Services are collected",
               lambda: not namespace.get("services", "-l", "burrow.dev/client-id")["items"], 60)
    wait_until("the slices are collected",
               lambda: not namespace.get("endpointslices", "-l", "burrow.dev/client-id")["items"], 60)


def test_two_replicas_each_service_leads_to_the_pod_that_has_the_client(namespace, web):
    namespace.deploy(replicas=2)
    pods = {p["status"]["podIP"]: p["metadata"]["name"] for p in namespace.pods()}
    assert len(pods) == 2
    for number, address in enumerate(pods):
        namespace.client(f"c{number}", web[0], address=f"{address}:8080")
    for number, address in enumerate(pods):
        name = namespace.service(f"c{number}")["metadata"]["name"]
        (slice_,) = namespace.get("endpointslices", "-l", f"kubernetes.io/service-name={name}")["items"]
        assert slice_["endpoints"][0]["addresses"] == [address]
        assert namespace.fetch(f"c{number}") == "it works"


def test_a_client_whose_replica_is_deleted_is_reached_through_the_other(namespace, web):
    namespace.deploy(replicas=2)
    namespace.client("web", web[0])
    holder = namespace.service("web")["metadata"]["annotations"]["burrow.dev/holder"]
    namespace.kubectl("delete", "pod", holder, "--wait=false")

    def moved():
        service = namespace.service("web")
        return service["metadata"]["annotations"]["burrow.dev/holder"] != holder and service

    began = time.monotonic()
    wait_until("the Service leads to another pod", moved, 10)
    assert namespace.fetch("web") == "it works"
    assert time.monotonic() - began < 10


def test_killed_servers_leave_no_orphans_and_clients_come_back(namespace, web):
    namespace.deploy(BURROW_SWEEP_INTERVAL="1s", BURROW_STALE_SERVICE_AGE="15s")
    namespace.kubectl("create", "service", "clusterip", "foreign", "--tcp=1:1")
    foreign = namespace.get("service", "foreign")
    client = namespace.client("web", web[0])
    gone = namespace.client("gone", web[0])
    namespace.service("gone")
    gone.stop()
    address = namespace.service("web")["spec"]["clusterIP"]
    load = Process("load", namespace.cluster.argv(
        "/bin/sh", "-c", "while :; do curl -s -o /dev/null --max-time 5 -w '%{stderr}%{size_download}\\n' "
        f"http://{address}:8000/large; sleep 0.1; done"))
    namespace.processes.append(load)
    took = []
    kills = 50 if LONG else 4
    for _ in range(kills):
        mark = client.mark()
        (pod,) = namespace.pods()
        began = time.monotonic()
        namespace.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
        client.wait_event("connected", after=mark)
        took.append(round(time.monotonic() - began, 1))
    print("back after", sorted(took))
    wait_until(lambda: f"a MiB for each kill: {load.lines}", lambda: sum(map(int, load.lines)) > kills << 20)
    assert max(took) < 10, took
    namespace.service("web")
    wait_until("the orphan is swept", lambda: not namespace.get("services", "-l", "burrow.dev/client-id=gone")["items"], 60)
    assert namespace.get("service", "foreign") == foreign


def test_slices_begin_where_the_selector_was_and_nothing_old_stays(namespace, web):
    """And back again: an upgrade, and its revocation."""
    namespace.deploy(BURROW_KUBE_ENDPOINTS="selector")
    client = namespace.client("web", web[0])
    assert namespace.fetch("web") == "it works"

    def leads_to():
        name = namespace.service("web")["metadata"]["name"]
        slices = namespace.get("endpointslices", "-l", f"kubernetes.io/service-name={name}")["items"]
        return [(a, p["port"]) for s in slices for e in s["endpoints"] or [] for a in e["addresses"] for p in s["ports"] or []]

    for how in ("slice", "selector"):
        mark = client.mark()
        namespace.kubectl("set", "env", "deployment/burrow-server", f"BURROW_KUBE_ENDPOINTS={how}")
        namespace.kubectl("rollout", "status", "deployment/burrow-server", "--timeout=90s")
        client.wait_event("connected", 30, after=mark)

        def settled():
            (pod,) = namespace.pods()
            port = int(client.seen("service_ready")[-1]["bridge"].rsplit(":", 1)[1])
            return leads_to() == [(pod["status"]["podIP"], port)]

        wait_until(lambda: f"{how}: only the new pod, but {leads_to()}", settled, 40)
        assert namespace.fetch("web", seconds=20) == "it works"


def test_tunnels_do_not_need_the_api_and_services_catch_up(namespace, web):
    namespace.deploy()
    namespace.client("web", web[0])
    service = namespace.service("web")
    url = f"http://{service['spec']['clusterIP']}:8000/small"
    run(CLUSTER, "run", "curl", "-sf", "--retry", "20", "--retry-all-errors", "--retry-delay", "1", url)
    with open(os.path.join(RUN, "apiserver.pid"), encoding="utf-8") as file:
        apiserver = int(file.read())
    address = namespace.server_address()
    os.kill(apiserver, signal.SIGSTOP)
    try:
        late = namespace.client("late", web[0], address=address)
        deadline = time.monotonic() + (180 if LONG else 15)
        while time.monotonic() < deadline:
            assert run(CLUSTER, "run", "curl", "-sf", "--max-time", "10", url) == "it works"
            time.sleep(1)  # for as long as the API is away
    finally:
        os.kill(apiserver, signal.SIGCONT)
    assert late.running()
    namespace.service("late", 30 if LONG else 40)

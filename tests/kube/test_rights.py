# SPDX-License-Identifier: Apache-2.0
"""The Roles are what the servers use, no more and no less: the API server's audit log tells."""
import json
import os

import yaml

from conftest import ROOT, RUN, run, wait_until
from test_chart import AUTH, CHART, VERSION, helm  # noqa: F401 (a fixture)
from test_expose import exposing  # noqa: F401 (a fixture)
from test_registry import web  # noqa: F401 (a fixture)

FOREIGN = "burrow-client-foreign-52d19df3"  # what the client "foreign" would have


def allowed(rules):
    return {(group, resource, verb) for rule in rules for group in rule["apiGroups"] for resource in rule["resources"]
            for verb in rule["verbs"]}


def asked(namespace, account):
    """(group, resource, verb) of every request of the account, and those that were refused."""
    used, refused = set(), []
    with open(os.path.join(RUN, "log", "audit.log"), encoding="utf-8") as log:
        for line in log:
            if f'"system:serviceaccount:{namespace.name}:{account}"' not in line:
                continue
            event = json.loads(line)
            reference = event["objectRef"]
            used.add((reference.get("apiGroup", ""), reference["resource"], event["verb"]))
            assert reference["namespace"] == namespace.name
            if event["responseStatus"]["code"] == 403:
                refused.append((reference["resource"], event["verb"]))
    return used, refused


def used_and_no_more(namespace, account, rights):
    wait_until(lambda: f"used {asked(namespace, account)[0]} of {rights}",
               lambda: asked(namespace, account)[0] >= rights, 60)
    assert asked(namespace, account) == (rights, [])


def test_the_role_of_the_manifests_is_what_the_server_uses(namespace, web):  # noqa: F811
    with open(os.path.join(ROOT, "manifests", "role.yaml"), encoding="utf-8") as file:
        rights = allowed(yaml.safe_load(file)["rules"])
    namespace.deploy(replicas=2, BURROW_SWEEP_INTERVAL="1s", BURROW_STALE_SERVICE_AGE="2s")
    # One that goes and is swept, one whose name is taken, and one that moves to the other replica.
    namespace.client("gone", web[0]).stop()
    namespace.kubectl("create", "service", "clusterip", FOREIGN, "--tcp=1:1")
    namespace.client("foreign", web[0])
    namespace.client("web", web[0])
    holder = namespace.service("web")["metadata"]["annotations"]["burrow.dev/holder"]
    namespace.kubectl("delete", "pod", holder, "--wait=false")
    used_and_no_more(namespace, "burrow-server", rights)


def test_the_role_of_the_chart_is_that_of_the_manifests(helm):  # noqa: F811
    made = run(helm, "template", "burrow", CHART, *VERSION, *AUTH)
    (chart,) = [o for o in yaml.safe_load_all(made) if o["kind"] == "Role"]
    with open(os.path.join(ROOT, "manifests", "role.yaml"), encoding="utf-8") as file:
        assert chart["rules"] == yaml.safe_load(file)["rules"]


def test_the_role_of_expose_is_what_its_server_uses(exposing, namespace):  # noqa: F811
    sweep = [{"name": "BURROW_SWEEP_INTERVAL", "value": "1s"}, {"name": "BURROW_STALE_SERVICE_AGE", "value": "15s"}]
    process = exposing.start("--service-type", "ClusterIP", "--patch-deployment", json.dumps(
        {"spec": {"template": {"spec": {"containers": [{"name": "server", "env": sweep}]}}}}))
    exposing.carries(process)
    rights = allowed(namespace.get("role", "burrow-web")["rules"])
    # Another pod of the server takes the Service over, and one that is ours without a client is swept.
    namespace.apply(json.dumps({
        "apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 1}]},
        "metadata": {"name": "burrow-client-gone-1f62aaae", "labels": {
            "app.kubernetes.io/managed-by": "burrow", "burrow.dev/client-id": "gone"}}}))
    mark = process.mark()
    namespace.kubectl("delete", "pod", "-l", "burrow.dev/server-name=web", "--grace-period=0", "--force")
    process.wait_event("connected", 60, after=mark)
    used_and_no_more(namespace, "burrow-web", rights)
    exposing.interrupt(process)

# SPDX-License-Identifier: Apache-2.0
"""The Helm chart and the manifests, by Helm and the API server themselves."""
import json
import os
import re
import subprocess

import pytest

from conftest import BURROW, IMAGE, KUBE_DIR, ROOT, RUN, SECRET, run, wait_until
from harness.burrow import clean_environment
from test_registry import web  # noqa: F401 (a fixture)

CHART = os.path.join(ROOT, "packaging", "helm", "burrow")
# Built from its module Helm does not know which Kubernetes it was made for.
VERSION = ["--kube-version", "1.33.0"]
AUTH = ["--set", "server.auth.hmacSecret=" + SECRET.replace(",", "\\,")]
EVERYTHING = AUTH + [
    "--set", "server.replicas=2", "--set", "server.ingress.enabled=true", "--set", "server.ingress.tlsSecret=tls",
    "--set", "server.networkPolicy.enabled=true",
    "--set", "server.networkPolicy.perClient=access.example.com/{client}=true".replace("{", "\\{").replace("}", "\\}"),
    "--set", "server.serviceMonitor.enabled=true", "--set", "client.enabled=true", "--set", "client.serverUrl=ws://a/ws",
    "--set", "client.clientId=a", "--set", "client.localTargets[0]=pg=b:5432", "--set", "client.existingSecret=t"]


@pytest.fixture
def helm(cluster):
    return os.path.join(KUBE_DIR, "bin", "helm")


@pytest.fixture(scope="module")
def conforms(cluster, tmp_path_factory):
    """kubeconform, strictly, with schemas made of what the API server says of itself; the Prometheus operator's
    ServiceMonitor is a kind of its own."""
    cluster.kubectl("apply", "--server-side", "-f", os.path.join(KUBE_DIR, "servicemonitors.yaml"))
    folder = tmp_path_factory.mktemp("schemas")
    made = wait_until("the schema of ServiceMonitor",
                      lambda: schemas(json.loads(cluster.kubectl("get", "--raw", "/openapi/v2")), folder), 60)
    assert "deployment-apps-v1.json" in made

    def check(text):
        said = run(os.path.join(KUBE_DIR, "bin", "kubeconform"), "-strict", "-summary", "-schema-location",
                   f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", "-", input=text)
        assert "Invalid: 0, Errors: 0, Skipped: 0" in said, said
        return int(re.search(r"(\d+) resource", said)[1])
    return check


def schemas(openapi, folder):
    """A JSON schema for each kind, by the name under which kubeconform looks for it; the names."""
    definitions = openapi["definitions"]
    for definition in definitions.values():
        if definition.get("format") == "int-or-string":
            definition.update(type=["string", "integer"])
        elif "properties" in definition:
            definition.setdefault("additionalProperties", False)
    (folder / "all.json").write_text(json.dumps({"definitions": definitions}))
    made = []
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            group = kind["group"].split(".")[0]
            made.append("-".join(filter(None, [kind["kind"].lower(), group, kind["version"]])) + ".json")
            (folder / made[-1]).write_text(json.dumps({"$ref": f"file://{folder}/all.json#/definitions/{name}"}))
    return made if "servicemonitor-monitoring-v1.json" in made else None


@pytest.mark.parametrize("values", [AUTH, EVERYTHING], ids=["least", "most"])
def test_lint_has_nothing_to_say(helm, values):
    said = run(helm, "lint", "--strict", CHART, *VERSION, *values)
    assert "1 chart(s) linted, 0 chart(s) failed" in said and "[WARNING]" not in said


@pytest.mark.parametrize("values", [AUTH, EVERYTHING], ids=["least", "most"])
def test_the_api_takes_all_that_the_chart_makes(helm, conforms, namespace, values):
    made = run(helm, "template", "burrow", CHART, *VERSION, "--namespace", namespace.name, *values)
    assert conforms(made) == (7 if values is AUTH else 12)
    namespace.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", input=made)


@pytest.mark.parametrize("values,what", [
    ([], "server.auth: set existingSecret, hmacSecret or jwksUrl"),
    (AUTH + ["--set", "server.auth.jwksUrl=https://a"], "exclude each other"),
    (AUTH + ["--set", "server.replica=1"], "replica"),
    (AUTH + ["--set", "server.networkPolicy.perClient=a=b"], "server.networkPolicy.perClient: needs enabled=true"),
    (AUTH + ["--set", "client.enabled=true"], "client: serverUrl, clientId, localTargets and existingSecret are needed"),
])
def test_wrong_values_are_refused_in_words(helm, values, what):
    done = subprocess.run([helm, "template", "burrow", CHART, *VERSION, *values], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and what in done.stderr


def test_the_manifests_are_taken_strictly(conforms, namespace):
    made = run("/bin/sh", "-c", "for f in manifests/[!k]*.yaml; do cat $f; echo ---; done", cwd=ROOT)
    assert conforms(made) == 6
    namespace.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", input=made)
    with open(os.path.join(ROOT, "manifests", "kustomization.yaml"), encoding="utf-8") as file:
        listed = {line.split("- ")[1].strip() for line in file if "- " in line}
    assert listed == {n for n in os.listdir(os.path.join(ROOT, "manifests")) if n != "kustomization.yaml"}


def test_what_expose_makes_conforms(conforms):
    for flags in (["--service-type", "None"], ["--hostname", "a.example.com", "--tls-secret", "edge"]):
        made = run(BURROW, "expose", "--client-id", "web", "--dry-run", *flags,
                   env=clean_environment(KUBECONFIG="/nonexistent"))
        assert conforms(made) == 5 + len(flags) // 2


def test_a_kind_that_is_wrong_does_not_conform(conforms):
    with pytest.raises(AssertionError, match="replica"):
        conforms('{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"replica": 1}}')


def test_an_installed_chart_carries_data_and_leaves_nothing(helm, cluster, namespace, web):  # noqa: F811
    kubeconfig = os.path.join(RUN, "admin.kubeconfig")
    repository, tag = IMAGE.split(":")
    by_helm = cluster.argv(helm, "--kubeconfig", kubeconfig, "--namespace", namespace.name)
    run(*by_helm, "install", "burrow", CHART, *AUTH, "--set", f"image.repository={repository}", "--set", f"image.tag={tag}",
        "--set", "image.pullPolicy=Never", "--set", "server.replicas=2", "--wait", "--timeout", "90s")
    address = namespace.get("service", "burrow")["spec"]["clusterIP"]
    namespace.client("web", web[0], address=f"{address}:8080")
    assert namespace.fetch("web") == "it works"
    run(*by_helm, "uninstall", "burrow", "--wait")
    wait_until("nothing is left", lambda: not json.loads(namespace.kubectl(
        "get", "services,deployments,roles,rolebindings,poddisruptionbudgets,endpointslices", "-o", "json"))["items"], 60)

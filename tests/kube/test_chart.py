# SPDX-License-Identifier: Apache-2.0
"""The Helm chart and the manifests, by Helm and the API server themselves."""
import json
import os
import subprocess

import pytest

from conftest import BUILD, IMAGE, ROOT, run, wait_until
from test_registry import web  # noqa: F401 (a fixture)

CHART = os.path.join(ROOT, "packaging", "helm", "burrow")
# Built from its module Helm does not know which Kubernetes it was made for.
VERSION = ["--kube-version", "1.33.0"]
HELM = "helm.sh/helm/v3/cmd/helm@v3.22.0"
AUTH = ["--set", "server.auth.hmacSecret=a secret of the tests in Kubernetes, long enough"]
EVERYTHING = AUTH + [
    "--set", "server.replicas=2", "--set", "server.ingress.enabled=true", "--set", "server.ingress.tlsSecret=tls",
    "--set", "server.networkPolicy.enabled=true", "--set", "client.enabled=true", "--set", "client.serverUrl=ws://a/ws",
    "--set", "client.clientId=a", "--set", "client.localTargets[0]=pg=b:5432", "--set", "client.existingSecret=t"]


@pytest.fixture(scope="module")
def helm(cluster):
    folder = os.path.join(BUILD, "bin")
    program = os.path.join(folder, "helm")
    if not os.path.exists(program):
        run("go", "install", "-trimpath", "-ldflags", "-s -w", HELM, env={**os.environ, "GOBIN": folder, "CGO_ENABLED": "0"})
    return program


@pytest.mark.parametrize("values", [AUTH, EVERYTHING], ids=["least", "most"])
def test_lint_has_nothing_to_say(helm, values):
    said = run(helm, "lint", "--strict", CHART, *VERSION, *values)
    assert "1 chart(s) linted, 0 chart(s) failed" in said and "[WARNING]" not in said


@pytest.mark.parametrize("values", [AUTH, EVERYTHING], ids=["least", "most"])
def test_the_api_takes_all_that_the_chart_makes(helm, cluster, namespace, values):
    made = run(helm, "template", "burrow", CHART, *VERSION, "--namespace", namespace.name, *values)
    namespace.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", input=made)


@pytest.mark.parametrize("values,what", [
    ([], "server.auth: set existingSecret, hmacSecret or jwksUrl"),
    (AUTH + ["--set", "server.auth.jwksUrl=https://a"], "exclude each other"),
    (AUTH + ["--set", "server.replica=1"], "replica"),
    (AUTH + ["--set", "client.enabled=true"], "client: serverUrl, clientId, localTargets and existingSecret are needed"),
])
def test_wrong_values_are_refused_in_words(helm, values, what):
    done = subprocess.run([helm, "template", "burrow", CHART, *VERSION, *values], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and what in done.stderr


def test_the_manifests_are_taken_strictly(namespace):
    made = run("/bin/sh", "-c", "for f in manifests/[!k]*.yaml; do cat $f; echo ---; done", cwd=ROOT)
    namespace.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", input=made)
    with open(os.path.join(ROOT, "manifests", "kustomization.yaml"), encoding="utf-8") as file:
        listed = {line.split("- ")[1].strip() for line in file if "- " in line}
    assert listed == {n for n in os.listdir(os.path.join(ROOT, "manifests")) if n != "kustomization.yaml"}


def test_an_installed_chart_carries_data_and_leaves_nothing(helm, cluster, namespace, web):  # noqa: F811
    kubeconfig = os.path.join(os.environ.get("KUBE_DIR", "/var/tmp/burrow-kube"), "run", "admin.kubeconfig")
    repository, tag = IMAGE.split(":")
    by_helm = cluster.argv(helm, "--kubeconfig", kubeconfig, "--namespace", namespace.name)
    run(*by_helm, "install", "burrow", CHART, *AUTH, "--set", f"image.repository={repository}", "--set", f"image.tag={tag}",
        "--set", "image.pullPolicy=Never", "--set", "server.replicas=2", "--wait", "--timeout", "90s")
    address = namespace.get("service", "burrow")["spec"]["clusterIP"]
    namespace.client("web", web[0], address=f"{address}:8080")
    name = namespace.service("web")["metadata"]["name"]
    assert namespace.in_pod("wget", "-q", "-O", "-", f"http://{name}.{namespace.name}.svc:8000/small") == "it works"
    run(*by_helm, "uninstall", "burrow", "--wait")
    wait_until("nothing is left", lambda: not json.loads(namespace.kubectl(
        "get", "services,deployments,roles,rolebindings,poddisruptionbudgets,endpointslices", "-o", "json"))["items"], 60)

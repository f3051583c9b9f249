# SPDX-License-Identifier: Apache-2.0
"""`burrow expose --dry-run`: the objects as YAML that kubectl takes, and bad input."""
import json
import re

import pytest
import yaml

KINDS = ["Secret", "ServiceAccount", "Role", "RoleBinding", "Deployment", "Service"]
NOWHERE = {"KUBECONFIG": "/nonexistent", "HOME": "/nonexistent"}


@pytest.fixture
def dry(burrow):
    def run(*flags, client_id="api", **env):
        done = burrow.run("expose", f"--client-id={client_id}", "--dry-run", *flags, env={**NOWHERE, **env})
        assert done.returncode == 0 and not done.stderr, done.stderr
        return {o["kind"]: o for o in yaml.safe_load_all(done.stdout)}
    return run


def container(objects):
    return objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]


def environment(objects):
    return {v["name"]: v.get("value") for v in container(objects)["env"]}


def test_it_prints_every_object_in_order_and_asks_no_cluster(dry):
    objects = dry()
    assert list(objects) == KINDS
    for kind, o in objects.items():
        assert o["metadata"]["name"] == ("burrow-api-auth" if kind == "Secret" else "burrow-api")
        assert o["metadata"]["namespace"] == "default"
        assert o["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "burrow", "burrow.dev/server-name": "api"}


def test_each_run_has_a_secret_of_its_own(dry):
    secrets = {dry()["Secret"]["stringData"]["hmac-secret"] for _ in range(2)}
    assert len(secrets) == 2 and all(re.fullmatch("[0-9a-f]{64}", s) for s in secrets)


@pytest.mark.parametrize("flags, kind, headless, in_register", [
    ([], "LoadBalancer", False, True), (["--service-type=LoadBalancer"], "LoadBalancer", False, False),
    (["--service-type=NodePort"], "NodePort", False, False),
    (["--service-type=ClusterIP"], "ClusterIP", False, True), (["--service-type=None"], "ClusterIP", True, True),
    (["--hostname=t.example.com"], "ClusterIP", False, False)])
def test_service_types(dry, flags, kind, headless, in_register):
    objects = dry(*flags)
    spec = objects["Service"]["spec"]
    assert spec["type"] == kind and spec.get("clusterIP") == ("None" if headless else None)
    assert environment(objects).get("BURROW_TOKEN_IN_REGISTER") == ("true" if in_register else None)


def test_names_image_port_and_namespace(dry):
    objects = dry("--server-name=two", "--image=mine:3", "--server-port=9000", BURROW_NAMESPACE="web")
    assert objects["Service"]["metadata"]["name"] == "burrow-two"
    assert objects["RoleBinding"]["subjects"] == [{"kind": "ServiceAccount", "name": "burrow-two", "namespace": "web"}]
    assert container(objects)["image"] == "mine:3" and environment(objects)["BURROW_SERVER_ADDR"] == ":9000"
    assert objects["Service"]["spec"]["ports"][0]["port"] == 9000


def test_the_namespace_is_that_of_the_context(dry, tmp_path):
    config = {"current-context": "a", "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
              "contexts": [{"name": n, "context": {"cluster": "c", "namespace": "of-" + n}} for n in "ab"]}
    path = tmp_path / "config"
    path.write_text(json.dumps(config))
    assert dry(KUBECONFIG=str(path))["Role"]["metadata"]["namespace"] == "of-a"
    assert dry("--kube-context=b", f"--kubeconfig={path}")["Role"]["metadata"]["namespace"] == "of-b"


def test_an_ingress_with_everything(dry):
    ingress = dry("--hostname=t.example.com", "--tls-secret=cert", "--ingress-class=nginx",
                  "--ingress-annotation=a.example/b=yes", "--ingress-annotation=c=d=e")["Ingress"]
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["spec"]["tls"] == [{"hosts": ["t.example.com"], "secretName": "cert"}]
    annotations = ingress["metadata"]["annotations"]
    assert annotations["a.example/b"] == "yes" and annotations["c"] == "d=e"
    assert annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "3600"


def test_the_patch_of_the_guide_reaches_the_container(dry):
    patch = {"spec": {"template": {"spec": {"containers": [
        {"name": "server", "resources": {"limits": {"memory": "128Mi"}}, "env": [{"name": "X", "value": "1"}]}]}}}}
    objects = dry("--patch-deployment", json.dumps(patch), "--patch-service", '{"spec":{"ports":[{"port":8080,"nodePort":30080}]}}')
    assert container(objects)["resources"] == {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    assert environment(objects)["X"] == "1" and environment(objects)["BURROW_JWT_ALG"] == "HS256"
    assert objects["Service"]["spec"]["ports"] == [
        {"name": "http", "protocol": "TCP", "port": 8080, "targetPort": "http", "nodePort": 30080}]


@pytest.mark.parametrize("value", ["on", "yes", "no", "n", "123", "1e3", "null", "true", "0x1f"])
def test_words_of_yaml_stay_text(dry, value):
    assert dry(client_id=value)["Secret"]["metadata"]["labels"]["burrow.dev/server-name"] == value


@pytest.mark.parametrize("flags, said", [
    (["--dry-run"], "--client-id (BURROW_CLIENT_ID)"),
    (["--client-id=a"], "--local-target (BURROW_LOCAL_TARGET)"),
    (["--client-id=a", "--local-target=nonsense"], "--local-target (BURROW_LOCAL_TARGET)"),
    (["--client-id=A_b", "--dry-run"], "--server-name (BURROW_SERVER_NAME)"),
    (["--client-id=a", "--dry-run", "--server-name=-"], "--server-name (BURROW_SERVER_NAME)"),
    (["--client-id=a", "--dry-run", "--service-type=Odd"], "--service-type (BURROW_SERVICE_TYPE)"),
    (["--client-id=a", "--dry-run", "--hostname=a b"], "--hostname (BURROW_HOSTNAME)"),
    (["--client-id=a", "--dry-run", "--tls-secret=x"], "--hostname (BURROW_HOSTNAME)"),
    (["--client-id=a", "--dry-run", "--hostname=h", "--ingress-annotation=x"], "--ingress-annotation"),
    (["--client-id=a", "--dry-run", "--namespace=A"], "--namespace (BURROW_NAMESPACE)"),
    (["--client-id=a", "--dry-run", "--kubeconfig=/nonexistent"], "--kubeconfig (BURROW_KUBECONFIG)"),
    (["--client-id=a", "--dry-run", "--connect-addr=h", "--service-type=ClusterIP"], "--connect-addr (BURROW_CONNECT_ADDR)"),
    (["--client-id=a", "--dry-run", "--patch-deployment=["], "--patch-deployment (BURROW_PATCH_DEPLOYMENT)"),
    (["--client-id=a", "--dry-run", "--patch-service", '{"$patch":"x"}'], "--patch-service (BURROW_PATCH_SERVICE)"),
    (["--client-id=a", "--dry-run", "--patch-deployment", '{"metadata":{"name":"x"}}'], "--patch-deployment"),
])
def test_bad_input_is_one_line_that_names_the_option(burrow, flags, said):
    done = burrow.run("expose", *flags, env=NOWHERE)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1 and not done.stdout

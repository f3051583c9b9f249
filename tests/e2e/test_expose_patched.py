# SPDX-License-Identifier: Apache-2.0
"""`burrow expose` with a container and a port more, which a patch puts before its own as Kubernetes does."""
import json
import signal

from harness.burrow import clean_environment
from harness.kubernetes import Api
from harness.process import Process
from test_expose_interrupt import Objects

SIDECAR = {"spec": {"template": {"spec": {"containers": [{"name": "sidecar", "image": "x"}]}}}}
PORT = {"spec": {"ports": [{"name": "metrics", "port": 9090}]}}


def test_the_way_is_that_of_its_own_container_and_port(burrow, world, tmp_path):
    """Where no load balancer appears, `auto` goes through the API server, if the server takes the token there."""
    objects = Objects(ready=True)
    api = Api(objects)
    world.closing.append(api)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps({
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "here"}}],
        "clusters": [{"name": "c", "cluster": {"server": api.url}}], "users": [{"name": "u", "user": {"token": "t"}}]}))
    process = Process("expose", [
        "/bin/sh", "-c", 'exec "$@" >&2', "sh", burrow.binary, "expose", "--client-id", "web", "--local-target", "127.0.0.1:1",
        "--kubeconfig", kubeconfig, "--wait-timeout", "2s", "--patch-deployment", json.dumps(SIDECAR), "--patch-service",
        json.dumps(PORT)], env=clean_environment())
    try:
        assert api.wait("GET", "/proxy/ws")[1].endswith("/services/burrow-web:8080/proxy/ws"), process.log
        process.signal(signal.SIGINT)
        assert process.wait() == 0 and objects.objects == {}
    finally:
        if process.running():
            process.kill()

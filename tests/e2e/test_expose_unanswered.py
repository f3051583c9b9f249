# SPDX-License-Identifier: Apache-2.0
"""`burrow expose` whose creation of an object failed without saying whether it came through."""
import json

import pytest

from harness.kubernetes import Api, failure
from test_expose_interrupt import Objects


@pytest.mark.parametrize("whose", ["its own", "another run's"])
def test_at_the_end_it_deletes_what_it_has_made_and_not_what_another_run_has(burrow, world, tmp_path, whose):
    objects = Objects()

    def script(method, path, body):
        if method == "POST" and path.endswith("/deployments"):
            if whose != "its own":
                body["metadata"]["annotations"]["burrow.dev/run"] = "another"
            objects(method, path, body)
            return failure(500, "nobody knows")
        return objects(method, path, body)

    api = Api(script)
    world.closing.append(api)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps({
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "here"}}],
        "clusters": [{"name": "c", "cluster": {"server": api.url}}], "users": [{"name": "u", "user": {"token": "t"}}]}))
    done = burrow.run("expose", "--client-id", "web", "--local-target", "127.0.0.1:1", "--kubeconfig", str(kubeconfig))
    assert done.returncode == 1 and "nobody knows" in done.stderr
    left = [] if whose == "its own" else ["/apis/apps/v1/namespaces/here/deployments/burrow-web"]
    assert list(objects.objects) == left and done.stderr.count("another run has made it") == len(left), done.stderr

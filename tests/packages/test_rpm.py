# SPDX-License-Identifier: Apache-2.0
"""The RPM packages, built and installed by Debian's rpm into a root that has what their scriptlets call."""
import os
import subprocess
from pathlib import Path

import pytest

from conftest import BUILD, ROOT, run

LIBRARIES = ["libcurl4", "libev4", "libjansson4", "libjose0", "libssl3", "libwebsockets-evlib-ev",
             "libwebsockets17", "libyaml-0-2"]


@pytest.fixture(scope="session")
def rpms():
    """The folder with the RPM packages of the committed tree."""
    folder = os.path.join(BUILD, "rpm")
    commit = run("git", "-C", ROOT, "rev-parse", "HEAD").strip()
    stamp = Path(folder, "commit")
    if not stamp.exists() or stamp.read_text(encoding="utf-8").strip() != commit:
        run(os.path.join(ROOT, "packaging", "rpm", "build.sh"), folder)
    return folder


def binaries(folder):
    return sorted(os.path.join(folder, n) for n in os.listdir(folder) if n.endswith(".rpm") and ".src." not in n)


def named(folder, name):
    (found,) = [f for f in binaries(folder) if run("rpm", "-qp", "--qf", "%{NAME}", f) == name]
    return found


def test_rpmlint_has_nothing_to_say_that_is_not_explained(rpms):
    done = subprocess.run(["rpmlint", "--strict", "--ignore-unused-rpmlintrc", "--config",
                           os.path.join(ROOT, "packaging", "rpm", "rpmlint.toml"),
                           *(os.path.join(rpms, n) for n in os.listdir(rpms) if n.endswith(".rpm"))],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_builds_of_rpms_have_the_same_files(rpms, tmp_path):
    run(os.path.join(ROOT, "packaging", "rpm", "build.sh"), tmp_path)
    for first in binaries(rpms):
        assert run("cmp", first, tmp_path / os.path.basename(first)) == ""


def test_split_plugins_need_their_abi(rpms):
    assert "burrow(plugin-abi) = 0" in run("rpm", "-qp", "--provides", named(rpms, "burrow"))
    for name in ("burrow-plugin-jwks", "burrow-plugin-kubernetes"):
        assert "burrow(plugin-abi) = 0" in run("rpm", "-qp", "--requires", named(rpms, name))


def test_installed_upgraded_and_erased_as_specified(rpms, root):
    root.inside("apt-get", "-qq", "update")
    root.inside("apt-get", "-qq", "-y", "--no-install-recommends", "install", *LIBRARIES)

    def rpm(*arguments):
        return run("rpm", "--root", root.folder, *arguments)

    rpm("--initdb")
    rpm("--nodeps", "--install", *binaries(rpms))
    # Owners and modes are as the packages say; the user was made before the files came.
    said = root.inside("stat", "-c", "%a %U:%G", "/etc/burrow", "/etc/burrow/clients", "/etc/burrow/burrow.yaml",
                       "/usr/bin/burrow", "/usr/lib64/burrow/plugins/transport-ws.so")
    assert said.split("\n")[:5] == ["750 root:burrow", "750 root:burrow", "640 root:burrow", "755 root:root",
                                    "644 root:root"]
    assert rpm("--verify", "--nodeps", "burrow", "burrow-plugin-jwks", "burrow-plugin-kubernetes") == ""
    assert rpm("--query", "--configfiles", "burrow").split() == ["/etc/burrow/burrow.yaml",
                                                                 "/etc/default/burrow-server"]
    listed = {line.split()[0] for line in root.inside("burrow", "plugins").splitlines() if line}
    assert {n for n in os.listdir(os.path.join(ROOT, "plugins"))
            if n.startswith(("transport-", "auth-", "registry-", "command-"))} <= listed
    # The server starts by the installed unit, ready for its service manager.
    root.boot("""
(umask 027; head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \\n' >/etc/burrow/jwt-secret; chgrp burrow /etc/burrow/jwt-secret)
systemctl start burrow-server
systemctl reload burrow-server
curl -sf http://127.0.0.1:8080/healthz
echo DONE
""")
    # What the administrator changed stays, over an upgrade and a removal.
    root.write("etc/burrow/burrow.yaml", "bridge-host: 127.0.0.1\n# mine\n")
    rpm("--nodeps", "--upgrade", "--replacepkgs", named(rpms, "burrow"))
    assert "# mine" in root.read("etc/burrow/burrow.yaml")
    rpm("--erase", *(n for n in rpm("-qa", "--qf", "%{NAME}\\n").split() if n.startswith("burrow")))
    assert "# mine" in root.read("etc/burrow/burrow.yaml.rpmsave")
    assert not os.path.exists(root.path("usr/bin/burrow")) and not os.path.exists(root.path("usr/lib64/burrow"))

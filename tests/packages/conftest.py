# SPDX-License-Identifier: Apache-2.0
"""The packages as an administrator meets them: built from the committed tree, installed into a fresh
Debian root, run by the systemd of that root.

    make package-test            builds packages, makes roots, runs everything here (needs root)

The root is made once by debootstrap and kept as a tar file under BUILD; each test that changes it
works on a copy of its own."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

BUILD = os.path.join(ROOT, "build", "packages")
OLDER = "0.0.9"
PLUGIN_KINDS = ("transport-", "auth-", "registry-", "command-")
PACKAGES = ["burrow", "burrow-plugin-jwks", "burrow-plugin-kubernetes", "burrow-dev", "burrow-doc"]
# With what a smoke test needs besides the packages: systemd to run them, curl to ask.
INCLUDE = "ca-certificates,curl,systemd-sysv,dbus"


def run(*argv, **options):
    """A command that must succeed; its output is the message if it does not."""
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    assert done.returncode == 0, f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout[-8000:]}"
    return done.stdout


def commit_of(tree):
    return run("git", "-C", tree, "rev-parse", "HEAD").strip()


def built(kind):
    """The folder with the packages of the committed tree; `make package` has perhaps made them."""
    folder = os.path.join(BUILD, kind)
    stamp = Path(folder, "commit")
    if not stamp.exists() or stamp.read_text(encoding="utf-8").strip() != commit_of(ROOT):
        run(os.path.join(ROOT, "packaging", kind, "build.sh"), folder)
    return folder


@pytest.fixture(scope="session")
def debs():
    return built("deb")


@pytest.fixture(scope="session")
def rpms():
    return built("rpm")


@pytest.fixture(scope="session")
def older_tree(tmp_path_factory):
    """A clone in which the version, in its one place, is an older one; the configuration differs, too."""
    tree = tmp_path_factory.mktemp("older") / "tree"
    run("git", "clone", "--quiet", ROOT, tree)
    run(sys.executable, "-B", tree / "packaging" / "version.py", "--set", OLDER)
    for name in ("burrow.yaml", "deb/burrow-server.default"):
        with open(tree / "packaging" / name, "a", encoding="utf-8") as file:
            file.write("# of the older version\n")
    run("git", "-C", tree, "-c", "user.name=tests", "-c", "user.email=tests@localhost", "commit", "-qam", "Older")
    return tree


@pytest.fixture(scope="session")
def older_debs(older_tree):
    run(older_tree / "packaging" / "deb" / "build.sh", older_tree / "build" / "deb")
    return older_tree / "build" / "deb"


@pytest.fixture(scope="session")
def older_rpms(older_tree):
    run(older_tree / "packaging" / "rpm" / "build.sh", older_tree / "build" / "rpm")
    return older_tree / "build" / "rpm"


@pytest.fixture(scope="session")
def root_tar():
    """A minimal Debian 12 as a tar file."""
    if os.geteuid() != 0:
        pytest.skip("needs root for debootstrap and systemd-nspawn")
    path = os.path.join(BUILD, "root.tar")
    if not os.path.exists(path):
        os.makedirs(BUILD, exist_ok=True)
        folder = os.path.join(BUILD, "root.tmp")
        shutil.rmtree(folder, ignore_errors=True)
        run("debootstrap", "--variant=minbase", f"--include={INCLUDE}", "bookworm", folder)
        run("tar", "-C", folder, "-cf", path + ".new", ".")
        shutil.rmtree(folder)
        os.rename(path + ".new", path)
    return path


class Root:
    """A Debian root of one test's own."""

    def __init__(self, tar, folder):
        self.folder = str(folder)
        run("tar", "-C", self.folder, "-xpf", tar)
        # Packages come from where this machine gets them.
        shutil.rmtree(self.path("etc/apt"))
        shutil.copytree("/etc/apt", self.path("etc/apt"), symlinks=True)
        shutil.copy("/etc/resolv.conf", self.path("etc/resolv.conf"))

    def path(self, name):
        return os.path.join(self.folder, name.lstrip("/"))

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def inside(self, *argv):
        """A command in the root, with its own /proc and /dev, but without a running systemd."""
        said = run("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe", "--directory", self.folder,
                   "--setenv=DEBIAN_FRONTEND=noninteractive", *argv)
        # systemd-nspawn says so of a folder of its own, on some machines, at each end.
        return re.sub(r"^Attempted to remove disk file system under .*\n", "", said, flags=re.M)

    def put(self, folder, *names, under=""):
        """The Debian packages of these names as files in the root; their paths there."""
        os.makedirs(self.path(under), exist_ok=True)
        files = []
        for name in names:
            (file,) = [f for f in os.listdir(folder) if f.startswith(name + "_") and f.endswith(".deb")]
            shutil.copy(os.path.join(folder, file), self.path(f"{under}/{file}"))
            files.append(f"{under}/{file}")
        return files

    def install(self, folder, *names, extra=()):
        """The packages of these names, with what they depend on, and extra ones of the distribution."""
        files = self.put(folder, *names)
        self.inside("apt-get", "-qq", "update")
        self.inside("apt-get", "-qq", "-y", "--no-install-recommends", "install", *files, *extra)
        for file in files:
            os.remove(self.path(file))

    def boot(self, script, seconds=400):
        """Boots the root's systemd, runs the script (after COMMON) as a service of it, and returns its log. The
        network is a loopback of its own."""
        self.write("smoke.sh", COMMON + script, 0o755)
        self.write("etc/systemd/system/smoke.service", SMOKE_SERVICE)
        try:
            run("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--directory",
                self.folder, "--boot", "systemd.unit=smoke.service", stdin=subprocess.DEVNULL, timeout=seconds)
        except subprocess.TimeoutExpired:
            log = self.read("smoke.log") if os.path.exists(self.path("smoke.log")) else "nothing"
            raise AssertionError(f"not done after {seconds} s:\n{log}") from None
        log = self.read("smoke.log")
        assert log.rstrip().endswith("DONE"), log
        return log


# An echo service, and functions that the scripts share.
COMMON = r"""
cat >/etc/systemd/system/echo.socket <<END
[Socket]
ListenStream=127.0.0.1:7000
Accept=yes
END
cat >/etc/systemd/system/echo@.service <<END
[Service]
ExecStart=/bin/cat
StandardInput=socket
END
systemctl daemon-reload
systemctl start echo.socket
trap "journalctl --no-pager -n 60" ERR
until_true() { { set +x; } 2>/dev/null; for _ in $(seq 200); do "$@" && { set -x; return; }; sleep 0.1; done; journalctl --no-pager -n 100; return 1; }
echoes() { exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1; echo "$2" >&3; read -r -t 10 line <&3; exec 3>&-; [ "$line" = "$2" ]; }
bridge() { curl -sf "http://127.0.0.1:8080/api/clients/$1/bridge-addr" >/run/bridge; }
secret() { (umask 027; head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n' >"$1"; chgrp burrow "$1"); }
client() {
    (umask 027
     burrow token mint --sub "$1" --jwt-hmac-secret-file /etc/burrow/jwt-secret >"/etc/burrow/clients/$1.token"
     cat >"/etc/burrow/clients/$1.yaml" <<END
server-url: ws://127.0.0.1:8080/ws
client-id: $1
bearer-token-file: /etc/burrow/clients/$1.token
local-target: 127.0.0.1:7000
END
     chgrp burrow /etc/burrow/clients/*)
    systemctl start "burrow-client@$1"
}
"""

SMOKE_SERVICE = """[Unit]
Wants=network-online.target dbus.service
After=dbus.service
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/bash -eux /smoke.sh
StandardOutput=truncate:/smoke.log
StandardError=inherit
TimeoutStartSec=380
"""


@pytest.fixture
def root(root_tar, tmp_path):
    folder = tmp_path / "root"
    folder.mkdir(mode=0o755)
    root = Root(root_tar, folder)
    yield root
    shutil.rmtree(root.folder)


@pytest.fixture(scope="session")
def installed(debs, root_tar, tmp_path_factory):
    """A root with all packages and what a user of them has besides: shells, manual pages, a compiler. For
    tests that change nothing."""
    folder = tmp_path_factory.mktemp("installed")
    folder.chmod(0o755)
    root = Root(root_tar, folder)
    # Minimal roots leave manual pages out.
    for name in os.listdir(root.path("etc/dpkg/dpkg.cfg.d")):
        os.remove(root.path(f"etc/dpkg/dpkg.cfg.d/{name}"))
    root.install(debs, *PACKAGES, extra=["bash-completion", "zsh", "fish", "man-db", "gcc", "libc6-dev", "cmake", "make"])
    yield root
    shutil.rmtree(root.folder)

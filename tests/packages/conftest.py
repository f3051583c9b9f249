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
PACKAGES = ["burrow", "burrow-plugin-jwks", "burrow-plugin-kubernetes", "burrow-dev", "burrow-doc"]
# With what a smoke test needs besides the packages: systemd to run them, curl to ask.
INCLUDE = "ca-certificates,curl,systemd-sysv,dbus"


def run(*argv, **options):
    """A command that must succeed; its output is the message if it does not."""
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    assert done.returncode == 0, f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout[-8000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def debs():
    """The folder with the Debian packages of the committed tree; `make package` has perhaps made them."""
    folder = os.path.join(BUILD, "deb")
    commit = run("git", "-C", ROOT, "rev-parse", "HEAD").strip()
    stamp = os.path.join(folder, "commit")
    if not os.path.exists(stamp) or Path(stamp).read_text(encoding="utf-8").strip() != commit:
        run(os.path.join(ROOT, "packaging", "deb", "build.sh"), folder)
    return folder


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

    def install(self, folder, *names, extra=()):
        """The packages of these names, with what they depend on, and extra ones of the distribution."""
        files = []
        for name in names:
            (file,) = [f for f in os.listdir(folder) if f.startswith(name + "_") and f.endswith(".deb")]
            shutil.copy(os.path.join(folder, file), self.path(file))
            files.append("/" + file)
        self.inside("apt-get", "-qq", "update")
        self.inside("apt-get", "-qq", "-y", "--no-install-recommends", "install", *files, *extra)
        for file in files:
            os.remove(self.path(file))

    def boot(self, script, seconds=180):
        """Boots the root's systemd, runs the script as a service of it, and returns its log. The network is
        a loopback of its own."""
        self.write("smoke.sh", script, 0o755)
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
TimeoutStartSec=170
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

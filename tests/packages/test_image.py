# SPDX-License-Identifier: Apache-2.0
"""The container image: server and client in it, without root, capabilities or a writable file."""
import gzip
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time

import pytest

from conftest import BUILD, ROOT, run

SECRET = "0123456789abcdef0123456789abcdef"
DEADLINE = 60
# crun wants the one hierarchy of control groups; where the machine has others beside it, the container gets
# a view of its own in which there is no other.
ONE_HIERARCHY = ["unshare", "--mount", "sh", "-c",
                 '[ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ] || mount -t cgroup2 none /sys/fs/cgroup; exec "$@"',
                 "sh"]


@pytest.fixture(scope="session")
def archive(debs):
    """The OCI archive made of these packages."""
    path = os.path.join(BUILD, "burrow-oci.tar")
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(os.path.join(debs, "commit")):
        run(os.path.join(ROOT, "packaging", "container", "build.sh"), debs, path)
    return path


def blob(tar, digest):
    return tar.extractfile("blobs/" + digest.replace(":", "/")).read()


def unpack(archive, folder):
    """(root folder, configuration, compressed size) of the one image in the archive."""
    with tarfile.open(archive) as tar:
        index = json.load(tar.extractfile("index.json"))
        manifest = json.loads(blob(tar, index["manifests"][0]["digest"]))
        config = json.loads(blob(tar, manifest["config"]["digest"]))
        size = 0
        for layer in manifest["layers"]:
            data = blob(tar, layer["digest"])
            if not data.startswith(b"\x1f\x8b"):
                data = gzip.compress(data)
            size += len(data)
            run_input = ["tar", "-xzp", "-C", str(folder)]
            subprocess.run(run_input, input=data, check=True)
    return folder, config, size


@pytest.fixture(scope="session")
def image(archive, tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("needs root for containers")
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755)
    return unpack(archive, folder)


def bundle(image, folder, environment, arguments):
    """A bundle for an OCI runtime: the image's user, a read-only root, no capabilities, the host's loopback."""
    root, config, _ = image
    user, group = (int(n) for n in config["config"]["User"].split(":"))
    spec = {
        "ociVersion": "1.0.2", "root": {"path": str(root), "readonly": True},
        "process": {"terminal": False, "user": {"uid": user, "gid": group}, "cwd": "/", "noNewPrivileges": True,
                    "args": config["config"]["Entrypoint"] + arguments,
                    "env": [f"{k}={v}" for k, v in environment.items()],
                    "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")}},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]},
    }
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(spec))
    return folder


class Container:
    """One process in the image, run by crun; its log is a file."""

    def __init__(self, image, folder, name, environment, arguments):
        self.name = f"burrow-test-{os.getpid()}-{name}"
        self.log = folder / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*ONE_HIERARCHY, "crun", "--cgroup-manager=disabled", f"--root={folder / 'crun'}", "run", "--bundle",
                 str(bundle(image, folder / name, environment, arguments)), self.name], stdout=log, stderr=log)

    def until(self, event):
        """The event's fields, once it is in the log."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and self.process.poll() is None:
            for line in self.log.read_text().splitlines():
                fields = json.loads(line) if line.startswith("{") else {}
                if fields.get("event") == event:
                    return fields
            time.sleep(0.1)
        raise AssertionError(f"no {event}: {self.log.read_text()}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(60)


def test_it_is_small_and_has_no_shell(image):
    root, config, size = image
    assert size <= 40_000_000
    assert config["config"]["User"] == "65534:65534"
    assert sorted(os.listdir(root / "usr" / "bin")) == ["burrow"]
    assert not (root / "bin").exists()


def test_server_and_client_carry_data_locked_in(image, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as target:
        target.settimeout(DEADLINE)
        shared = {"BURROW_LOG_FORMAT": "json"}
        server = Container(image, tmp_path, "server", {
            **shared, "BURROW_SERVER_ADDR": "127.0.0.1:0", "BURROW_JWT_ALG": "HS256",
            "BURROW_JWT_HMAC_SECRET": SECRET, "BURROW_BRIDGE_HOST": "127.0.0.1"}, ["server"])
        try:
            address = server.until("listening")["addr"]
            minted = subprocess.run(["chroot", image[0], "/usr/bin/burrow", "token", "mint", "--sub=web"],
                                    env={**os.environ, "BURROW_JWT_HMAC_SECRET": SECRET}, capture_output=True, text=True, check=True)
            client = Container(image, tmp_path, "client", {
                **shared, "BURROW_SERVER_URL": f"ws://{address}/ws", "BURROW_CLIENT_ID": "web",
                "BURROW_BEARER_TOKEN": minted.stdout.strip(),
                "BURROW_LOCAL_TARGET": "127.0.0.1:%d" % target.getsockname()[1]}, ["client"])
            try:
                host, port = client.until("service_ready")["bridge"].rsplit(":", 1)
                with socket.create_connection((host, int(port)), DEADLINE) as near:
                    far, _ = target.accept()
                    with far:
                        near.sendall(b"through two containers")
                        assert far.recv(100) == b"through two containers"
                        far.sendall(b"and back")
                        assert near.recv(100) == b"and back"
            finally:
                assert client.stop() == 0
        finally:
            assert server.stop() == 0


def test_all_plugins_are_in_it_and_load(image):
    said = run("chroot", "--userspec=65534:65534", image[0], "/usr/bin/burrow", "plugins")
    plugins = {name for name in os.listdir(os.path.join(ROOT, "plugins"))
               if name.startswith(("transport-", "auth-", "registry-", "command-"))}
    assert plugins <= {line.split()[0] for line in said.splitlines() if line}


def test_two_images_are_equal(debs, archive, tmp_path):
    again = tmp_path / "again.tar"
    run(os.path.join(ROOT, "packaging", "container", "build.sh"), debs, again)
    with tarfile.open(archive) as first, tarfile.open(again) as second:
        assert first.extractfile("index.json").read() == second.extractfile("index.json").read()


# Podman's own files in one folder, and no group of control: not every machine that tests has the one hierarchy.
CONTAINERS = """[containers]
cgroups = "disabled"
log_driver = "k8s-file"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
STORAGE = """[storage]
driver = "vfs"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""
# What the example's client leads to: any server of HTTP would do, and this one is in the image.
WEB = """services:
  web:
    image: IMAGE
    command: [server]
    environment: {BURROW_SERVER_ADDR: ":8000", BURROW_JWT_HMAC_SECRET: 0123456789abcdef0123456789abcdef}
"""
# In a network of its own, made for this test, where the ports of the example are free.
COMPOSE = r"""
set -eu
ip link set lo up
podman pull --quiet "oci-archive:$1"
image=$(sed -n 's/^ *image: //p' compose.yaml | sort -u)
sed -i "s|IMAGE|$image|" web.yaml
podman run --rm --network=none --volume "$PWD/jwt-secret:/run/jwt-secret:ro" "$image" \
    token mint --sub web --jwt-hmac-secret-file /run/jwt-secret >web.token
chown 65534 web.token; chmod 400 web.token
trap 'for name in server client web; do podman logs "${PWD##*/}_${name}_1" || :; done; podman-compose -f compose.yaml -f web.yaml down' EXIT
podman-compose -f compose.yaml -f web.yaml up -d
for name in server client; do
    pid=$(podman inspect --format '{{.State.Pid}}' "${PWD##*/}_${name}_1")
    grep -E '^(Uid|CapPrm|CapEff|CapBnd|NoNewPrivs):' "/proc/$pid/status" | sed "s/^/$name /"
    awk '$5 == "/" { print "'$name' root " $6 }' "/proc/$pid/mountinfo"
done
for _ in $(seq 300); do answer=$(curl -sf -m 5 http://127.0.0.1:9000/healthz) && break; sleep 0.2; done
echo "$answer through the tunnel"
"""


def test_the_compose_example_carries_data_locked_in(archive, tmp_path):
    """By podman-compose: server and client as 65534, on read-only roots, without capabilities."""
    folder = tmp_path / "example"
    folder.mkdir()
    shutil.copy(os.path.join(ROOT, "packaging", "container", "compose.yaml"), folder)
    (folder / "web.yaml").write_text(WEB)
    (folder / "jwt-secret").write_text(SECRET)
    os.chown(folder / "jwt-secret", 65534, 65534)
    (folder / "jwt-secret").chmod(0o400)
    (tmp_path / "containers.conf").write_text(CONTAINERS.format(folder=tmp_path))
    (tmp_path / "storage.conf").write_text(STORAGE.format(folder=tmp_path))
    environment = {**os.environ, "CONTAINERS_CONF": str(tmp_path / "containers.conf"),
                   "CONTAINERS_STORAGE_CONF": str(tmp_path / "storage.conf")}
    said = run(*ONE_HIERARCHY, "unshare", "--net", "bash", "-c", COMPOSE, "example", archive, cwd=folder, env=environment)
    assert "ok through the tunnel" in said.splitlines()
    for name in ("server", "client"):
        told = {words[1].rstrip(":"): words[2:] for words in (line.split() for line in said.splitlines())
                if len(words) > 2 and words[0] == name}
        assert told["Uid"] == ["65534"] * 4 and told["NoNewPrivs"] == ["1"]
        assert {told[kind][0] for kind in ("CapPrm", "CapEff", "CapBnd")} == {"0" * 16}
        assert told["root"][0].split(",")[0] == "ro"

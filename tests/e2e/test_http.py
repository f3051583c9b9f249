# SPDX-License-Identifier: Apache-2.0
"""nginx behind the tunnel and curl in front of it: large bodies both ways, at full speed and through a
slow reader, equal by SHA-256, with bounded memory at both ends."""
import os
import subprocess

import pytest

from harness.burrow import TRANSPORTS
from harness.programs import Nginx
from harness.wait import PATIENCE

pytestmark = pytest.mark.xdist_group("nginx")  # one of them, and one set of its data
MEMORY_LIMIT_KIB = 64 << 10


def sha256(path):
    return subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout.split()[0]


def make_file(path, size):
    """Bytes without a pattern, quickly: AES-CTR over zeros."""
    zeros = subprocess.Popen(["head", "-c", str(size), "/dev/zero"], stdout=subprocess.PIPE)
    with open(path, "wb") as out:
        subprocess.run(["openssl", "enc", "-aes-128-ctr", "-nosalt", "-K", "0" * 31 + "1", "-iv", "0" * 32],
                       stdin=zeros.stdout, stdout=out, check=True)
    zeros.wait()
    assert os.path.getsize(path) == size
    return sha256(path)


@pytest.fixture(scope="module")
def nginx(tmp_path_factory, free_port):
    server = Nginx(tmp_path_factory.mktemp("nginx"), free_port())
    yield server
    server.stop()


@pytest.fixture(scope="module")
def big(nginx, sized):
    """(path, sha256) of a file that nginx serves as /big."""
    path = nginx.path("big")
    return path, make_file(path, sized(2 << 30, 64 << 20))


@pytest.fixture(scope="module")
def medium(nginx, sized):
    path = nginx.path("medium")
    return path, make_file(path, sized(64 << 20, 24 << 20))


def url(bridge, name):
    return "http://%s:%d/%s" % (*bridge, name)


def download(bridge, name, *options):
    """A pipeline of curl and sha256sum that is running."""
    curl = subprocess.Popen(["curl", "-sSf", *options, url(bridge, name)], stdout=subprocess.PIPE)
    digest = subprocess.Popen(["sha256sum"], stdin=curl.stdout, stdout=subprocess.PIPE, text=True)
    curl.stdout.close()
    return curl, digest


def finish(pipeline, timeout):
    curl, digest = pipeline
    out = digest.communicate(timeout=timeout)[0]
    assert curl.wait(PATIENCE) == 0
    return out.split()[0]


def upload(bridge, path, name, *options):
    return subprocess.Popen(["curl", "-sSf", "-o", os.devnull, *options, "-T", path, url(bridge, f"up/{name}")])


def check_memory(burrow, *processes):
    """Sanitizers' own memory says nothing about ours."""
    if not burrow.sanitized:
        for process in processes:
            assert process.memory_kib() < MEMORY_LIMIT_KIB, f"{process.name}: {process.memory_kib()} KiB"


def test_a_large_file_comes_down_whole(world, burrow, transport, nginx, big):
    server, client, bridge = world.tunnel(transport, nginx)
    assert finish(download(bridge, "big"), 300) == big[1]
    check_memory(burrow, server, client)


def test_a_large_file_goes_up_whole(world, burrow, transport, nginx, big):
    server, client, bridge = world.tunnel(transport, nginx)
    name = f"big-{transport}"
    assert upload(bridge, big[0], name).wait(300) == 0
    stored = nginx.path(f"up/{name}")
    assert sha256(stored) == big[1]
    os.unlink(stored)
    check_memory(burrow, server, client)


def test_a_slow_reader_and_a_slow_writer_move_every_byte(world, burrow, nginx, medium, sized):
    """Both ways through all transports at once; a fast download beside them stays fast."""
    limit = ("--limit-rate", sized("2M", "1M"))
    tunnels = {t: world.tunnel(t, nginx) for t in TRANSPORTS}
    downs = {t: download(tunnels[t][2], "medium", *limit) for t in TRANSPORTS}
    ups = {t: upload(tunnels[t][2], medium[0], f"slow-{t}", *limit) for t in TRANSPORTS}
    assert finish(download(tunnels["ws"][2], "medium"), PATIENCE) == medium[1]
    assert [downs[t][0].poll() for t in TRANSPORTS] == [None] * 3, "the slow readers were not slow"
    for t in TRANSPORTS[1:]:
        assert finish(download(tunnels[t][2], "medium"), PATIENCE) == medium[1]
    for t in TRANSPORTS:
        assert finish(downs[t], 120) == medium[1]
        assert ups[t].wait(120) == 0
        assert sha256(nginx.path(f"up/slow-{t}")) == medium[1]
        check_memory(burrow, *tunnels[t][:2])


def test_many_downloads_at_once_are_all_whole(world, burrow, transport, nginx, medium):
    server, client, bridge = world.tunnel(transport, nginx)
    for pipeline in [download(bridge, "medium") for _ in range(16)]:
        assert finish(pipeline, 120) == medium[1]
    check_memory(burrow, server, client)

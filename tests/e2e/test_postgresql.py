# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL behind the tunnel: pgbench with eight clients, and a large COPY out and in."""
import hashlib
import subprocess

import pytest

from harness.programs import Cluster, psql
from harness.wait import PATIENCE

pytestmark = pytest.mark.xdist_group("postgresql")  # one of them, and one set of its data


@pytest.fixture(scope="module")
def cluster(free_port, sized):
    cluster = Cluster(free_port())
    psql(("127.0.0.1", cluster.port), "-c", "CREATE TABLE source AS SELECT i AS id, "
         "md5(i::text) || md5((i * 7)::text) || md5((i * 13)::text) AS text "
         f"FROM generate_series(1, {sized(2_000_000, 100_000)}) AS i")
    yield cluster
    cluster.stop()


def digest_of_copy(address, table):
    """Bytes and SHA-256 of COPY … TO STDOUT."""
    host, port = address
    copy = subprocess.Popen(["psql", "-X", "-q", "-h", host, "-p", str(port), "-U", "postgres", "-d", "postgres",
                             "-c", f"COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT"], stdout=subprocess.PIPE)
    digest, size = hashlib.sha256(), 0
    while part := copy.stdout.read(1 << 20):
        digest.update(part)
        size += len(part)
    assert copy.wait(PATIENCE) == 0
    return size, digest.hexdigest()


def test_pgbench_with_eight_clients_runs_without_an_error(world, transport, cluster, sized):
    _, _, (host, port) = world.tunnel(transport, cluster)
    address = ["-h", host, "-p", str(port), "-U", "postgres", "postgres"]
    subprocess.run(["pgbench", "-i", "-q", "-s", "2", *address], check=True, stderr=subprocess.DEVNULL)
    done = subprocess.run(["pgbench", "-c", "8", "-j", "2", "-T", str(sized(20, 4)), *address],
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "number of failed transactions: 0" in done.stdout, done.stdout
    # pgbench warns on stderr, even when it ends well, of connections that were lost.
    assert "error" not in done.stderr.lower() and "abort" not in done.stderr.lower(), done.stderr


def test_copy_out_and_in_is_identical(world, transport, cluster, tmp_path, sized):
    _, _, bridge = world.tunnel(transport, cluster)
    direct = digest_of_copy(("127.0.0.1", cluster.port), "source")
    assert direct[0] > sized(200_000_000, 10_000_000)
    assert digest_of_copy(bridge, "source") == direct

    dump = tmp_path / "dump"
    psql(("127.0.0.1", cluster.port), "-c", f"\\copy (SELECT * FROM source ORDER BY id) TO {dump}")
    psql(bridge, "-c", "DROP TABLE IF EXISTS copied", "-c", "CREATE TABLE copied (LIKE source)",
         "-c", f"\\copy copied FROM {dump}", stderr=subprocess.DEVNULL)
    assert digest_of_copy(("127.0.0.1", cluster.port), "copied") == direct
    dump.unlink()

# SPDX-License-Identifier: Apache-2.0
"""redis-benchmark through the tunnel: fifty connections, with and without pipelining."""
import subprocess

import pytest

from harness.programs import Redis

pytestmark = pytest.mark.xdist_group("redis")  # one of them, and one set of its data


@pytest.fixture(scope="module")
def redis(tmp_path_factory, free_port):
    server = Redis(tmp_path_factory.mktemp("redis"), free_port())
    yield str(server)
    server.stop()


@pytest.mark.parametrize("pipeline", [1, 32])
def test_redis_benchmark_with_fifty_connections_runs_through(world, transport, redis, sized, pipeline):
    _, _, (host, port) = world.tunnel(transport, redis)
    requests = sized(50_000, 5_000)
    tests = ["ping_inline", "ping_mbulk", "set", "get", "lpush", "lrange_100"]
    done = subprocess.run(["redis-benchmark", "-h", host, "-p", str(port), "-c", "50", "-P", str(pipeline),
                           "-n", str(requests), "-d", "100", "-r", "10000", "-t", ",".join(tests), "--csv"],
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in (done.stdout + done.stderr).lower(), done.stdout + done.stderr
    names = [line.split(",")[0].strip('"') for line in done.stdout.splitlines()[1:]]
    assert {"PING_INLINE", "PING_MBULK", "SET", "GET", "LPUSH"} <= set(names), done.stdout

# SPDX-License-Identifier: Apache-2.0
"""Pseudo-random streams checked byte for byte in both directions at once, at whatever speeds the two
sides have. The load generator of the bench does it (tests/bench/load)."""
import json
import os
import subprocess

import pytest

MIB = 1 << 20

# name: arguments of `burrow-load verify`; sizes for a plain build and under sanitizers
CASES = {
    "one long stream": lambda big: ["-n", 1, "-b", (256 if big else 16) * MIB],
    "sixteen streams": lambda big: ["-n", 16, "-b", (20 if big else 2) * MIB],
    "five hundred small ones": lambda big: ["-n", 500 if big else 100, "-b", 3001],
    "one byte each": lambda big: ["-n", 64, "-b", 1],
    "paced": lambda big: ["-n", 4, "-b", 3 * MIB, "-R", MIB],
    "half-close": lambda big: ["-n", 8, "-b", (8 if big else 1) * MIB, "-H"],
    "a slow reader among others": lambda big: ["-n", 5, "-b", (40 if big else 6) * MIB, "-r", 100_000],
    "a target that stalls among others": lambda big: ["-n", 5, "-b", (40 if big else 6) * MIB, "-z"],
    "a reader that pauses": lambda big: ["-n", 2, "-b", (100 if big else 16) * MIB, "-p", 3],
}


@pytest.fixture(scope="module")
def load(burrow):
    program = os.path.join(burrow.build, "tests", "bench", "burrow-load")
    assert os.access(program, os.X_OK), f"{program}: build it first"
    return program


@pytest.fixture(scope="module")
def load_target(load, free_port):
    port = free_port()
    process = subprocess.Popen([load, "target", "-a", f"127.0.0.1:{port}"])
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.mark.parametrize("case", CASES)
def test_every_byte_comes_back(world, burrow, transport, load, load_target, case):
    server, client, bridge = world.tunnel(transport, load_target)
    done = subprocess.run([load, "verify", "-a", "%s:%d" % bridge, "-T", "90",
                           *map(str, CASES[case](not burrow.sanitized))], capture_output=True, text=True, timeout=120)
    result = json.loads(done.stdout)
    assert done.returncode == 0 and result["ok"], result
    assert not client.seen("disconnected")
    if not burrow.sanitized:
        for process in (server, client):
            assert process.memory_kib() < 64 << 10, f"{process.name}: {process.memory_kib()} KiB"

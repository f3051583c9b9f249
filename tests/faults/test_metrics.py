# SPDX-License-Identifier: Apache-2.0
"""The metrics of both ends are as `promtool check metrics` wants them; the long form asks promtool itself
(Debian's package prometheus has it)."""
import re
import subprocess

from harness.burrow import split_address
from harness.sockets import dial, echo, read_all, read_exactly

HEAD = re.compile(r"# (HELP|TYPE) ([a-z][a-z0-9_]*) (\S.*)")
SAMPLE = re.compile(r'([a-z][a-z0-9_]*)(?:\{((?:[a-z][a-z0-9_]*="(?:[^"\\\n]|\\.)*",?)+)\})? (-?[0-9.e+]+)')
BAD_UNITS = re.compile(r"_(milliseconds|ms|minutes|hours|days|kilobytes|kib|megabytes|mib|percent)(_|$)")


def scrape(address):
    with dial(address) as http:
        http.sendall(b"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n")
        return read_all(http).decode().split("\r\n\r\n", 1)[1]


def check_name(name, kind):
    assert (kind == "counter") == name.endswith("_total"), f"{name}: only counters end in _total"
    assert not re.search(r"_(bucket|sum|count)$", name), f"{name}: an ending of histograms"
    assert not BAD_UNITS.search(name), f"{name}: not a base unit"
    assert kind not in name.split("_"), f"{name}: the type is in the name"


def check(text):
    """What promtool enforces of names, heads, samples and histograms."""
    helps, kinds, seen, last, buckets = {}, {}, set(), None, []
    assert text.endswith("\n")
    for line in text.splitlines():
        head, sample = HEAD.fullmatch(line), SAMPLE.fullmatch(line)
        assert head or sample, line
        if head:
            table = helps if head[1] == "HELP" else kinds
            assert head[2] not in table, f"twice: {line}"
            table[head[2]], last = head[3], head[2]
            if head[1] == "TYPE":
                check_name(head[2], head[3])
            continue
        base = re.sub(r"_(bucket|sum|count)$", "", sample[1]) if kinds.get(last) == "histogram" else sample[1]
        assert base == last and base in helps and base in kinds, f"not below its head: {line}"
        assert (sample[1], sample[2]) not in seen, f"twice: {line}"
        seen.add((sample[1], sample[2]))
        if sample[1].endswith("_bucket"):
            buckets.append(float(sample[3]))
        elif kinds[base] == "histogram" and sample[1].endswith("_count"):
            assert buckets == sorted(buckets) and buckets[-1] == float(sample[3]), f"{base}: buckets {buckets}"
            buckets = []
    assert set(helps) == set(kinds)


def test_metrics_are_as_promtool_wants_them(world, sized):
    server = world.server("ws", "--metrics-per-service")
    client = world.client(server, world.target(echo), "--admin-addr", "127.0.0.1:0")
    with dial(client.bridge) as user:
        user.sendall(b"x")
        assert read_exactly(user, 1) == b"x"
    for address in (server.web, split_address(client.wait_event("listening", role="admin")["addr"])):
        text = scrape(address)
        check(text)
        if sized(True, False):
            done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True,
                                  check=False)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done

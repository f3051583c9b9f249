#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures burrow beside no tunnel and beside a plain relay, in one interleaved run.

    make bench                       or  tests/bench/bench.py --build build/release
    make bench BENCH_ARGS="--rounds 5 --seconds 3 --json figures.json"

The paths: `direct` is the target itself; `socat` is two plain TCP hops by socat -b65536, as a tunnel
has two; ws, wss and tls are burrow's server and client. Load generator and target share the cores
with what is measured. Wall figures vary from machine to machine and from run to run, CPU seconds per
GB much less: compare only within one run, as the ratios at the end do (medians of the ratios within
each round)."""
import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import measure  # noqa: E402
from harness.burrow import TRANSPORTS, Burrow, Client, Server  # noqa: E402

PATHS = ("direct", "socat") + TRANSPORTS
GIGABIT = 125_000_000
DISTURBED = 0.1  # share of a core that others use


class Path:
    """A way from user to target: an address and the processes that make it."""

    def __init__(self, name, address, server=(), client=()):
        self.name, self.address = name, address
        self.server, self.client = list(server), list(client)  # pids

    @property
    def pids(self):
        return self.server + self.client


class Bench:
    def __init__(self, options):
        self.opt = options
        self.rows, self.background = [], []
        self.stack = contextlib.ExitStack()
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="burrow-bench-"))
        self.burrow = Burrow(options.build, self.folder)
        self.load_program = os.path.join(options.build, "tests", "bench", "burrow-load")
        self.stats = os.path.join(self.folder, "stats")
        self.target_port = self.free_port()
        self.target = self.spawn([self.load_program, "target", "-a", f"127.0.0.1:{self.target_port}",
                                  "-s", self.stats])
        self.wait_for_port(self.target_port)

    # ---- processes ----

    @staticmethod
    def free_port():
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            return sock.getsockname()[1]

    @staticmethod
    def wait_for_port(port, seconds=10):
        end = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def spawn(self, argv):
        # Its own group: socat's children outlive it. Its complaints of closed pipes are the load's end.
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)

        def end():
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
        self.stack.callback(end)
        return process

    def socat(self):
        def hop(port):
            to = self.free_port()
            process = self.spawn(["socat", "-b65536", f"TCP-LISTEN:{to},nodelay,reuseaddr,fork,backlog=1024,"
                                  "bind=127.0.0.1", f"TCP:127.0.0.1:{port},nodelay"])
            self.wait_for_port(to)
            return to, process.pid
        inner, client = hop(self.target_port)
        outer, server = hop(inner)
        return Path("socat", ("127.0.0.1", outer), [server], [client])

    def server(self, transport):
        server = Server(self.burrow, transport)
        self.stack.callback(server.stop)
        return server.ready()

    def client(self, server, i=0):
        client = Client(self.burrow, server, f"127.0.0.1:{self.target_port}", client_id=f"bench-{i}")
        self.stack.callback(client.stop)
        return client

    def path(self, name):
        if name == "direct":
            return Path(name, ("127.0.0.1", self.target_port))
        if name == "socat":
            return self.socat()
        server = self.server(name)
        client = self.client(server).ready()
        return Path(name, client.bridge, [server.pid], [client.pid])

    # ---- measuring ----

    def command(self, path, mode, *argv):
        return [self.load_program, mode, "-a", "%s:%d" % path.address, "-s", self.stats, *map(str, argv)]

    def load(self, path, mode, *argv):
        """One run of the load generator: its figures, CPU and the share that others used. A run that
        others disturbed is done again, twice at most."""
        for attempt in range(self.opt.tries):
            mine = path.pids + [self.target.pid] + self.background
            server, client = measure.cpu_seconds(path.server), measure.cpu_seconds(path.client)
            others, t = measure.others_cpu_seconds(mine), time.monotonic()
            done = subprocess.run(self.command(path, mode, *argv), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, timeout=120, check=True)
            out = json.loads(done.stdout)
            out["cpu_server"] = measure.cpu_seconds(path.server) - server
            out["cpu_client"] = measure.cpu_seconds(path.client) - client
            # The generator itself is a dead child of ours by now, and not among the others.
            out["others"] = (measure.others_cpu_seconds(mine) - others) / (time.monotonic() - t)
            if out["others"] < DISTURBED or attempt == self.opt.tries - 1:
                return out
            measure.wait_until_quiet(mine)

    def beside(self, path, *bulk):
        """Ping-pong on one connection beside four of bulk."""
        seconds = self.opt.seconds
        background = subprocess.Popen(self.command(path, "bulk", "-n", 4, "-t", seconds + 1.5, "-w", 0.3, *bulk),
                                      stdout=subprocess.PIPE)
        self.background = [background.pid]
        out = self.load(path, "pingpong", "-w", 0.7, "-t", seconds)
        self.background = []
        out["bulk"] = json.loads(background.communicate()[0])
        return out

    WORKS = {
        "pingpong-1": lambda b, p: b.load(p, "pingpong", "-n", 1, "-t", b.opt.seconds),
        "pingpong-64": lambda b, p: b.load(p, "pingpong", "-n", 64, "-t", b.opt.seconds),
        "up-1": lambda b, p: b.load(p, "bulk", "-d", "up", "-n", 1, "-t", b.opt.seconds),
        "down-1": lambda b, p: b.load(p, "bulk", "-d", "down", "-n", 1, "-t", b.opt.seconds),
        "up-16": lambda b, p: b.load(p, "bulk", "-d", "up", "-n", 16, "-t", b.opt.seconds),
        "down-16": lambda b, p: b.load(p, "bulk", "-d", "down", "-n", 16, "-t", b.opt.seconds),
        "beside-paced": lambda b, p: b.beside(p, "-d", "up", "-R", GIGABIT // 4),
        "beside-full": lambda b, p: b.beside(p, "-d", "down"),
        "connect-16": lambda b, p: b.load(p, "connect", "-n", 16, "-t", b.opt.seconds),
    }

    def speed(self):
        paths = [self.path(name) for name in self.opt.paths]
        for number in range(self.opt.rounds):
            for work, run in self.WORKS.items():
                turn = number % len(paths)  # nobody is always first
                for path in paths[turn:] + paths[:turn]:
                    self.rows.append({"round": number, "work": work, "path": path.name, **run(self, path)})
            print(f"round {number + 1} of {self.opt.rounds} done", file=sys.stderr)

    def memory(self):
        """Per idle stream, and per client of one server; each from processes of their own."""
        out = {}
        for transport in [p for p in self.opt.paths if p in TRANSPORTS]:
            server = self.server(transport)
            client = self.client(server).ready()
            alone = measure.resident_kib(server.pid), measure.resident_kib(client.pid)
            path = Path(transport, client.bridge)
            idle = subprocess.Popen(self.command(path, "idle", "-n", self.opt.idle, "-t", 60, "-T", 30),
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            opened = json.loads(idle.stdout.readline())
            full = measure.resident_kib(server.pid), measure.resident_kib(client.pid)
            alive = json.loads(idle.communicate()[0])["alive"]
            before = measure.resident_kib(server.pid)
            for other in [self.client(server, i) for i in range(1, self.opt.clients + 1)]:
                other.ready()
            out[transport] = {
                "server_alone_mib": alone[0] / 1024, "client_alone_mib": alone[1] / 1024,
                "established": opened["established"], "alive": alive,
                "server_kib_per_stream": (full[0] - alone[0]) / max(opened["established"], 1),
                "client_kib_per_stream": (full[1] - alone[1]) / max(opened["established"], 1),
                "server_kib_per_client": (measure.resident_kib(server.pid) - before) / self.opt.clients,
            }
        return out


# ---- reporting ------------------------------------------------------------------------


def seconds_per_gb(row):
    return (row["cpu_server"] + row["cpu_client"]) / (row["total_bytes"] / 1e9)


class Figures:
    def __init__(self, rows):
        self.rows = rows

    def of(self, path, work, key):
        """The figure in each round, by round; disturbed runs only where there is no other."""
        found = [r for r in self.rows if r["path"] == path and r["work"] == work]
        calm = [r for r in found if r["others"] < DISTURBED]
        return {r["round"]: key(r) if callable(key) else r[key] for r in calm or found}

    def median(self, path, work, key):
        return statistics.median(self.of(path, work, key).values())

    def ratio(self, path, base, work, key):
        """Median of the ratios within the rounds that both have."""
        mine, theirs = self.of(path, work, key), self.of(base, work, key)
        both = [mine[r] / theirs[r] for r in mine if r in theirs and theirs[r]]
        if not both:  # each was disturbed in the other's calm rounds
            return self.median(path, work, key) / self.median(base, work, key)
        return statistics.median(both)


def table(title, paths, columns):
    """columns: (head, format, function of the path's name)."""
    print(f"\n{title}")
    widths = [max(len(head), 9) for head, _, _ in columns]
    print("  " + " " * 8 + "".join(f"  {head:>{w}}" for (head, _, _), w in zip(columns, widths)))
    for path in paths:
        cells = (format(value(path), form) for _, form, value in columns)
        print(f"  {path:8}" + "".join(f"  {cell:>{w}}" for cell, w in zip(cells, widths)))


BULKS = (("1 up", "up-1"), ("1 down", "down-1"), ("16 up", "up-16"), ("16 down", "down-16"))


def report(figures, memory, opt):
    def column(head, form, work, key):
        return head, form, lambda path: figures.median(path, work, key)

    paths = opt.paths
    relays = [p for p in paths if p != "direct"]
    table("Bulk, MB/s", paths, [column(head, ".0f", work, "mb_per_s") for head, work in BULKS])
    table("Bulk, CPU seconds of server and client per GB", relays,
          [column(head, ".3f", work, seconds_per_gb) for head, work in BULKS])
    table("Fairness: slowest of 16 streams / fastest", paths,
          [column(head, ".2f", work, "fairness") for head, work in BULKS[2:]])
    for title, work in (("Ping-pong of 64 bytes, 1 connection", "pingpong-1"),
                        ("Ping-pong of 64 bytes, 64 connections", "pingpong-64"),
                        ("Ping-pong beside 4 uploads paced to 1 Gbit/s in all", "beside-paced"),
                        ("Ping-pong beside 4 downloads at full speed", "beside-full"),
                        ("Short connections, 16 at a time", "connect-16")):
        columns = [column("per s", ".0f", work, "per_s"), column("p50 us", ".0f", work, "p50_us"),
                   column("p99 us", ".0f", work, "p99_us")]
        if work.startswith("beside"):
            columns.append(column("bulk MB/s", ".0f", work, lambda r: r["bulk"]["mb_per_s"]))
        table(title, paths, columns)
    if memory:
        table(f"Memory ({opt.idle} idle streams; {opt.clients} clients)", list(memory), [
            (head, ".1f", lambda path, key=key: memory[path][key]) for head, key in (
                ("server MiB", "server_alone_mib"), ("client MiB", "client_alone_mib"),
                ("server KiB/stream", "server_kib_per_stream"), ("client KiB/stream", "client_kib_per_stream"),
                ("server KiB/client", "server_kib_per_client"))])


def targets(figures, paths):
    """(text, value, bound, met): what the design promises, beside socat in the same run."""
    out = []

    def at_least(text, value, bound):
        out.append((text, value, f">= {bound}", value >= bound))

    def at_most(text, value, bound):
        out.append((text, value, f"<= {bound}", value <= bound))

    for path in [p for p in paths if p in TRANSPORTS]:
        speed, cpu = (1.1, 0.65) if path == "ws" else (0.8, 1.1)
        for head, work in BULKS[:2]:
            if "socat" in paths:
                at_least(f"{path}: bulk {head}, speed / socat's", figures.ratio(path, "socat", work, "mb_per_s"), speed)
                at_most(f"{path}: bulk {head}, CPU per GB / socat's", figures.ratio(path, "socat", work, seconds_per_gb),
                        cpu)
        for head, work in BULKS[2:]:
            at_least(f"{path}: bulk {head}, slowest / fastest stream", figures.median(path, work, "fairness"), 0.85)
        at_most(f"{path}: ping beside 1 Gbit/s of uploads, p99 ms",
                figures.median(path, "beside-paced", lambda r: r["p99_us"] / 1000), 0.4)
    return out


def faults(rows, memory, paths):
    """What must never happen in any run, however slow: cut, stalled or stuck connections."""
    out = []
    for row in rows:
        counts = {k: row.get(k, 0) for k in ("early_close", "stalled", "dial_failed", "errors", "stuck")}
        counts.update({f"bulk {k}": v for k, v in row.get("bulk", {}).items()
                       if k in ("early_close", "stalled", "dial_failed")})
        out += [f"{row['path']}, {row['work']}, round {row['round'] + 1}: {v} {k}"
                for k, v in counts.items() if v and row["path"] in TRANSPORTS]
    for transport, figures in memory.items():
        if figures["alive"] != figures["established"] or not figures["established"]:
            out.append(f"{transport}: {figures['established']} idle streams, {figures['alive']} alive at the end")
    return out


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="build folder (release)")
    parser.add_argument("--paths", default=",".join(PATHS), help="which of " + ",".join(PATHS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measured window")
    parser.add_argument("--tries", type=int, default=3, help="of a window that other processes disturb")
    parser.add_argument("--idle", type=int, default=1000, help="idle streams")
    parser.add_argument("--clients", type=int, default=50, help="clients of one server")
    parser.add_argument("--json", help="file for the single figures")
    parser.add_argument("--smoke", action="store_true", help="seconds only: does everything still run?")
    opt = parser.parse_args()
    if opt.smoke:
        opt.rounds, opt.seconds, opt.tries, opt.idle, opt.clients = 1, 0.4, 1, 100, 5
    opt.paths = opt.paths.split(",")
    unknown = [p for p in opt.paths if p not in PATHS]
    if unknown:
        parser.error(f"unknown paths: {unknown}")
    return opt


def main():
    opt = parse_options()
    bench = Bench(opt)
    print(measure.machine())
    print(f"{opt.rounds} rounds, interleaved; medians of windows of {opt.seconds} s")
    with bench.stack:
        bench.speed()
        memory = bench.memory()
    figures = Figures(bench.rows)
    report(figures, memory, opt)
    print("\nTargets")
    promised = targets(figures, opt.paths)
    for text, value, bound, met in promised:
        print(f"  {'pass' if met else 'MISS'}  {text:48} {value:7.3f}  {bound}")
    print(f"  {sum(t[3] for t in promised)} of {len(promised)} met"
          + (" (a smoke run: too short to mean anything)" if opt.smoke else ""))
    worst = max(row["others"] for row in bench.rows)
    print(f"\nOther processes used up to {worst:.2f} of a core while measuring.")
    wrong = faults(bench.rows, memory, opt.paths)
    for line in wrong:
        print("FAULT " + line)
    if opt.json:
        with open(opt.json, "w") as file:
            json.dump({"machine": measure.machine(), "rows": bench.rows, "memory": memory}, file, indent=1)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

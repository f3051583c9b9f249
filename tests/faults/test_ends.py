# SPDX-License-Identifier: Apache-2.0
"""A network that fails and ends that stop, freeze or die, under fifty streams that carry marked bytes: both
sides notice in time, close what belonged to the session, come back to the same ports, and leave nothing."""
import datetime
import itertools
import os
import signal
import time

from harness.burrow import split_address
from harness.sockets import dial, read_all
from harness.wait import descriptors
from network import SERVER
from streams import Streams

LONG = os.environ.get("BURROW_LONG") == "1"
INTERVAL, TIMEOUT = 0.5, 2.0
NOTICED = INTERVAL + TIMEOUT
CLOSED = 1.0  # after that
BACK = {"client killed": 2.0, "server killed": 5.0}
RANGE = "20000-20999"
NOTHING = {"burrow_sessions_active": 1, "burrow_streams_active": 0, "burrow_credit_bytes": 0,
           "burrow_buffer_bytes": 0}

FAULTS = {  # how it begins; the transport that the short form tries
    "both ways dropped": (lambda pair: pair.network.drop("up", "down"), "ws"),
    "way to the server dropped": (lambda pair: pair.network.drop("up"), "wss"),
    "way to the client dropped": (lambda pair: pair.network.drop("down"), "tls"),
    "link down": (lambda pair: pair.network.link("down"), "ws"),
    "client stopped": (lambda pair: pair.client.signal(signal.SIGSTOP), "tls"),
    "server stopped": (lambda pair: pair.server.signal(signal.SIGSTOP), "ws"),
    "client killed": (lambda pair: pair.client.kill(), "wss"),
    "server killed": (lambda pair: pair.server.kill(), "tls"),
}


def at(event):
    """Unix time of a log event."""
    return datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(part * len(values)))]


class Pair:
    """A server and its client on the two sides of a network."""

    def __init__(self, world, network, transport):
        self.world, self.network, self.transport = world, network, transport
        self.token = world.burrow.mint("client-a")
        with network.inside("client"):
            self.target = world.target()
        self.client = self.server = None
        self.start_server()

    def start_server(self):
        """Another process at the same address."""
        if self.server:
            self.world.processes.remove(self.server)
        main = "%s:%d" % self.server.main if self.server else None
        with self.network.inside("server"):
            self.server = self.world.server(
                self.transport, "--bridge-port-range", RANGE, "--admin-addr", "127.0.0.1:0",
                "--heartbeat-interval", f"{INTERVAL}s", "--heartbeat-timeout", f"{TIMEOUT}s",
                host=SERVER, main=main)

    def start_client(self):
        """A new process, whose pauses are short again."""
        if self.client:
            self.world.processes.remove(self.client)
            self.client.stop()
        scheme, port = self.transport, self.server.main[1]
        url = f"{scheme}://localhost:{port}" + ("" if scheme == "tls" else "/ws")
        with self.network.inside("client"):
            self.client = self.world.client(
                self.server, self.target, "--connect-addr", SERVER, "--admin-addr", "127.0.0.1:0",
                "--client-retry-interval", "500ms", token=self.token, url=url)

    def metrics(self, side, process):
        address = split_address(process.wait_event("listening", role="admin")["addr"])
        with self.network.inside(side), dial(address) as http:
            http.sendall(b"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n")
            lines = read_all(http).decode().splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))

    def remains(self):
        """What is there beyond one session without streams; "" for nothing."""
        found = []
        for side, process in (("server", self.server), ("client", self.client)):
            metrics = self.metrics(side, process)
            found += [f"{side}: {name} is {metrics[name]}" for name, value in NOTHING.items()
                      if name in metrics and float(metrics[name]) != value]
            lines = self.network.connections(side)
            if [line.split()[0] for line in lines] != ["ESTAB"]:
                found.append(f"{side}: connections\n" + "\n".join(lines))
        return "; ".join(found)

    def quiet(self, seconds=20):
        """Waits until nothing but the session is left; the descriptors of server and client."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.remains()
            if not found:
                return descriptors(self.server), descriptors(self.client)
            assert time.monotonic() < deadline, found
            time.sleep(0.1)


class Fault:
    """One fault and what is measured of it, in seconds."""

    def __init__(self, pair, name, session):
        self.pair, self.name = pair, name
        self.streams = Streams(pair.network, pair.client.bridge, pair.target, session)
        self.marks = {"server": pair.server.mark(), "client": pair.client.mark()}
        self.times = {}

    def run(self, limit):
        victim, what = self.name.rsplit(" ", 1)
        others = {"server", "client"} - {victim}
        self.started = time.time()
        FAULTS[self.name][0](self.pair)
        self.streams.pour()
        self._notice(others, self.started, limit)
        healed = time.time()
        self._heal(victim, what)
        if what == "stopped":
            self._notice({victim}, healed, limit)
        self._come_back(self.started if what == "killed" else healed)
        self.streams.close()

    def _notice(self, sides, since, limit):
        """These sides know that the other is gone, and close the sockets of the streams."""
        ends = {"server": self.streams.users, "client": self.streams.services}
        all_ends = [end for side in sides for end in ends[side]]
        closed = self.streams.watch(all_ends, limit)
        assert closed, f"{self.name}: {sum(not e.closed_at for e in all_ends)} sockets are open after {limit} s"
        for side in sides:
            process = getattr(self.pair, side)
            event = process.wait_event("client_disconnected" if side == "server" else "disconnected",
                                       after=self.marks[side])
            self.times[f"{side} noticed"] = at(event) - since
            self.times[f"{side} closed"] = max(0.0, max(end.closed_at for end in ends[side]) - at(event))

    def _heal(self, victim, what):
        pair = self.pair
        if what == "stopped":
            getattr(pair, victim).signal(signal.SIGCONT)
        elif self.name == "client killed":
            pair.start_client()
        elif self.name == "server killed":
            pair.start_server()
        else:
            pair.network.heal()

    def _come_back(self, since):
        pair, bridge = self.pair, self.pair.bridge
        after = 0 if self.name == "client killed" else self.marks["client"]
        self.times["back"] = at(pair.client.wait_event("service_ready", 60, after=after)) - since
        pair.client.ready(after=after)
        assert pair.client.bridge == bridge, f"{self.name}: the bridge moved"


def limit_of(name, key):
    """The limit of a time of this fault, or None."""
    if key.endswith("noticed"):
        return NOTICED
    return CLOSED if key.endswith("closed") else BACK.get(name)


def test_both_sides_notice_close_come_back_and_leave_nothing(world, network, sized, slack, say, name, transport):
    pair = Pair(world, network, transport)
    sessions = itertools.count(1)
    times = {}
    for _ in range(sized(100, 5 if "killed" in name else 2)):
        pair.start_client()
        before = pair.quiet()
        pair.bridge = pair.client.bridge
        fault = Fault(pair, name, next(sessions))
        fault.run(limit=NOTICED + CLOSED + 20)
        after = pair.quiet()
        assert after <= before, f"{name}: descriptors of server and client: {before} before, {after} after"
        Streams(network, pair.client.bridge, pair.target, next(sessions)).close()
        for key, value in fault.times.items():
            times.setdefault(key, []).append(value)
    say(f"{name}, {transport}: " + ", ".join(
        f"{key} {percentile(v, 0.5):.2f}/{percentile(v, 0.99):.2f} s" for key, v in times.items()) + " (p50/p99)")
    for key, values in times.items():
        limit = limit_of(name, key)
        assert limit is None or percentile(values, 0.99) <= limit + slack, f"{name}: {key} takes {sorted(values)[-3:]} s"


def pytest_generate_tests(metafunc):
    if "name" in metafunc.fixturenames:
        metafunc.parametrize(("name", "transport"), [
            (name, transport) for name, (_, usual) in FAULTS.items() for transport in ("ws", "wss", "tls")
            if LONG or transport == usual])

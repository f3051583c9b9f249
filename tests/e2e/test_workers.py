# SPDX-License-Identifier: Apache-2.0
"""`--workers`: clients are spread over threads, and come back to any of them with the bridge that they had,
while users come and go, configurations change and other processes claim their ids."""
import contextlib
import signal
import socket
import threading

import pytest

from harness.sockets import dial, echo, read_exactly

PATIENT = {"BURROW_DRAIN_TIMEOUT": "1m"}
CLIENTS = 4


workers = pytest.mark.parametrize("count", [2, 4])


def ping(user, text=b"ping"):
    user.sendall(text)
    assert read_exactly(user, len(text)) == text


class Load:
    """Users of bridges that come again and again. One may be reset, but what it reads is its own."""

    def __init__(self, *addresses):
        self.wrong, self.served = [], 0
        self._stop, self._news = threading.Event(), threading.Condition()
        self.threads = [threading.Thread(target=self._use, args=(i, address), daemon=True)
                        for i, address in enumerate(addresses)]
        for thread in self.threads:
            thread.start()

    def _use(self, number, address):
        turn = 0
        while not self._stop.is_set():
            turn += 1
            text = b"%d:%d " % (number, turn) * 2000
            try:
                with dial(address) as user:
                    user.sendall(text)
                    got = read_exactly(user, len(text))
            except TimeoutError:
                self.wrong.append(f"user {number} of {address} heard nothing")
                return
            except (OSError, EOFError):
                self._stop.wait(0.05)
                continue
            if got != text:
                self.wrong.append(f"user {number} of {address} got {got[:40]}")
            with self._news:
                self.served += 1
                self._news.notify_all()

    def wait(self, more, seconds=60):
        """Until so many more were served."""
        with self._news:
            goal = self.served + more
            assert self._news.wait_for(lambda: self.served >= goal or self.wrong, seconds), "nobody is served"

    def end(self):
        self._stop.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        assert not self.wrong, self.wrong


class Front:
    """A relay before the server, all of whose connections can be cut at once."""

    def __init__(self, world, server):
        self.server, self.socks, self._lock = server, [], threading.Lock()
        self.target = world.target(self._splice)

    def _splice(self, sock):
        with socket.create_connection(self.server.main) as other:
            with self._lock:
                self.socks += [sock, other]
            back = threading.Thread(target=self._copy, args=(other, sock), daemon=True)
            back.start()
            self._copy(sock, other)
            back.join()

    @staticmethod
    def _copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def cut(self):
        with self._lock:
            for sock in self.socks:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            self.socks = []

    @property
    def url(self):
        return f"ws://{self.target}/ws"


def several(world, server, target, **options):
    return [world.client(server, target, client_id=f"client-{i}", **options) for i in range(CLIENTS)]


def worker_of(event):
    return int(event["worker"])


@pytest.mark.parametrize("transport", ["ws", "tls"])
@workers
def test_clients_are_spread_and_each_has_its_streams(world, transport, count):
    server = world.server(transport, "--workers", count)
    clients = several(world, server, world.target(echo))
    assert {worker_of(event) for event in server.wait_events("client_connected", CLIENTS)} == set(range(count))
    for client in clients:
        with dial(client.bridge) as user:
            ping(user, b"x" * (1 << 20))
    if transport == "ws":
        assert server.metric("burrow_sessions_active") == CLIENTS
        assert server.metric('burrow_stream_bytes_total{direction="in"}') == CLIENTS << 20


@workers
def test_a_client_comes_back_to_another_worker_and_keeps_its_bridge(world, count):
    server = world.server("ws", "--workers", count)
    target = world.target(echo)
    bridge = world.client(server, target).bridge
    load = Load(bridge, bridge)
    for i in range(4):
        load.wait(3)
        mark = server.mark()
        world.processes[-1].kill()
        server.wait_event("client_disconnected", after=mark)
        assert world.client(server, target, name=f"life {i + 2}").bridge == bridge
    load.wait(3)
    load.end()
    seen = [worker_of(event) for event in server.wait_events("client_connected", 5)]
    assert all(a != b for a, b in zip(seen, seen[1:]))


@workers
def test_all_reconnect_at_once_and_no_user_gets_anothers_bytes(world, count):
    server = world.server("ws", "--workers", count)
    front = Front(world, server)
    clients = several(world, server, world.target(echo), url=front.url)
    bridges = [client.bridge for client in clients]
    load = Load(*bridges, *bridges)
    for _ in range(3):
        load.wait(2 * CLIENTS)
        marks = [client.mark() for client in clients]
        front.cut()
        for client, mark in zip(clients, marks):
            client.ready(60, after=mark)
    load.wait(2 * CLIENTS)
    load.end()
    assert [client.bridge for client in clients] == bridges
    assert server.metric("burrow_sessions_active") == CLIENTS


@workers
def test_other_processes_take_over_from_other_workers(world, count):
    server = world.server("ws", "--workers", count)
    target = world.target(echo)
    clients = several(world, server, target)
    bridges = [client.bridge for client in clients]
    load = Load(*bridges)
    for turn in range(2):
        load.wait(CLIENTS)
        newer = [world.client(server, target, client_id=f"client-{i}", name=f"{i} after {turn}", wait=False)
                 for i in range(CLIENTS)]
        for client, bridge in zip(newer, bridges):
            assert client.ready(60).bridge == bridge
    load.wait(CLIENTS)
    load.end()
    assert server.metric("burrow_sessions_active") == CLIENTS
    assert server.metric('burrow_takeovers_total{result="taken"}') == 2 * CLIENTS


@workers
def test_a_drain_lets_the_streams_of_all_workers_end(world, count):
    server = world.server("ws", "--workers", count, env=PATIENT)
    clients = several(world, server, world.target(echo))
    users = [dial(client.bridge) for client in clients]
    for user in users:
        ping(user)
    server.signal(signal.SIGTERM)
    for client in clients:
        client.wait_event("server_draining")
    for user in users:
        ping(user)
        user.close()
    server.wait_event("drained", streams=0)
    assert server.wait() == 0


@workers
def test_a_stop_under_load_ends_all_workers(world, count):
    server = world.server("ws", "--workers", count)
    load = Load(*[client.bridge for client in several(world, server, world.target(echo))])
    load.wait(CLIENTS)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    load.end()


@workers
def test_reloads_under_load_drop_no_stream(world, tmp_path, count):
    config = tmp_path / "burrow.yaml"
    config.write_text("max-streams: 500\n")
    server = world.server("ws", "--workers", count, "--config", config)
    clients = several(world, server, world.target(echo))
    users = [dial(client.bridge) for client in clients]
    load = Load(*[client.bridge for client in clients])
    for turn in range(10):
        config.write_text(f"max-streams: {400 + turn}\nbuffer-limit: {64 + turn}MiB\n")
        mark = server.mark()
        server.signal(signal.SIGHUP)
        server.wait_event("reloaded", after=mark)
        for user in users:
            ping(user)
        load.wait(1)
    load.end()
    assert len(server.seen("client_connected")) == CLIENTS

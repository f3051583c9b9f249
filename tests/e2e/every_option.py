# SPDX-License-Identifier: Apache-2.0
"""What the rows of test_every_option.py stand on: their table, and one option's try as a flag or as a
variable."""
import http.client
import json
import signal
import socket
import threading
import time

from harness.burrow import AUDIENCE, ISSUER, SECRET, clean_environment, split_address
from harness.process import Process
from harness.sockets import dial, echo, read_exactly, was_reset
from test_status import metrics

ROWS = {"server": {}, "client": {}}


def row(command, option):
    def register(function):
        assert option not in ROWS[command]
        ROWS[command][option] = function
        return function
    return register


class Try:
    """One option, given as a flag or as a variable; the rest of the configuration is in files."""

    def __init__(self, world, burrow, tmp_path, free_port, option, by):
        self.world, self.burrow, self.folder, self.free_port = world, burrow, tmp_path, free_port
        self.option, self.by, self.count = option, by, 0
        self.env = {}  # of the processes, besides

    def given(self, value):
        """value None: a switch that is on."""
        if self.by == "variable":
            name = "BURROW_PLUGINS" if self.option == "plugin" else "BURROW_" + self.option.upper().replace("-", "_")
            return [], {name: "true" if value is None else value}
        return [f"--{self.option}"] + ([] if value is None else [value]), {}

    def file(self, settings):
        self.count += 1
        path = self.folder / f"burrow-{self.count}.yaml"
        path.touch(0o600)
        path.write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in settings.items() if v is not False))
        return str(path)

    def start(self, command, value=False, **settings):
        """value False: without the option, to see that the effect is its own. settings: keys of the file, with
        _ for -; False leaves one of these defaults out."""
        base = {"drain_timeout": "0s"}
        if command == "server":
            base |= {"server_addr": "127.0.0.1:0", "jwt_hmac_secret": SECRET, "jwt_issuer": ISSUER,
                     "jwt_audience": AUDIENCE}
        settings = {k.replace("_", "-"): v for k, v in {**base, **settings}.items()}
        flags, env = self.given(value) if value is not False else ([], {})
        argv = [self.burrow.binary, command, "--config", self.file(settings), *flags]
        process = Process(command, argv, env=clean_environment(**self.env, **env))
        self.world.processes.append(process)
        return process

    def server(self, value=False, **settings):
        server = self.start("server", value, **settings)
        server.web = split_address(server.wait_event("listening", role="main", transport="transport-ws")["addr"])
        server.scheme = "wss" if "tls_cert" in settings else "ws"
        server.transport = server.scheme
        server.url = f"{server.scheme}://127.0.0.1:{server.web[1]}/ws"
        return server

    def client(self, server, value=False, wait=True, **settings):
        """To a server of ours, with a target that echoes."""
        base = {"client_id": "c", "server_url": server.url}
        if "local_target" not in settings:
            base["local_target"] = str(self.world.target(echo))
        if "bearer_token_file" not in settings:
            base["bearer_token"] = self.burrow.mint(settings.get("client_id", "c"))
        client = self.start("client", value, **{**base, **settings})
        if wait:
            client.bridge = split_address(client.wait_event("service_ready")["bridge"])
        return client

    def refused(self, command, value, **settings):
        """The program does not start; what it says."""
        process = self.start(command, value, **settings)
        assert process.wait() == 2, process.log
        return process.log


def get(address, path, headers=None):
    link = http.client.HTTPConnection(*address, timeout=10)
    link.request("GET", path, headers=headers or {})
    answer = link.getresponse()
    result = answer.status, answer.read().decode()
    link.close()
    return result


def ping(address):
    with dial(address) as user:
        user.sendall(b"x")
        return read_exactly(user, 1) == b"x"


def both(option):
    def register(function):
        for command in ROWS:
            ROWS[command][option] = lambda t, command=command: function(t, command)
        return function
    return register


class Relay:
    """Stands between client and server and counts what the server sends."""

    def __init__(self, world, address):
        self.pieces, self.address = 0, address
        self.target = world.target(self.serve)

    def serve(self, client):
        with dial(self.address, None) as server:
            client.settimeout(None)
            threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
            self.pump(server, client, True)

    def pump(self, source, sink, count):
        try:
            while data := source.recv(65536):
                self.pieces += count
                sink.sendall(data)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def is_drained(t, process, bridge):
    with dial(bridge) as user:
        user.sendall(b"x")
        assert read_exactly(user, 1) == b"x"
        begin = time.monotonic()
        process.signal(signal.SIGTERM)
        assert process.wait(25) == 0  # by default the open stream has 30 s
        assert time.monotonic() - begin >= 0.5
        user.settimeout(10)
        assert was_reset(user)


def credit(t, by, value):
    """The most credit that one side, server or client, has given while it was sent 96 MiB on three streams."""
    def send(sock):
        sock.recv(1)
        for _ in range(32):
            sock.sendall(bytes(1 << 20))

    def take(sock):
        left = 32 << 20
        while left > 0:
            left -= len(sock.recv(1 << 20))
        sock.sendall(b"x")
    server = t.server(value if by == "server" else False)
    client = t.client(server, value if by == "client" else False, admin_addr="127.0.0.1:0",
                      local_target=str(t.world.target(send if by == "server" else take)))
    client.web = split_address(client.wait_event("listening", role="admin")["addr"])
    client.transport = "ws"
    counted = server if by == "server" else client
    users = [dial(client.bridge) for _ in range(3)]
    threads = []
    for user in users:
        if by == "server":
            user.sendall(b"x")
        threads.append(threading.Thread(target=read_exactly if by == "server" else send_and_wait,
                                        args=(user, 32 << 20)))
        threads[-1].start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, metrics(counted)["burrow_credit_bytes"])
    for user in users:
        user.close()
    return most


def send_and_wait(sock, n):
    sock.sendall(bytes(n))
    read_exactly(sock, 1)


# A certificate besides the token, which is not a key source of its own then.
BY_TOKEN = {"plugins": ["transport-ws", "auth-hmac"]}

# SPDX-License-Identifier: Apache-2.0
"""Every option of server and client is changed once as a flag and once as a variable, and its effect is
seen. What a row does not give comes from a config file, so that precedence is tried along the way. The rows
of more plugins are in every_option_of_plugins.py.

A row is a function of the tries: `@row("server", "max-clients")`. The test at the end compares the rows
with what --help lists: an option without a row fails it."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

import every_option_of_plugins  # noqa: F401 - it fills the table
from every_option import ROWS, Try, both, eventually, get, ping, row
from harness.burrow import AUDIENCE, ISSUER, SECRET, clean_environment, split_address
from harness.process import Process
from harness.sockets import dial, echo, is_reset, read_exactly, was_reset
from test_admission import forge
from test_status import metrics

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Options that a command takes though they say nothing to it: the transports have one table of options.
ELSEWHERE = {"server": {"tls-ca", "tls-skip-verify"},
             "client": {"ws-path", "ws-origin", "tls-client-ca", "tls-client-required"}}


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


# ---- server: where it listens ----

@row("server", "server-addr")
def server_addr(t):
    port = t.free_port()
    server = t.server(f"127.0.0.1:{port}")
    assert server.web[1] == port and get(server.web, "/healthz") == (200, "ok")


@row("server", "tls-addr")
def tls_addr(t):
    cert, key = t.burrow.certificate
    server = t.server("127.0.0.1:0", tls_cert=cert, tls_key=key)
    raw = server.wait_event("listening", 20, transport="transport-tls")["addr"]
    server.url = f"tls://{raw}"
    assert ping(t.client(server, tls_ca=cert).bridge)


@row("server", "admin-addr")
def server_admin_addr(t):
    server = t.server("127.0.0.1:0")
    admin = split_address(server.wait_event("listening", 20, role="admin")["addr"])
    assert get(admin, "/metrics")[0] == 200 and get(server.web, "/metrics")[0] == 404


@row("server", "listen")
def listen(t):
    path = f"{t.folder}/s"
    t.server(f"transport-ws=unix:{path}").wait_event("listening", 20, addr=f"unix:{path}")
    with socket.socket(socket.AF_UNIX) as user:
        user.settimeout(10)
        user.connect(path)
        user.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert user.recv(4096).startswith(b"HTTP/1.1 200")


@row("server", "bridge-host")
def bridge_host(t):
    assert t.client(t.server("127.0.0.2")).bridge[0] == "127.0.0.2"
    server = t.server("")  # empty is a value here
    t.client(server, wait=False).wait_event("connected", 20)
    assert get(server.web, "/api/clients/c/bridge-addr") == (404, "no bridge listener\n")


@row("server", "bridge-port-range")
def bridge_port_range(t):
    port = t.free_port()
    assert t.client(t.server(f"{port}-{port}")).bridge[1] == port


@row("server", "allow-client-ports")
def allow_client_ports(t):
    port = t.free_port()
    settings = {"bridge_port_range": f"{port}-{port}"}
    target = f"{t.world.target(echo)},port={port}"
    assert t.client(t.server(None, **settings), local_target=target).bridge[1] == port
    refusing = t.client(t.server(**settings), wait=False, local_target=target)
    refusing.wait_event("service_refused", 20)


# ---- server: who may ask, who may come ----

@row("server", "enable-client-api")
def enable_client_api(t):
    path = "/api/clients/c/bridge-addr"
    assert get(t.server().web, path) == (404, "client not found\n")
    assert get(t.server("false").web, path) == (404, "not found\n")
    assert get(t.server("true").web, path, {"X-Forwarded-For": "192.0.2.1"}) == (404, "client not found\n")


@row("server", "api-token")
def api_token(t):
    server, path = t.server("sesame", enable_client_api="true"), "/api/clients/c/bridge-addr"
    assert get(server.web, path) == (401, "unauthorized\n")
    assert get(server.web, path, {"Authorization": "Bearer sesame"}) == (404, "client not found\n")


@row("server", "max-clients")
def max_clients(t):
    server = t.server("1")
    t.client(server)
    assert t.client(server, wait=False, client_id="d").wait_event("refused", 20)["code"] == "limit"


@row("server", "max-streams")
def server_max_streams(t):
    client = t.client(t.server("1"))
    with dial(client.bridge) as user:
        user.sendall(b"x")
        assert read_exactly(user, 1) == b"x"
        assert is_reset(client.bridge)


@row("server", "metrics-per-service")
def metrics_per_service(t):
    name = 'burrow_service_connections_total{client="c",service=""}'
    server = t.server(None)
    assert ping(t.client(server).bridge)
    eventually(lambda: metrics(server)[name] == 1)
    server = t.server()
    t.client(server)
    assert name not in metrics(server)


@row("server", "token-in-register")
def server_token_in_register(t):
    assert ping(t.client(t.server(None), token_in_register=True).bridge)
    refused = t.client(t.server(), wait=False, token_in_register=True).wait_event("refused", 20)
    assert refused["code"] == "missing_bearer"


# ---- server: time ----

@row("server", "heartbeat-interval")
def heartbeat_interval(t):
    server = t.server("100ms")
    relay = Relay(t.world, server.web)
    t.client(server, server_url=f"ws://{relay.target}/ws")
    before = relay.pieces
    eventually(lambda: relay.pieces >= before + 10)  # by default it is one in 10 s


@row("server", "heartbeat-timeout")
def heartbeat_timeout(t):
    server = t.server("400ms", heartbeat_interval="100ms")
    client = t.client(server)
    client.signal(signal.SIGSTOP)
    server.wait_event("client_disconnected", 15)  # by default it is after 30 s
    client.signal(signal.SIGCONT)


def is_forgotten(t, server):
    client = t.client(server)
    assert metrics(server)["burrow_clients_known"] == 1
    client.stop()
    eventually(lambda: metrics(server)["burrow_clients_known"] == 0)


@row("server", "sweep-interval")
def sweep_interval(t):
    is_forgotten(t, t.server("100ms", stale_service_age="100ms"))  # by default it looks once a minute


@row("server", "stale-service-age")
def stale_service_age(t):
    is_forgotten(t, t.server("100ms", sweep_interval="100ms"))  # by default it waits for ten minutes


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


@row("server", "drain-timeout")
def server_drain_timeout(t):
    server = t.server("600ms", drain_timeout=False)
    is_drained(t, server, t.client(server).bridge)


# ---- server: memory ----

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
    client.web = split_address(client.wait_event("listening", 20, role="admin")["addr"])
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


@row("server", "buffer-limit")
def server_buffer_limit(t):
    assert credit(t, "server", "1MiB") <= 1 << 20
    assert credit(t, "server", False) > 1 << 20


# ---- server: plugins ----

@row("server", "ws-path")
def ws_path(t):
    server = t.server("/tunnel")
    assert get(server.web, "/ws")[0] == 404
    assert ping(t.client(server, server_url=f"ws://127.0.0.1:{server.web[1]}/tunnel").bridge)


@row("server", "ws-origin")
def ws_origin(t):
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Origin": "https://pages.example"}
    assert get(t.server().web, "/ws", upgrade)[0] == 403
    assert get(t.server("https://pages.example").web, "/ws", upgrade)[0] == 401  # for want of a token


@row("server", "tls-cert")
def server_tls_cert(t):
    cert, key = t.burrow.certificate
    server = t.server(cert, tls_key=key)
    assert ping(t.client(server, server_url=server.url.replace("ws:", "wss:"), tls_ca=cert).bridge)


@row("server", "tls-key")
def server_tls_key(t):
    cert, key = t.burrow.certificate
    server = t.server(key, tls_cert=cert)
    assert ping(t.client(server, tls_ca=cert).bridge)


@row("server", "tls-client-ca")
def tls_client_ca(t):
    cert, key = t.burrow.certificate
    asks_for_certificates(t, t.server(cert, tls_cert=cert, tls_key=key, tls_client_required=True, **BY_TOKEN))


# A certificate besides the token, which is not a key source of its own then.
BY_TOKEN = {"plugins": ["transport-ws", "auth-hmac"]}


def asks_for_certificates(t, server):
    cert, key = t.burrow.certificate
    t.client(server, wait=False, tls_ca=cert).wait_event("disconnected", 20)
    assert ping(t.client(server, tls_ca=cert, tls_cert=cert, tls_key=key).bridge)


@row("server", "tls-client-required")
def tls_client_required(t):
    cert, key = t.burrow.certificate
    asks_for_certificates(t, t.server(None, tls_cert=cert, tls_key=key, tls_client_ca=cert, **BY_TOKEN))


OTHER_SECRET = "another secret of the tests, long enough"


@row("server", "jwt-hmac-secret")
def jwt_hmac_secret(t):
    server = t.server(OTHER_SECRET, jwt_hmac_secret=False)
    assert ping(t.client(server, bearer_token=t.burrow.mint("c", OTHER_SECRET)).bridge)
    with open(f"/proc/{server.pid}/cmdline", "rb") as argv, open(f"/proc/{server.pid}/environ", "rb") as environ:
        assert OTHER_SECRET.encode() not in argv.read() + environ.read()


@row("server", "jwt-hmac-secret-file")
def jwt_hmac_secret_file(t):
    path = t.folder / "secret"
    path.write_text(OTHER_SECRET + "\n")
    path.chmod(0o600)
    assert ping(t.client(t.server(str(path), jwt_hmac_secret=False), bearer_token=t.burrow.mint("c", OTHER_SECRET)).bridge)


@row("server", "jwt-hmac-secret-previous")
def jwt_hmac_secret_previous(t):
    assert ping(t.client(t.server(OTHER_SECRET), bearer_token=t.burrow.mint("c", OTHER_SECRET)).bridge)


@row("server", "jwt-hmac-secret-previous-file")
def jwt_hmac_secret_previous_file(t):
    path = t.folder / "previous"
    path.write_text(OTHER_SECRET + "\n")
    path.chmod(0o600)
    assert ping(t.client(t.server(str(path)), bearer_token=t.burrow.mint("c", OTHER_SECRET)).bridge)


@row("server", "jwt-public-key-file")
def jwt_public_key_file(t):
    key, public = t.folder / "key.pem", t.folder / "public.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-quiet",
                    "-out", key], check=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    done = t.burrow.run("token", "mint", "--sub", "c", "--jwt-alg", "RS256", "--jwt-issuer", ISSUER, "--jwt-audience",
                        AUDIENCE, "--private-key-file", key)
    assert done.returncode == 0, done.stderr
    assert ping(t.client(t.server(str(public), jwt_hmac_secret=False), bearer_token=done.stdout.strip()).bridge)


@row("server", "jwt-grants-claim")
def jwt_grants_claim(t):
    token = t.burrow.mint("c", claim='may:={"services": ["pg"]}')
    client = t.client(t.server("may"), wait=False, bearer_token=token, local_target="web=127.0.0.1:9")
    assert client.wait_event("service_refused", 20)["code"] == "not_allowed"


@row("server", "jwt-alg")
def jwt_alg(t):
    secret = OTHER_SECRET * 2
    server = t.server("HS512", jwt_hmac_secret=secret)
    assert ping(t.client(server, bearer_token=t.burrow.mint("c", secret, jwt_alg="HS512")).bridge)
    refused = t.client(server, wait=False, bearer_token=t.burrow.mint("c", secret)).wait_event("refused", 20)
    assert refused["code"] == "invalid_token"


def claim_is_checked(t, name, value, setting):
    server = t.server(value, **{setting: False})
    assert ping(t.client(server, bearer_token=t.burrow.mint("c", **{setting: value})).bridge)
    assert t.client(server, wait=False).wait_event("refused", 20)["code"] == "invalid_token"
    assert name in server.wait_event("auth_refused", 20)["reason"]


@row("server", "jwt-issuer")
def jwt_issuer(t):
    claim_is_checked(t, "iss", "another issuer", "jwt_issuer")


@row("server", "jwt-audience")
def jwt_audience(t):
    claim_is_checked(t, "aud", "another audience", "jwt_audience")


@row("server", "jwt-allow-weak-secret")
def jwt_allow_weak_secret(t):
    weak = "dev-secret"
    said = t.start("server", jwt_hmac_secret=weak)
    assert said.wait(20) == 2 and "--jwt-allow-weak-secret" in said.log
    server = t.server(None, jwt_hmac_secret=weak)
    token = t.burrow.mint("c", weak, jwt_allow_weak_secret="true")
    assert ping(t.client(server, bearer_token=token).bridge)


@row("server", "jwt-allow-no-exp")
def jwt_allow_no_exp(t):
    token = forge(sub="c", exp=None)
    refusing = t.server()
    assert t.client(refusing, wait=False, bearer_token=token).wait_event("refused", 20)["code"] == "invalid_token"
    assert "--jwt-allow-no-exp" in refusing.wait_event("auth_refused", 20)["reason"]  # it names the remedy
    assert ping(t.client(t.server(None), bearer_token=token).bridge)


# ---- client ----

@row("client", "server-url")
def server_url(t):
    server = t.server()
    assert ping(t.client(server, server.url, server_url=False).bridge)


@row("client", "connect-addr")
def connect_addr(t):
    server = t.server()
    assert ping(t.client(server, f"127.0.0.1:{server.web[1]}", server_url="ws://no-such-host.invalid/ws").bridge)


@row("client", "admin-addr")
def client_admin_addr(t):
    client = t.client(t.server(), "127.0.0.1:0")
    admin = split_address(client.wait_event("listening", 20, role="admin")["addr"])
    assert get(admin, "/readyz") == (200, "ok")


@row("client", "client-id")
def client_id(t):
    server = t.server()
    t.client(server, "named", client_id=False, bearer_token=t.burrow.mint("named"))
    server.wait_event("client_connected", 20, client="named")


@row("client", "local-target")
def local_target(t):
    target = t.world.target(lambda sock: sock.sendall(b"hello"))
    with dial(t.client(t.server(), str(target), local_target=False).bridge) as user:
        assert read_exactly(user, 5) == b"hello"


@row("client", "bearer-token")
def bearer_token(t):
    client = t.client(t.server(), t.burrow.mint("c"), bearer_token=False)
    assert ping(client.bridge)
    with open(f"/proc/{client.pid}/cmdline", "rb") as argv, open(f"/proc/{client.pid}/environ", "rb") as environ:
        assert b"eyJ" not in argv.read() + environ.read()


@row("client", "bearer-token-file")
def bearer_token_file(t):
    path = t.folder / "token"
    path.write_text("stale")
    server = t.server()
    client = t.client(server, str(path), wait=False, bearer_token=False, client_auth_retry_interval="10ms")
    assert client.wait_event("refused", 20)["code"] == "invalid_token"
    path.write_text(t.burrow.mint("c") + "\n")  # it is read again at each connect
    client.wait_event("service_ready", 20)


@row("client", "token-refresh-window")
def token_refresh_window(t):
    path = t.folder / "token"
    path.write_text(t.burrow.mint("c", expires_in="1h"))
    client = t.client(t.server(), "2h", bearer_token_file=str(path))
    path.write_text(t.burrow.mint("c", expires_in="5h"))
    client.wait_event("token_renewed", 20)  # by default it is looked for in an hour


def pauses_of(t, option_value, event, cause_settings):
    client = t.client(cause_settings.pop("server"), option_value, wait=False, **cause_settings)
    return int(client.wait_event(event, 20)["retry_ms"])


@row("client", "client-retry-interval")
def client_retry_interval(t):
    nowhere = t.server()
    nowhere.stop()
    assert pauses_of(t, "10ms", "disconnected", {"server": nowhere}) <= 10
    assert 100 <= pauses_of(t, False, "disconnected", {"server": nowhere}) <= 1000


@row("client", "client-auth-retry-interval")
def client_auth_retry_interval(t):
    server = t.server()
    assert pauses_of(t, "10ms", "refused", {"server": server, "bearer_token": "stale"}) <= 10
    assert 100 <= pauses_of(t, False, "refused", {"server": server, "bearer_token": "stale"}) <= 5000


@row("client", "drain-timeout")
def client_drain_timeout(t):
    client = t.client(t.server(), "600ms", drain_timeout=False)
    is_drained(t, client, client.bridge)


@row("client", "max-streams")
def client_max_streams(t):
    client = t.client(t.server(), "1")
    with dial(client.bridge) as user:
        user.sendall(b"x")
        assert read_exactly(user, 1) == b"x"
        assert is_reset(client.bridge)


@row("client", "buffer-limit")
def client_buffer_limit(t):
    assert credit(t, "client", "1MiB") <= 1 << 20
    assert credit(t, "client", False) > 1 << 20


@row("client", "token-in-register")
def client_token_in_register(t):
    server = t.server(token_in_register=True)
    relay = Recorder(t.world, server.web)
    assert ping(t.client(server, None, server_url=f"ws://{relay.target}/ws").bridge)
    assert b"authorization" not in relay.first.lower()


class Recorder(Relay):
    """A relay that keeps the client's request."""
    first = b""

    def pump(self, source, sink, count):
        if not count:
            self.first = source.recv(65536)
            sink.sendall(self.first)
        super().pump(source, sink, count)


@row("client", "tls-ca")
def tls_ca(t):
    cert, key = t.burrow.certificate
    server = t.server(tls_cert=cert, tls_key=key)
    t.client(server, wait=False).wait_event("disconnected", 20)
    assert ping(t.client(server, cert).bridge)


@row("client", "tls-skip-verify")
def tls_skip_verify(t):
    cert, key = t.burrow.certificate
    client = t.client(t.server(tls_cert=cert, tls_key=key), None)
    assert ping(client.bridge)
    client.wait_line("not verified")


@row("client", "tls-cert")
def client_tls_cert(t):
    cert, key = t.burrow.certificate
    server = t.server(tls_cert=cert, tls_key=key, tls_client_ca=cert, tls_client_required=True, **BY_TOKEN)
    assert ping(t.client(server, cert, tls_ca=cert, tls_key=key).bridge)


@row("client", "tls-key")
def client_tls_key(t):
    cert, key = t.burrow.certificate
    server = t.server(tls_cert=cert, tls_key=key, tls_client_ca=cert, tls_client_required=True, **BY_TOKEN)
    assert ping(t.client(server, key, tls_ca=cert, tls_cert=cert).bridge)


# ---- both ----


def complete(t, command):
    """A configuration that works, as keys of a file."""
    settings = {"drain-timeout": "0s"}
    if command == "server":
        return settings | {"server-addr": "127.0.0.1:0", "jwt-hmac-secret": SECRET}
    return settings | {"server-url": t.server().url, "client-id": "c", "local-target": str(t.world.target(echo)),
                       "bearer-token": t.burrow.mint("c")}


def starts(t, command, argv, env, event=None):
    process = Process(command, [t.burrow.binary, command, *argv], env=clean_environment(**env))
    t.world.processes.append(process)
    process.wait_event(event or ("listening" if command == "server" else "service_ready"), 20)
    return process


@both("config")
def config(t, command):
    flags, env = t.given(t.file(complete(t, command)))
    starts(t, command, flags, env)


@both("plugin")
def plugin(t, command):
    settings = complete(t, command)
    if command == "server":
        del settings["jwt-hmac-secret"]
        flags, env = t.given("auth-none")
        process = starts(t, command, [*flags, "--config", t.file(settings)], env)
        process.wait_line("auth-none")  # it warns at each start
    else:
        flags, env = t.given("no-such-plugin")
        done = t.burrow.run(command, *flags, "--config", t.file(settings), env=env)
        assert done.returncode == 2 and "no-such-plugin" in done.stderr


@both("plugin-dir")
def plugin_dir(t, command):
    settings = t.file(complete(t, command))
    folder = t.folder / "plugins"
    folder.mkdir(mode=0o755)
    flags, env = t.given(str(folder))
    done = t.burrow.run(command, *flags, "--config", settings, env=env)
    assert done.returncode == 2 and "transport-ws" in done.stderr
    listed = re.search(r"^Plugins are in (.*?);", t.burrow.run(command, "--help").stdout, re.M).group(1)
    for name in os.listdir(listed):
        if name.endswith(".so"):
            shutil.copy(os.path.join(listed, name), folder)
    starts(t, command, [*flags, "--config", settings], env)


@both("log-level")
def log_level(t, command):
    settings = t.file(complete(t, command))
    flags, env = t.given("error")
    process = Process(command, [t.burrow.binary, command, *flags, "--config", settings], env=clean_environment(**env))
    t.world.processes.append(process)
    chatty = starts(t, command, ["--config", settings], {})
    eventually(lambda: catches_sigterm(process.pid))
    process.stop()
    assert not process.events and chatty.events


def catches_sigterm(pid):
    with open(f"/proc/{pid}/status") as status:
        caught = re.search(r"^SigCgt:\s*(\w+)", status.read(), re.M).group(1)
    return int(caught, 16) >> (signal.SIGTERM - 1) & 1


@both("log-format")
def log_format(t, command):
    flags, env = t.given("json")
    process = Process(command, [t.burrow.binary, command, *flags, "--config", t.file(complete(t, command))],
                      env=clean_environment(**env))
    t.world.processes.append(process)
    process.wait_line('"event":"listening"' if command == "server" else '"event":"connected"', 20)
    assert all(json.loads(line)["event"] for line in process.lines)


# ---- the test ----

CASES = [(command, option, by) for command, rows in ROWS.items() for option in rows for by in ("flag", "variable")]


@pytest.mark.parametrize("command, option, by", CASES)
def test_the_option_has_its_effect(world, burrow, tmp_path, free_port, command, option, by):
    ROWS[command][option](Try(world, burrow, tmp_path, free_port, option, by))


@pytest.mark.parametrize("command", ROWS)
def test_every_option_has_a_row(burrow, command):
    """As the program lists them, and as the documents do."""
    commands = json.loads(burrow.run("help", "--json").stdout)["commands"]
    listed = {option["name"] for entry in commands if entry["name"] == command
              for group in entry["groups"] for option in group["options"]}
    assert listed == set(re.findall(r"^  --([a-z-]+)", burrow.run(command, "--help").stdout, re.M))
    assert set(ROWS[command]) | ELSEWHERE[command] == listed
    assert not set(ROWS[command]) & ELSEWHERE[command], "an option is in two tables"

# SPDX-License-Identifier: Apache-2.0
"""Rows of test_every_option.py: the server's own options, and those of the plugins that it mostly has."""
import os
import signal
import socket
import subprocess

from every_option import BY_TOKEN, Relay, credit, get, is_drained, ping, row
from harness.burrow import AUDIENCE, ISSUER, split_address
from harness.sockets import dial, echo, is_reset, read_exactly
from harness.wait import until
from test_admission import forge
from test_status import metrics


# ---- where it listens ----

@row("server", "server-addr")
def server_addr(t):
    port = t.free_port()
    server = t.server(f"127.0.0.1:{port}")
    assert server.web[1] == port and get(server.web, "/healthz") == (200, "ok")


@row("server", "tls-addr")
def tls_addr(t):
    cert, key = t.burrow.certificate
    server = t.server("127.0.0.1:0", tls_cert=cert, tls_key=key)
    raw = server.wait_event("listening", transport="transport-tls")["addr"]
    server.url = f"tls://{raw}"
    assert ping(t.client(server, tls_ca=cert).bridge)


@row("server", "admin-addr")
def server_admin_addr(t):
    server = t.server("127.0.0.1:0")
    admin = split_address(server.wait_event("listening", role="admin")["addr"])
    assert get(admin, "/metrics")[0] == 200 and get(server.web, "/metrics")[0] == 404


@row("server", "listen")
def listen(t):
    path = f"{t.folder}/s"
    t.server(f"transport-ws=unix:{path}").wait_event("listening", addr=f"unix:{path}")
    with socket.socket(socket.AF_UNIX) as user:
        user.settimeout(10)
        user.connect(path)
        user.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert user.recv(4096).startswith(b"HTTP/1.1 200")


@row("server", "bridge-host")
def bridge_host(t):
    assert t.client(t.server("127.0.0.2")).bridge[0] == "127.0.0.2"
    server = t.server("")  # empty is a value here
    t.client(server, wait=False).wait_event("connected")
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
    refusing.wait_event("service_refused")


# ---- who may ask, who may come ----

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
    assert t.client(server, wait=False, client_id="d").wait_event("refused")["code"] == "limit"


@row("server", "max-streams")
def server_max_streams(t):
    client = t.client(t.server("1"))
    with dial(client.bridge) as user:
        user.sendall(b"x")
        assert read_exactly(user, 1) == b"x"
        assert is_reset(client.bridge)


def workers(server):
    """The names of its threads that have a loop of their own."""
    names = []
    for task in os.listdir(f"/proc/{server.pid}/task"):
        with open(f"/proc/{server.pid}/task/{task}/comm") as comm:
            names.append(comm.read().strip())
    return sorted(name for name in names if name.startswith("worker-"))


@row("server", "workers")
def server_workers(t):
    server = t.server("3")
    assert workers(server) == ["worker-1", "worker-2"]
    for name in ("a", "b", "c", "d"):
        assert ping(t.client(server, client_id=name).bridge)
    # As many as processors, or as a quota of the machine's control groups leaves of them (test_limits).
    assert len(workers(t.server("auto"))) < len(os.sched_getaffinity(0))
    assert workers(t.server()) == []


@row("server", "metrics-per-service")
def metrics_per_service(t):
    name = 'burrow_service_connections_total{client="c",service=""}'
    server = t.server(None)
    assert ping(t.client(server).bridge)
    until(lambda: metrics(server)[name] == 1)
    server = t.server()
    t.client(server)
    assert name not in metrics(server)


@row("server", "token-in-register")
def server_token_in_register(t):
    assert ping(t.client(t.server(None), token_in_register=True).bridge)
    refused = t.client(t.server(), wait=False, token_in_register=True).wait_event("refused")
    assert refused["code"] == "missing_bearer"


# ---- time ----

@row("server", "heartbeat-interval")
def heartbeat_interval(t):
    server = t.server("100ms")
    relay = Relay(t.world, server.web)
    t.client(server, server_url=f"ws://{relay.target}/ws")
    before = relay.pieces
    until(lambda: relay.pieces >= before + 10)  # by default it is one in 10 s


@row("server", "heartbeat-timeout")
def heartbeat_timeout(t):
    server = t.server("400ms", heartbeat_interval="100ms")
    client = t.client(server)
    client.signal(signal.SIGSTOP)
    server.wait_event("client_disconnected")  # by default it is later than anyone waits
    client.signal(signal.SIGCONT)


def is_forgotten(t, server):
    client = t.client(server)
    assert metrics(server)["burrow_clients_known"] == 1
    client.stop()
    until(lambda: metrics(server)["burrow_clients_known"] == 0)


@row("server", "sweep-interval")
def sweep_interval(t):
    is_forgotten(t, t.server("100ms", stale_service_age="100ms"))  # by default it looks once a minute


@row("server", "stale-service-age")
def stale_service_age(t):
    is_forgotten(t, t.server("100ms", sweep_interval="100ms"))  # by default it waits for ten minutes


@row("server", "drain-timeout")
def server_drain_timeout(t):
    server = t.server("600ms", drain_timeout=False)
    is_drained(t, server, t.client(server).bridge)


# ---- memory ----

@row("server", "buffer-limit")
def server_buffer_limit(t):
    assert credit(t, "server", "1MiB") <= 1 << 20
    assert credit(t, "server", False) > 1 << 20


# ---- plugins ----

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


def asks_for_certificates(t, server):
    cert, key = t.burrow.certificate
    t.client(server, wait=False, tls_ca=cert).wait_event("disconnected")
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
    assert client.wait_event("service_refused")["code"] == "not_allowed"


@row("server", "jwt-alg")
def jwt_alg(t):
    secret = OTHER_SECRET * 2
    server = t.server("HS512", jwt_hmac_secret=secret)
    assert ping(t.client(server, bearer_token=t.burrow.mint("c", secret, jwt_alg="HS512")).bridge)
    refused = t.client(server, wait=False, bearer_token=t.burrow.mint("c", secret)).wait_event("refused")
    assert refused["code"] == "invalid_token"


def claim_is_checked(t, name, value, setting):
    server = t.server(value, **{setting: False})
    assert ping(t.client(server, bearer_token=t.burrow.mint("c", **{setting: value})).bridge)
    assert t.client(server, wait=False).wait_event("refused")["code"] == "invalid_token"
    assert name in server.wait_event("auth_refused")["reason"]


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
    assert said.wait() == 2 and "--jwt-allow-weak-secret" in said.log
    server = t.server(None, jwt_hmac_secret=weak)
    token = t.burrow.mint("c", weak, jwt_allow_weak_secret="true")
    assert ping(t.client(server, bearer_token=token).bridge)


@row("server", "jwt-allow-no-exp")
def jwt_allow_no_exp(t):
    token = forge(sub="c", exp=None)
    refusing = t.server()
    assert t.client(refusing, wait=False, bearer_token=token).wait_event("refused")["code"] == "invalid_token"
    assert "--jwt-allow-no-exp" in refusing.wait_event("auth_refused")["reason"]  # it names the remedy
    assert ping(t.client(t.server(None), bearer_token=token).bridge)

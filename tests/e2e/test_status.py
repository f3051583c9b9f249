# SPDX-License-Identifier: Apache-2.0
"""What the server says of itself over HTTP."""
import http.client
import re
import socket

import pytest

from harness.burrow import split_address
from harness.sockets import dial, echo, read_all, read_exactly
from harness.wait import until
from test_admission import ask


def metrics(server, at=None):
    """Name (with labels) to value; checks that each sample has its HELP and TYPE."""
    status, headers, body = at or ask(server, path="/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain")
    values, described = {}, set()
    for line in body.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            described |= {name + part for part in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))}
        elif line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert re.sub(r"\{.*", "", name) in described, line
            values[name] = float(value)
    return values


@pytest.mark.parametrize("transport", ["ws", "wss"])
def test_healthz_is_ok_without_a_newline(world, transport):
    server = world.server(transport)
    status, _, body = ask(server, path="/healthz")
    assert (status, body) == (200, "ok")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_livez_and_readyz_answer(world, path):
    assert ask(world.server("ws"), path=path)[0] == 200


def test_round_trips_are_measured_while_windows_grow(world):
    server = world.server("ws")
    client = world.client(server, world.target(echo))
    data = bytes(1 << 16)

    def measured():
        user.sendall(data)
        assert read_exactly(user, len(data)) == data
        return metrics(server)["burrow_round_trip_seconds_count"] > 0
    with dial(client.bridge) as user:
        until(measured)
    assert metrics(server)["burrow_round_trip_seconds_sum"] > 0


def test_metrics_count_sessions_and_streams(world):
    server = world.server("ws")
    before = metrics(server)
    assert before["burrow_sessions_active"] == 0 and before["burrow_streams_active"] == 0
    assert before["burrow_stale_services_deleted_total"] == 0
    client = world.client(server, world.target(echo))
    with dial(client.bridge) as one, dial(client.bridge) as two:
        for user in (one, two):
            user.sendall(b"x")
            assert read_exactly(user, 1) == b"x"
        during = metrics(server)
        assert during["burrow_sessions_active"] == 1 and during["burrow_streams_active"] == 2
        for user in (one, two):
            user.shutdown(socket.SHUT_WR)
            assert read_all(user) == b""
    client.stop()
    server.wait_event("client_disconnected")
    after = metrics(server)
    assert after["burrow_sessions_active"] == 0 and after["burrow_streams_active"] == 0
    assert not any("client-a" in name for name in after), "client ids as labels are unbounded"


def test_bridge_addr_of_a_client(world):
    server = world.server("ws")
    assert ask(server, path="/api/clients/client-a/bridge-addr")[::2] == (404, "client not found\n")
    client = world.client(server, world.target(echo))
    status, _, body = ask(server, path="/api/clients/client-a/bridge-addr")
    assert status == 200 and split_address(body) == client.bridge
    assert ask(server, path="/api/clients/client-b/bridge-addr")[::2] == (404, "client not found\n")
    client.stop()
    server.wait_event("client_disconnected")
    assert ask(server, path="/api/clients/client-a/bridge-addr")[::2] == (404, "client not found\n")


def test_bridge_addr_of_one_service(world):
    server = world.server("ws")
    one, two = (world.target(lambda sock, name=name: sock.sendall(name)) for name in (b"one", b"two"))
    client = world.client(server, f"one={one}", "--local-target", f"two={two}")
    client.wait_event("service_ready", service="two")
    path = "/api/clients/client-a/bridge-addr"
    for name in ("one", "two"):
        status, _, body = ask(server, path=f"{path}?service={name}")
        assert status == 200
        with dial(split_address(body)) as user:
            assert read_all(user) == name.encode()
    assert ask(server, path=f"{path}?service=t%77o")[0] == 200
    assert ask(server, path=f"{path}?service=three")[::2] == (404, "no bridge listener\n")


def test_without_bridges_there_is_no_bridge_listener(world):
    server = world.server("ws", bridge_host="")
    client = world.client(server, "127.0.0.1:9", wait=False)
    server.wait_event("client_connected", client="client-a", auth="auth-hmac")
    client.wait_event("connected")
    assert ask(server, path="/api/clients/client-a/bridge-addr")[::2] == (404, "no bridge listener\n")


def test_the_api_is_hidden_behind_a_proxy_without_a_token(world):
    server = world.server("ws")
    world.client(server, world.target(echo))
    for header in ("X-Forwarded-For", "Forwarded"):
        mark = server.mark()
        status, _, _ = ask(server, path="/api/clients/client-a/bridge-addr", headers={header: "192.0.2.1"})
        assert status == 404
        said = server.wait_event("api_refused", after=mark)
        assert "--api-token" in said["reason"] and "--enable-client-api true" in said["reason"]


def test_the_api_token_opens_the_api(world):
    server = world.server("ws", "--enable-client-api", "true", env={"BURROW_API_TOKEN": "open sesame"})
    world.client(server, world.target(echo))
    path = "/api/clients/client-a/bridge-addr"
    assert ask(server, path=path)[::2] == (401, "unauthorized\n")
    assert ask(server, path=path, headers={"Authorization": "Bearer wrong"})[0] == 401
    assert ask(server, path=path, headers={"Authorization": "Bearer open sesame"})[0] == 200


def test_the_api_may_be_switched_off(world):
    server = world.server("ws", "--enable-client-api", "false")
    world.client(server, world.target(echo))
    assert ask(server, path="/api/clients/client-a/bridge-addr")[0] == 404


def test_an_admin_address_takes_the_metrics_off_the_public_port(world):
    server = world.server("ws", "--admin-addr", "127.0.0.1:0")
    server_admin = split_address(server.wait_event("listening", role="admin")["addr"])
    assert ask(server, path="/healthz")[0] == 200
    assert ask(server, path="/metrics")[0] == 404
    server.web = server_admin
    assert "burrow_sessions_active" in metrics(server)
    assert ask(server, path="/ws")[0] == 404


@pytest.mark.parametrize("transport", ["ws", "tls"])
def test_the_client_tells_at_its_admin_address_whether_it_is_connected(world, transport):
    server = world.server(transport)
    client = world.client(server, world.target(echo), "--admin-addr", "127.0.0.1:0", "--client-retry-interval", "10ms")
    client.transport, client.web = "ws", split_address(client.wait_event("listening", role="admin")["addr"])
    for path in ("/healthz", "/livez", "/readyz"):
        assert ask(client, path=path)[::2] == (200, "ok")
    assert ask(client, path="/api/clients/client-a/bridge-addr")[0] == 404
    assert ask(client, path="/ws")[0] == 404
    with dial(client.bridge) as user:
        user.sendall(b"x")
        assert read_exactly(user, 1) == b"x"
        during = metrics(client)
        assert during["burrow_sessions_active"] == during["burrow_streams_active"] == 1
        assert during["burrow_connects_total"] == 1
    mark = client.mark()
    server.kill()
    client.wait_event("disconnected", after=mark)
    assert ask(client, path="/readyz")[::2] == (503, "not connected\n")
    assert ask(client, path="/livez")[::2] == (200, "ok")
    after = metrics(client)
    assert after["burrow_sessions_active"] == 0
    assert after['burrow_connect_failures_total{cause="network"}'] >= 1


def test_the_clients_admin_address_needs_http(burrow):
    done = burrow.run("client", "--client-id", "c", "--local-target", "127.0.0.1:9", "--server-url",
                      "tls://127.0.0.1:9", "--plugin", "transport-tls", "--admin-addr", "127.0.0.1:0")
    assert done.returncode == 2
    assert "--admin-addr (BURROW_ADMIN_ADDR): needs a transport plugin that speaks HTTP" in done.stderr


@pytest.mark.parametrize("request_line, statuses", [
    (b"TRACE /healthz HTTP/1.1", {400, 403, 405, 501}),  # 403: libwebsockets by itself
    (b"POST /healthz HTTP/1.1", {405}),
    (b"GET /nothing HTTP/1.1", {404}),
    (b"GET /%00 HTTP/1.1", {400, 404}),
    (b"GET /" + b"a" * 65536 + b" HTTP/1.1", {400, 414, 431, None}),
    (b"nonsense", {400, 403, 405, None}),
    (b"GET /ws HTTP/1.1", {400, 401, 405, 426}),
])
def test_odd_requests_are_refused_and_the_server_lives(world, request_line, statuses):
    server = world.server("ws")
    with dial(server.web) as user:
        answer = b""
        try:
            user.sendall(request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = user.recv(4096)
        except (ConnectionResetError, BrokenPipeError):
            pass
        status = int(answer.split()[1]) if answer.startswith(b"HTTP/1.") else None
        assert status in statuses, answer[:200]
    assert ask(server, path="/healthz")[0] == 200


@pytest.mark.parametrize("path", ["//metrics", "/x/../metrics", "/%2e%2e/metrics", "/healthz/%2e%2e/metrics",
                                  "/metrics/", "/METRICS", "/metrics%00", "/./api/clients/c/bridge-addr"])
def test_odd_spellings_of_a_path_do_not_get_around_its_rules(world, path):
    """With an admin address the public port has no metrics and no API, however they are spelt."""
    server = world.server("ws", "--admin-addr", "127.0.0.1:0")
    try:
        assert ask(server, path=path)[0] in {400, 404}
    except http.client.RemoteDisconnected:
        pass  # a refusal too


def test_an_upgrade_to_h2c_is_not_made(world):
    server = world.server("ws")
    with dial(server.web) as user:
        user.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                     b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
        assert not user.recv(4096).startswith(b"HTTP/1.1 101")


def test_plain_text_to_raw_tls_and_tls_to_plain_text_are_closed(world):
    server = world.server("tls")
    with dial(server.main) as user:
        user.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        user.settimeout(8)
        try:
            answer = read_all(user)
        except ConnectionResetError:
            answer = b""
        assert b"HTTP" not in answer
    plain = world.server("ws", name="plain server")
    with dial(plain.web) as user:
        user.sendall(bytes.fromhex("16030100a5010000a10303") + bytes(160))
        try:
            read_all(user)
        except ConnectionResetError:
            pass
    assert ask(plain, path="/healthz")[0] == 200

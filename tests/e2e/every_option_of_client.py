# SPDX-License-Identifier: Apache-2.0
"""Rows of test_every_option.py: the client's options."""
from every_option import BY_TOKEN, Relay, credit, get, is_drained, ping, row
from harness.burrow import split_address
from harness.sockets import dial, is_reset, read_exactly


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
    admin = split_address(client.wait_event("listening", role="admin")["addr"])
    assert get(admin, "/readyz") == (200, "ok")


@row("client", "client-id")
def client_id(t):
    server = t.server()
    t.client(server, "named", client_id=False, bearer_token=t.burrow.mint("named"))
    server.wait_event("client_connected", client="named")


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
    assert client.wait_event("refused")["code"] == "invalid_token"
    path.write_text(t.burrow.mint("c") + "\n")  # it is read again at each connect
    client.wait_event("service_ready")


@row("client", "token-refresh-window")
def token_refresh_window(t):
    path = t.folder / "token"
    path.write_text(t.burrow.mint("c", expires_in="1h"))
    client = t.client(t.server(), "2h", bearer_token_file=str(path))
    path.write_text(t.burrow.mint("c", expires_in="5h"))
    client.wait_event("token_renewed")  # by default it is looked for in an hour


def pauses_of(t, option_value, event, cause_settings):
    client = t.client(cause_settings.pop("server"), option_value, wait=False, **cause_settings)
    return int(client.wait_event(event)["retry_ms"])


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
    t.client(server, wait=False).wait_event("disconnected")
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

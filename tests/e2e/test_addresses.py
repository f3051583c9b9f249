# SPDX-License-Identifier: Apache-2.0
"""IPv6, names, Unix sockets, and a connect address that differs from the URL."""
import socket
import ssl
import threading

from harness.sockets import dial, echo, is_reset, read_exactly


def ping(address, data=b"ping"):
    with dial(address) as user:
        user.sendall(data)
        assert read_exactly(user, len(data)) == data


def test_everything_works_over_ipv6(world, transport):
    target = world.target(echo, host="::1")
    server = world.server(transport, host="::1", bridge_host="::1")
    client = world.client(server, target)
    assert client.bridge[0] == "::1"
    ping(client.bridge)


def test_names_are_resolved(world, transport):
    target = world.target(echo)
    server = world.server(transport)
    client = world.client(server, f"localhost:{target.address[1]}", url=server.url.replace("127.0.0.1", "localhost"))
    ping(client.bridge)


def test_a_name_that_does_not_exist_resets_the_user(world):
    _, _, bridge = world.tunnel("ws", "no-such-host.invalid:80")
    assert is_reset(bridge)


def test_the_target_may_be_a_unix_socket(world, tmp_path):
    path = str(tmp_path / "service")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def serve():
        sock, _ = listener.accept()
        echo(sock)
        sock.close()

    threading.Thread(target=serve, daemon=True).start()
    world.closing.append(listener)
    _, _, bridge = world.tunnel("ws", f"unix:{path}")
    ping(bridge)


def test_connect_addr_replaces_the_urls_host_at_the_tcp_level(world, transport):
    server = world.server(transport)
    url = server.url.replace("127.0.0.1", "localhost").replace(str(server.main[1]), "1")
    client = world.client(server, world.target(echo), "--connect-addr", "127.0.0.1:%d" % server.main[1], url=url)
    ping(client.bridge)


def test_connect_addr_without_a_port_takes_the_urls(world):
    server = world.server("ws")
    client = world.client(server, world.target(echo), "--connect-addr", "127.0.0.1",
                          url=f"ws://no-such-host.invalid:{server.web[1]}/ws")
    ping(client.bridge)


def test_with_connect_addr_host_and_sni_stay_the_urls_and_each_unverified_connect_warns(world, burrow):
    names, requests = [], []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*burrow.certificate)
    context.sni_callback = lambda sock, name, _: names.append(name)

    def serve(sock):
        with context.wrap_socket(sock, server_side=True) as link:
            requests.append(link.recv(65536).decode())
    target = world.target(serve)
    client = world.client(None, "127.0.0.1:9", "--connect-addr", target, "--tls-skip-verify",
                          "--client-retry-interval", "10ms", url="wss://tunnel.example:8443/ws", wait=False)
    client.wait_event("disconnected")
    client.wait_event("disconnected", after=client.mark())
    assert names[:2] == ["tunnel.example"] * 2
    assert "\r\nHost: tunnel.example:8443\r\n" in requests[0]
    assert len([line for line in client.lines if "tunnel.example is not verified" in line]) >= 2


def test_a_server_name_that_the_certificate_lacks_is_refused(world):
    server = world.server("wss")
    url = server.url.replace("127.0.0.1", "elsewhere.example")
    client = world.client(server, "127.0.0.1:9", "--connect-addr", "127.0.0.1:%d" % server.main[1], url=url,
                          wait=False)
    client.wait_event("disconnected")
    assert not server.seen("client_connected")


def test_several_clients_have_bridges_of_their_own(world, transport):
    server = world.server(transport)
    bridges = set()
    for i in range(5):
        def greet(sock, i=i):
            sock.sendall(b"%d" % i)

        client = world.client(server, world.target(greet), client_id=f"client-{i}")
        with dial(client.bridge) as user:
            assert read_exactly(user, 1) == b"%d" % i
        bridges.add(client.bridge)
    assert len(bridges) == 5

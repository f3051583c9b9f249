# SPDX-License-Identifier: Apache-2.0
"""Certificates, keys and authorities are read again when their files change: who connects from then
on is judged by the new ones, connections that stand go on."""
import os
import shutil
import socket
import ssl

import pytest

from harness.authority import Authority
from harness.burrow import make_certificate
from harness.sockets import dial, echo, read_exactly


@pytest.fixture(params=("wss", "tls"))
def transport(request):
    return request.param


@pytest.fixture
def files(burrow, tmp_path):
    """Copies of the tests' certificate and key, to be changed."""
    paths = [str(tmp_path / name) for name in ("server.pem", "server.key")]
    for source, path in zip(burrow.certificate, paths):
        shutil.copy(source, path)
        os.chmod(path, 0o600)
    return paths


def plugin_of(transport):
    """transport-ws of the default list watches the same files: the event of another comes earlier, or later."""
    return "transport-tls" if transport == "tls" else "transport-ws"


def replace(path, source):
    shutil.copy(source, path + ".new")
    os.rename(path + ".new", path)


def shown(server):
    """The certificate that the server shows to a new connection."""
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["burrow/2" if server.transport == "tls" else "http/1.1"])
    with socket.create_connection(server.main, 20) as link, context.wrap_socket(link, server_hostname="localhost") as tls:
        return ssl.DER_cert_to_PEM_cert(tls.getpeercert(True)).strip()


def text(path):
    with open(path) as file:
        return file.read().strip()


def serve(world, transport, files, *flags, **options):
    return world.server(transport, "--tls-cert", files[0], "--tls-key", files[1], *flags, **options)


def says(user, message):
    user.sendall(message)
    assert read_exactly(user, len(message)) == message


def test_a_new_certificate_is_shown_and_no_stream_is_dropped(world, transport, files, tmp_path):
    server = serve(world, transport, files)
    client = world.client(server, world.target(echo))
    assert shown(server) == text(files[0])
    os.makedirs(tmp_path / "new")
    cert, key = make_certificate(str(tmp_path / "new"))
    with dial(client.bridge) as user:
        says(user, b"before")
        mark = server.mark()
        replace(files[1], key)  # for a moment key and certificate do not fit
        replace(files[0], cert)
        server.wait_event("file_reloaded", after=mark, plugin=plugin_of(transport))
        assert shown(server) == text(cert)
        says(user, b"after")


def test_a_broken_certificate_leaves_the_old_one_in_force(world, transport, files):
    server = serve(world, transport, files)
    good = text(files[0])
    mark = server.mark()
    with open(files[0], "w") as file:
        file.write("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    refused = server.wait_event("file_refused", after=mark, plugin=plugin_of(transport))
    assert "tls-cert" in refused["reason"]
    assert shown(server) == good


def test_an_authority_that_is_taken_away_lets_nobody_in_any_more(world, transport, files, tmp_path):
    """Also not by a TLS session that is resumed."""
    old, new = Authority(tmp_path / "old", "old"), Authority(tmp_path / "new", "new")
    authorities = str(tmp_path / "authorities.pem")
    shutil.copy(old.ca, authorities)
    server = serve(world, transport, files, "--tls-client-ca", authorities, auth=False)
    flags = old.flags("/CN=client-a")
    client = world.client(server, world.target(echo), *flags, "--client-retry-interval", "200ms", token="")
    with dial(client.bridge) as user:
        says(user, b"before")
        mark = server.mark()
        replace(authorities, new.ca)
        server.wait_event("file_reloaded", after=mark, plugin=plugin_of(transport))
        says(user, b"after")
    again = world.client(server, "127.0.0.1:9", *flags, client_id="client-b", token="", wait=False)
    assert "refused our certificate" in again.wait_event("disconnected")["reason"]
    fresh = world.client(server, world.target(echo), *new.flags("/CN=client-c"), client_id="client-c", token="")
    with dial(fresh.bridge) as user:
        says(user, b"the new authority")

# SPDX-License-Identifier: Apache-2.0
"""Plugins that were built against headers of another time than this burrow's."""
import os
from pathlib import Path

import pytest

from harness.sockets import dial, echo, read_exactly
from test_sdk import carry


@pytest.mark.parametrize("name", ("auth-older", "auth-newer"))
def test_a_plugin_of_other_headers_works(world, burrow, transport, name):
    """auth-older: of the first version of the headers. auth-newer: of longer tables than the host's."""
    plugin = os.path.join(burrow.build, "tests", "abi", f"{name}.so")
    server = world.server(transport, f"--plugin={plugin}", auth=False)
    client = world.client(server, world.target(echo), token="sesame")
    with dial(client.bridge) as user:
        user.sendall(b"hello")
        assert read_exactly(user, 5) == b"hello"
    other = world.client(server, "127.0.0.1:9", token="wrong", client_id="b", wait=False)
    other.wait_event("refused", code="invalid_token")
    assert server.wait_event("auth_refused")["plugin"] == name
    assert not server.seen("plugin_fault")
    if name == "auth-newer":
        server.wait_line("later entries: host 0, auth host 0")


def test_a_transport_an_auth_plugin_and_a_registry_of_the_first_headers_carry_a_tunnel(world, burrow, tmp_path):
    def older(kind):
        return f"--plugin={burrow.build}/tests/abi/{kind}-older.so"
    socket, hosts = tmp_path / "x.sock", tmp_path / "hosts"
    carry(world, Path(burrow.build),
          [older("transport"), f"--listen=transport-unix=unix:{socket}", "--token-in-register", older("auth"),
           older("registry"), f"--registry-hosts.file={hosts}"],
          [older("transport"), f"--server-url=unix://{socket}"], "sesame")
    assert "client=a port=" in hosts.read_text()

# SPDX-License-Identifier: Apache-2.0
"""A name server that never answers: whom it holds up."""
import os
import socket

from harness.burrow import split_address
from harness.sockets import dial, echo, read_exactly
from harness.wait import PATIENCE

# Like `ip netns exec`: the process has a resolv.conf of its own.
WRAPPER = """\
#!/bin/sh
exec unshare --mount sh -c 'mount --bind "{folder}/resolv.conf" /etc/resolv.conf && exec "{binary}" "$@"' sh "$@"
"""


def test_users_of_a_name_that_is_never_answered_hold_up_no_other_target(world, network, tmp_path, monkeypatch):
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    wrapper = tmp_path / "burrow"
    wrapper.write_text(WRAPPER.format(folder=tmp_path, binary=world.burrow.binary))
    wrapper.chmod(0o755)
    assert os.path.exists("/etc/resolv.conf"), "there is nothing to mount over"
    monkeypatch.setattr(world.burrow, "binary", str(wrapper))
    with network.inside("client"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 53))
        mute.settimeout(PATIENCE)
        port = str(world.target(echo)).rsplit(":", 1)[1]
        client = world.client(world.server("ws"), "silent=silent.example:80", "--local-target",
                              f"ok=localhost:{port}", wait=False)
        silent, ok = (split_address(client.wait_event("service_ready", service=name)["bridge"])
                      for name in ("silent", "ok"))
        users = [dial(silent) for _ in range(8)]
        assert b"silent" in mute.recv(512)
        with dial(ok) as user:
            user.sendall(b"hello")
            assert read_exactly(user, 5) == b"hello"
        for user in users:
            user.close()

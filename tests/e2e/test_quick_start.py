# SPDX-License-Identifier: Apache-2.0
"""The Makefile's quick start as README.md and Burrow's own documentation write it, and the demo."""
import os
import shutil
import signal
import subprocess
import sys

import pytest

from harness.burrow import clean_environment, split_address
from harness.process import Process
from harness.sockets import dial, echo, read_exactly

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
JWT = ("JWT_HMAC_SECRET=dev-secret", "JWT_AUDIENCE=burrow-server", "JWT_ISSUER=dev-local")


class Make(Process):
    """A target that runs until its program is told to end; what is built stays as it is."""

    def __init__(self, burrow, target, *variables):
        super().__init__(target, ["make", "--no-print-directory", "-o", "build", f"BUILD={burrow.build}", target,
                                  *variables], env=clean_environment(), cwd=ROOT)

    def stop(self, seconds=20):
        if self.running():
            with open(f"/proc/{self.pid}/task/{self.pid}/children") as children:
                for pid in children.read().split():
                    os.kill(int(pid), signal.SIGTERM)
        assert self.wait(seconds) == 0, self.log


@pytest.fixture
def make(world, burrow):
    def run(target, *variables):
        process = Make(burrow, target, *variables)
        world.processes.append(process)
        return process
    return run


def ping_through(client):
    with dial(split_address(client.wait_event("service_ready")["bridge"])) as user:
        user.sendall(b"hello")
        assert read_exactly(user, 5) == b"hello"


def test_the_quick_start_moves_data(world, make):
    server = make("run-server-jwt-dev", "SERVER_ADDR=127.0.0.1:0", *JWT)
    address = server.wait_event("listening")["addr"]
    client = make("run-client-jwt-dev", "CLIENT_ID=client-a", f"LOCAL_TARGET={world.target(echo)}",
                  f"SERVER_URL=ws://{address}/ws", *JWT)
    ping_through(client)


def test_run_server_and_run_client_take_a_token_or_its_file(world, make, burrow, tmp_path):
    secret = "a secret of $HOME's \"quotes\" and 'spaces', long enough"
    server = make("run-server", "SERVER_ADDR=127.0.0.1:0", f"JWT_HMAC_SECRET={secret.replace('$', '$$')}")
    address = server.wait_event("listening")["addr"]
    token = burrow.run("token", "mint", "--sub", "c", env={"BURROW_JWT_HMAC_SECRET": secret}).stdout.strip()
    path = tmp_path / "token"
    path.write_text(token)
    where = ("CLIENT_ID=c", f"LOCAL_TARGET={world.target(echo)}", f"SERVER_URL=ws://{address}/ws")
    client = make("run-client", f"BEARER_TOKEN={token}", *where)
    ping_through(client)
    client.stop()
    ping_through(make("run-client", f"BEARER_TOKEN_FILE={path}", "TOKEN_REFRESH_WINDOW=45s", *where))


# Burrow 0.5's own quick start, its three steps as they are printed there.
STEPS = ("""
make run-server-jwt-dev JWT_HMAC_SECRET=dev-secret JWT_AUDIENCE=burrow-server JWT_ISSUER=dev-local
""", """
make run-client-jwt-dev \\
CLIENT_ID=client-a \\
LOCAL_TARGET=127.0.0.1:5432 \\
JWT_HMAC_SECRET=dev-secret \\
JWT_AUDIENCE=burrow-server \\
JWT_ISSUER=dev-local
""", """
# Discover the bridge address assigned to your client, then connect
BRIDGE=$(curl -s http://127.0.0.1:8080/api/clients/client-a/bridge-addr)
nc $(echo $BRIDGE | cut -d: -f1) $(echo $BRIDGE | cut -d: -f2)
""")

# The ports are fixed, so that a network of its own is needed; what is built stays as it is.
AROUND = """
set -eu
ip link set lo up
make() { command make --no-print-directory -o build BUILD="$BUILT" "$@"; }
"$PYTHON" -c '
import socket
listener = socket.create_server(("127.0.0.1", 5432))
open("listens", "w").close()
while True:
    sock, _ = listener.accept()
    sock.sendall(b"data from port 5432\\n")
    sock.close()' &
{ {server}; } >server.log 2>&1 &
{ {client}; } >client.log 2>&1 &
timeout 60 bash -c 'until [ -e listens ]; do sleep 0.1; done'
timeout 60 bash -c \
    'until curl -sf http://127.0.0.1:8080/api/clients/client-a/bridge-addr >/dev/null; do sleep 0.2; done'
{test}
"""


def test_burrows_quick_start_works_word_for_word_in_a_fresh_clone(burrow, tmp_path):
    clone = tmp_path / "clone"
    if os.path.exists(os.path.join(ROOT, ".git")):
        subprocess.run(["git", "-c", "safe.directory=*", "clone", "-q", "--no-hardlinks", ROOT, clone], check=True)
    else:  # the sources without their history
        shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns("build"))
    script = AROUND
    for place, step in zip(("{server}", "{client}", "{test}"), STEPS):
        script = script.replace(place, step.strip("\n"))
    # All that the script leaves running ends with its process namespace.
    user = [] if os.getuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(["unshare", *user, "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
                           "bash", "-c", script], cwd=clone, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120, env=clean_environment(BUILT=burrow.build, PYTHON=sys.executable))
    logs = [(clone / name).read_text() for name in ("server.log", "client.log") if (clone / name).exists()]
    assert done.returncode == 0, "\n".join([done.stderr, *logs])
    assert done.stdout == "data from port 5432\n"


def test_a_production_server_is_started_with_a_key_set(world, make):
    """Burrow's own line; nobody answers for the key set here, which is told and tried again."""
    server = make("run-server", "JWKS_URL=https://idp.invalid/.well-known/jwks.json", "JWT_AUDIENCE=burrow-server",
                  "SERVER_ADDR=127.0.0.1:0")
    server.wait_event("listening")


def test_the_demo_runs_and_leaves_nothing(burrow):
    done = subprocess.run(["make", "--no-print-directory", "-o", "build", f"BUILD={burrow.build}", "demo"], cwd=ROOT,
                          env=clean_environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hello from a service" in done.stdout and "the same as the original" in done.stdout


def test_every_make_target_of_the_readme_is_there(burrow):
    with open(os.path.join(ROOT, "README.md")) as file:
        readme = file.read()
    done = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True)
    for target in ("demo", "test", "build", "bench", "run-server-jwt-dev", "run-client-jwt-dev"):
        assert f"make {target}" in readme and f"  {target} " in done.stdout

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`make demo`: a server, a client and a local web server on this machine, a page fetched through the
bridge, and everything ended again. Exit code 0 when the page came through whole."""
import argparse
import contextlib
import functools
import hashlib
import http.server
import os
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness.burrow import Burrow, Client, Server  # noqa: E402

PAGE = b"Hello from a service that nobody could reach.\n"
BULK = 16 << 20


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def say(text=""):
    print(text, flush=True)


def shown(text):
    """A step, and the command that an operator would type for it."""
    say("\n" + text)


def command(*words):
    say("    $ " + " ".join(words))


def web_server(folder, stack):
    """On a port of its own; the service that the tunnel makes reachable."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.server_close)
    stack.callback(server.shutdown)
    return "127.0.0.1:%d" % server.server_address[1]


def fetch(address, name):
    url = "http://%s:%d/%s" % (*address, name)
    command("curl", url)
    return subprocess.run(["curl", "-sSf", "--max-time", "30", url], check=True, stdout=subprocess.PIPE).stdout


def demo(build, stack):
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="burrow-demo-"))
    site = os.path.join(folder, "site")
    os.mkdir(site)
    content = {"hello.txt": PAGE, "bulk": os.urandom(BULK)}
    for name, data in content.items():
        with open(os.path.join(site, name), "wb") as file:
            file.write(data)
    burrow = Burrow(build, folder)

    shown("1. A service on your side of the firewall: a web server on this machine.")
    target = web_server(site, stack)
    say(f"    it listens on {target}")

    shown("2. The server, which would run inside the cluster.")
    command("burrow server --jwt-hmac-secret …")
    server = Server(burrow, "ws")
    stack.callback(server.stop)
    server.ready()
    say(f"    clients come to {server.url}")

    shown("3. A token for one client, and the client, which dials out. Nothing dials in.")
    command("burrow token mint --sub demo")
    token = burrow.mint("demo")
    command(f"burrow client --server-url {server.url} --client-id demo --local-target {target}")
    client = Client(burrow, server, target, client_id="demo", token=token)
    stack.callback(client.stop)
    client.ready()
    say("    connected; its bridge inside is %s:%d" % client.bridge)

    shown("4. Who is inside uses the bridge as if the service were there.")
    page = fetch(client.bridge, "hello.txt")
    say("    " + page.decode().rstrip())
    bulk = fetch(client.bridge, "bulk")
    whole = page == PAGE and bulk == content["bulk"]
    say(f"    {len(bulk)} bytes, SHA-256 {hashlib.sha256(bulk).hexdigest()[:16]}…, "
        + ("the same as the original" if whole else "NOT the same as the original"))

    shown("5. The end: SIGTERM to client and server.")
    client.stop()
    server.stop()
    say("    both ended in order")
    return whole


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/release")
    opt = parser.parse_args()
    try:
        with contextlib.ExitStack() as stack:
            whole = demo(opt.build, stack)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        say(f"\nThe demo failed: {error}")
        return 1
    say("\nIt works. README.md tells how to run it for yourself." if whole else "\nThe demo failed.")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())

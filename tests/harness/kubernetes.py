# SPDX-License-Identifier: Apache-2.0
"""An API of Kubernetes that is invented by a test, answer by answer. (The real one: tests/kube.)"""
import http.server
import json
import threading

from harness.wait import PATIENCE


class Api:
    """Answers each request by `script(method, path, body)`: (status, headers, body), where body is bytes, or
    yields pieces as they come. It keeps what was asked."""

    def __init__(self, script):
        self.script, self.requests, self.news = script, [], threading.Condition()
        self.authorization, self.authorizations = None, set()  # of the request that is answered; of all
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                with api.news:
                    api.authorization = self.headers.get("Authorization")
                    api.authorizations.add(api.authorization)
                    api.requests.append((self.command, self.path, body))
                    status, headers, data = api.script(self.command, self.path, body)
                    api.news.notify_all()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                whole = isinstance(data, bytes)
                self.send_header(*(("Content-Length", str(len(data))) if whole else ("Connection", "close")))
                self.end_headers()
                try:
                    for piece in [data] if whole else data:
                        self.wfile.write(piece)
                except OSError:
                    self.close_connection = True  # an answer that is too long is not read to its end

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def wait(self, method, part="", count=1):
        """Until so many such requests have come; the last of them."""
        def matching():
            return [r for r in self.requests if r[0] == method and part in r[1]]
        with self.news:
            assert self.news.wait_for(lambda: len(matching()) >= count, PATIENCE), self.requests
            return matching()[-1]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def service_name(client_id):
    """Of a client id that is short and of lower case letters: with its FNV-1a hash."""
    digest = 2166136261
    for byte in client_id.encode():
        digest = (digest ^ byte) * 16777619 & 0xffffffff
    return f"burrow-client-{client_id}-{digest:08x}"


def left_behind(client_id):
    """A Service of a client that nobody knows any more."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": service_name(client_id), "labels": {
        "app.kubernetes.io/managed-by": "burrow", "burrow.dev/client-id": client_id}}, "spec": {"clusterIP": "None"}}


def say(status, document, **headers):
    return status, {"Content-Type": "application/json", **headers}, json.dumps(document).encode()


def failure(status, message, **headers):
    return say(status, {"kind": "Status", "status": "Failure", "message": message, "code": status}, **headers)

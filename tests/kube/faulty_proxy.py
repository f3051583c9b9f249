# SPDX-License-Identifier: Apache-2.0
"""A proxy in front of the API server that spoils answers: `faulty_proxy.py SERVER CA CERTIFICATE KEY` listens on a
port of the loopback, which it prints. `POST /spoil?how=NAME&count=N&what=TEXT` spoils the next N answers to requests
whose path has that text, or which create something."""
import http.client
import http.server
import json
import ssl
import sys
import urllib.parse


def failure(status, **headers):
    document = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": f"spoiled: {status}", "code": status}
    return status, headers, json.dumps(document).encode()


# Each takes the true answer's status and body.
SPOILED = {
    "HTML with 200": lambda status, body: (200, {"Content-Type": "text/html"}, b"<html>welcome</html>"),
    "cut JSON": lambda status, body: (200, {}, body[:-2]),
    "8 MiB and 1": lambda status, body: (200, {}, b'"' + b"x" * (8 * 1024 * 1024 - 1) + b'"'),
    "no answer": lambda status, body: None,
    "429": lambda status, body: failure(429, **{"Retry-After": "1"}),
    **{str(n): lambda status, body, n=n: failure(n) for n in (401, 403, 404, 409, 410, 422, 500, 503)},
}
left = {"how": None, "count": 0, "what": ""}


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/spoil?"):
            asked = dict(urllib.parse.parse_qsl(self.path.split("?", 1)[1]))
            left.update(how=asked["how"], count=int(asked["count"]), what=asked["what"])
            self.answer(200, {}, b"")
            return
        spoil = left["count"] > 0 and (left["what"] in self.path or self.command == "POST")
        watch = "watch=true" in self.path
        upstream = http.client.HTTPSConnection(self.server.upstream, context=self.server.context,
                                               timeout=300 if watch else 30)
        # What is refused has not been done: the API itself hears only of what it may answer.
        if spoil and (watch or self.command != "GET"):
            true = (200, b"{}")
        else:
            upstream.request(self.command, self.path, body or None,
                             {"Content-Type": self.headers.get("Content-Type") or "application/json"})
            reply = upstream.getresponse()
            if watch:
                self.pass_on(reply)
                upstream.close()
                return
            true = (reply.status, reply.read())
        upstream.close()
        if not spoil:
            self.answer(true[0], {"Content-Type": "application/json"}, true[1])
            return
        left["count"] -= 1
        spoiled = SPOILED[left["how"]](*true)
        if spoiled:
            self.answer(*spoiled)
        else:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def pass_on(self, reply):
        """A watch, whose changes come by and by, for as long as either side likes."""
        try:
            self.send_response(reply.status)
            self.send_header("Connection", "close")
            self.end_headers()
            while piece := reply.read1(65536):
                self.wfile.write(piece)
        except OSError:
            pass
        self.close_connection = True

    def answer(self, status, headers, body):
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # an answer that is too long is not read to its end

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.upstream = sys.argv[1]
    server.context = ssl.create_default_context(cafile=sys.argv[2])
    server.context.load_cert_chain(sys.argv[3], sys.argv[4])
    print(f"event=listening port={server.server_address[1]}", file=sys.stderr, flush=True)
    server.serve_forever()

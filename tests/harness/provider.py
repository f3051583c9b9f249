# SPDX-License-Identifier: Apache-2.0
"""What stands beside burrow in tests of its auth plugins: a web server that answers as the test
says, and an identity provider with keys that sign tokens (ES256) and come and go."""
import base64
import http.client
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from harness.burrow import AUDIENCE, ISSUER
from harness.wait import PATIENCE, until


UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def knock(server, token):
    """Status and text that a client with this token gets at /ws: 101 lets it in."""
    link = http.client.HTTPConnection(*server.web, timeout=PATIENCE)
    link.request("GET", "/ws", headers={**UPGRADE, "Authorization": f"Bearer {token}"})
    answer = link.getresponse()
    text = "" if answer.status == 101 else answer.read().decode()
    link.close()
    return answer.status, text


class Web:
    """answer(request) is called in a thread of its own for each request; request is a
    BaseHTTPRequestHandler with reply() besides."""

    def __init__(self, answer, certificate=None, port=0):
        web = self
        self.answer, self.requests, self._lock = answer, 0, threading.Lock()
        self.stopping = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self, status=200, body=b"", **fields):
                self.send_response_only(status)
                for name, value in fields.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                with web._lock:
                    web.requests += 1
                try:
                    web.answer(self)
                except OSError:
                    self.close_connection = True

            def log_message(self, *args):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # handshakes that fail and peers that go are what tests are about

        self.server = Quiet(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def wait_requests(self, n, seconds=PATIENCE):
        """Until so many have come since the start."""
        until(lambda: self.requests >= n, lambda: f"{self.requests} requests, not {n}, in {seconds} s", seconds)

    def wait_more(self, n, seconds=PATIENCE):
        """Until n more have come than now."""
        self.wait_requests(self.requests + n, seconds)

    def close(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """An ES256 key with an id."""

    def __init__(self, kid):
        self.kid, self.private = kid, ec.generate_private_key(ec.SECP256R1())

    @property
    def jwk(self):
        at = self.private.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "alg": "ES256",
                "x": b64(at.x.to_bytes(32, "big")), "y": b64(at.y.to_bytes(32, "big"))}

    def token(self, sub="client-a", kid=None, **claims):
        now = int(time.time())
        claims = {"sub": sub, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600, **claims}
        header = {"alg": "ES256", "kid": kid or self.kid}
        text = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
        r, s = utils.decode_dss_signature(self.private.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return text + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def document(*keys):
    return json.dumps({"keys": [key.jwk for key in keys]}).encode()


class Provider(Web):
    """Serves the key set `keys`; `manner`, when it is set, answers instead."""

    def __init__(self, *keys, **options):
        self.keys, self.manner, self.fields = list(keys), None, {}
        super().__init__(self._answer, **options)

    def _answer(self, request):
        if self.manner:
            self.manner(self, request)
        else:
            request.reply(200, document(*self.keys), **self.fields)

    def flags(self, authority=None, **options):
        """For `burrow server`."""
        given = {"jwks-url": self.url + "/jwks", "jwt-alg": "ES256", "jwt-issuer": ISSUER,
                 "jwt-audience": AUDIENCE, **{k.replace("_", "-"): v for k, v in options.items()}}
        if authority:
            given["jwks-ca"] = authority
        return [f"--{name}={value}" for name, value in given.items()]

# SPDX-License-Identifier: Apache-2.0
"""burrow's server and client as the tests run them: ports chosen by the kernel, read from the
log; a throw-away certificate; tokens from `burrow token mint`."""
import os
import re
import subprocess

from harness.process import Process
from harness.sockets import dial, read_all
from harness.wait import PATIENCE

SECRET = "a secret of the tests, long enough for HS256 and more"
ISSUER, AUDIENCE = "tests", "burrow-tests"
TRANSPORTS = ("ws", "wss", "tls")
# Most tests stop burrow while streams are open, and do not want to wait for them.
AT_ONCE = {"BURROW_DRAIN_TIMEOUT": "0s"}


def clean_environment(**extra):
    """The environment without anything that burrow reads."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith("BURROW_") and k.lower() not in ("http_proxy", "https_proxy", "no_proxy")}
    # LeakSanitizer takes some modules' thread-local storage for a block at a wild address and dies of it.
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:intercept_tls_get_addr=0")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    if "TEST_WORKERS" in os.environ:  # of every server that does not say itself how many
        env["BURROW_WORKERS"] = os.environ["TEST_WORKERS"]
    env.update(extra)
    return env


def split_address(text):
    """('::1', 80) from '[::1]:80'."""
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def make_certificate(folder):
    """A self-signed certificate for localhost; returns the paths of certificate and key."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1", "-keyout", key, "-out", cert],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.chmod(key, 0o600)
    return cert, key


class Burrow:
    """One build of burrow and a folder for its files."""

    def __init__(self, build, folder):
        self.build, self.folder = os.path.abspath(build), str(folder)
        self.binary = os.path.join(self.build, "bin", "burrow")
        if not os.access(self.binary, os.X_OK):
            raise FileNotFoundError(f"{self.binary}: build it first (make build)")
        self._certificate = None

    @property
    def sanitized(self):
        """An installed burrow (its prefix is the folder) has no record of its build and is not."""
        path = os.path.join(self.build, "CMakeCache.txt")
        if not os.path.exists(path):
            return False
        with open(path) as cache:
            return re.search(r"^BURROW_(SANITIZE|TSAN):BOOL=(ON|TRUE|1)$", cache.read(), re.M) is not None

    @property
    def certificate(self):
        if not self._certificate:
            self._certificate = make_certificate(self.folder)
        return self._certificate

    def run(self, *argv, env=None, timeout=PATIENCE):
        """Runs a command to its end; text output is captured."""
        return subprocess.run([self.binary, *map(str, argv)], env=clean_environment(**(env or {})),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                              errors="replace")

    def mint(self, client_id, secret=SECRET, **options):
        """A token; options as the command's flags, `expires_in="1h"` for --expires-in=1h."""
        options = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, **options}
        done = self.run("token", "mint", "--sub", client_id,
                        *(f"--{k.replace('_', '-')}={v}" for k, v in options.items()),
                        env={"BURROW_JWT_HMAC_SECRET": secret})
        if done.returncode != 0:
            raise AssertionError(f"token mint: {done.stderr}")
        return done.stdout.strip()


class Server(Process):
    """`burrow server` that listens for ws, wss or wss and tls on ports of the kernel's choice."""

    def __init__(self, burrow, transport, *flags, name="server", env=None, host="127.0.0.1",
                 bridge_host="127.0.0.1", auth=True, main=None):
        """main: HOST:PORT of the listener that clients of this transport use; default any port."""
        self.transport = transport
        settings = dict(AT_ONCE)
        any_port = f"[{host}]:0" if ":" in host else f"{host}:0"
        main = main or any_port
        argv = [burrow.binary, "server", "--bridge-host", bridge_host, "--server-addr",
                any_port if transport == "tls" else main]
        if auth:
            settings["BURROW_JWT_HMAC_SECRET"] = SECRET
            argv += ["--jwt-alg", "HS256", "--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE]
        if transport != "ws":
            cert, key = burrow.certificate
            argv += ["--tls-cert", cert, "--tls-key", key]
        if transport == "tls":
            argv += ["--tls-addr", main]
        super().__init__(name, argv + list(flags), env=clean_environment(**{**settings, **(env or {})}))

    def ready(self, seconds=PATIENCE):
        """Waits for the listeners; returns self."""
        web = self.wait_event("listening", seconds, role="main", transport="transport-ws")
        self.web = split_address(web["addr"])
        self.main = self.web
        if self.transport == "tls":
            raw = self.wait_event("listening", seconds, role="main", transport="transport-tls")
            self.main = split_address(raw["addr"])
        return self

    @property
    def url(self):
        host, port = self.main
        host = f"[{host}]" if ":" in host else host
        return f"{self.transport}://{host}:{port}" + ("" if self.transport == "tls" else "/ws")

    @property
    def web_url(self):
        host, port = self.web
        host = f"[{host}]" if ":" in host else host
        return f"{'http' if self.transport == 'ws' else 'https'}://{host}:{port}"


    def metric(self, name):
        """The value of a metric, labels included in the name."""
        with dial(self.web) as http:
            http.sendall(b"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n")
            for line in read_all(http).decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[-1])
        raise AssertionError(f"no metric {name}")


class Client(Process):
    """`burrow client` towards a server, for one target."""

    def __init__(self, burrow, server, target, *flags, client_id="client-a", name=None, env=None,
                 token=None, url=None, authority=""):
        """authority: a CA file; "" is the tests' own, None is the system's."""
        argv = [burrow.binary, "client", "--server-url", url or server.url, "--client-id", client_id,
                "--local-target", target]
        if not argv[3].startswith("ws:") and authority is not None:
            argv += ["--tls-ca", authority or burrow.certificate[0]]
        self.client_id = client_id
        token = burrow.mint(client_id) if token is None else token
        env = {**AT_ONCE, **({"BURROW_BEARER_TOKEN": token} if token else {}), **(env or {})}
        super().__init__(name or f"client {client_id}", argv + list(flags), env=clean_environment(**env))

    def ready(self, seconds=PATIENCE, after=0):
        """Waits until the service has its bridge; returns self."""
        service = self.wait_event("service_ready", seconds, after=after)
        self.bridge = split_address(service["bridge"])
        return self

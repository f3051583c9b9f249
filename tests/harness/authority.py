# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of the tests, and the clients' certificates that it signs."""
import os
import subprocess
import time

CONFIG = """\
[ca]
default_ca = here
[here]
database = {folder}/index
new_certs_dir = {folder}
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = optional
"""


def openssl(*argv):
    done = subprocess.run(["openssl", *map(str, argv)], capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr


class Authority:
    def __init__(self, folder, name="the tests' authority"):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.ca, self.key = self._path("ca.pem"), self._path("ca.key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.ca)
        open(self._path("index"), "w").close()
        with open(self._path("config"), "w") as file:
            file.write(CONFIG.format(folder=self.folder))
        self.count = 0

    def _path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, subject="/CN=client-a", alt=None, seconds=3600, extensions=()):
        """The paths of certificate and key; alt as in subjectAltName."""
        self.count += 1
        cert, key, request = (self._path(f"{self.count}.{end}") for end in ("pem", "key", "csr"))
        extra = [f"subjectAltName={alt}"] if alt else []
        wanted = [item for text in (*extra, *extensions) for item in ("-addext", text)]
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject,
                *wanted, "-keyout", key, "-out", request)
        begin, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + s)) for s in (-3600, seconds))
        openssl("ca", "-batch", "-config", self._path("config"), "-startdate", begin, "-enddate", end, "-notext",
                "-in", request, "-out", cert)
        os.chmod(key, 0o600)
        return cert, key

    def flags(self, *args, **options):
        """What a client is given to show a new certificate."""
        cert, key = self.issue(*args, **options)
        return ["--tls-cert", cert, "--tls-key", key]

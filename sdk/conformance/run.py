# SPDX-License-Identifier: Apache-2.0
"""Runs burrow-conformance on a plugin with the words of a file of arguments, one per line:

    run.py PROGRAM PLUGIN.so ARGS-FILE      the plugin must pass, and skip just what the file says
    run.py PROGRAM PLUGIN.so --fails CHECK [WORD]...   it must fail this check, and is run alone

In a word, {cert}, {der}, {key}, {public}, {jwks}, {secret}, {clients} and {kubeconfig} stand for files made
for this run, {dir} for their folder; {hs256} and {es256} for tokens that {secret} and {key} have signed. Words that begin with -- go before the plugin. A line "skips CHECK..."
names the checks that do not apply: one more or one less is a failure, so that none goes away unseen.
What CONFORMANCE_UNDER holds goes before the program: valgrind with its flags.
"""
import base64
import hmac
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Nobody answers at that port.
KUBECONFIG = """{"apiVersion": "v1", "kind": "Config", "current-context": "here",
"contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "ns"}}],
"clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:1"}}],
"users": [{"name": "me", "user": {"token": "a-token"}}]}
"""
# Of the token "test".
CLIENTS = """9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 client-a grants={"ports": ["1-9"]}\n"""
SECRET = "a secret of this run, long enough for HS256"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(alg, sign):
    """A JWT for a day, whatever clock it is shown to."""
    claims = {"sub": "client-a", "exp": int(time.time()) + 86400, "burrow": {"services": ["a"], "max_streams": 9}}
    signed = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": alg, "kid": "one"}, claims))
    return f"{signed}.{base64url(sign(signed.encode()))}"


def sign_hs256(text):
    return hmac.digest(SECRET.encode(), text, "sha256")


def sign_es256(key, text):
    """Two numbers of 32 bytes, of which openssl makes a DER sequence of two integers."""
    der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text, check=True, stdout=subprocess.PIPE).stdout
    end_of_r = 4 + der[3]
    return b"".join(number[-32:].rjust(32, b"\0") for number in (der[4:end_of_r], der[end_of_r + 2:]))


def key_set(public):
    """The JWKS of a key, whose point is the end of its DER."""
    der = subprocess.run(["openssl", "pkey", "-pubin", "-in", public, "-outform", "DER"], check=True,
                         stdout=subprocess.PIPE).stdout
    return json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "kid": "one", "x": base64url(der[-64:-32]),
                                 "y": base64url(der[-32:])}]})


def make_files(folder):
    """A certificate with its key, the key's public half, a secret; tokens signed by them."""
    path = {name: os.path.join(folder, file) for name, file in
            (("cert", "cert.pem"), ("key", "key.pem"), ("public", "public.pem"), ("secret", "secret"),
             ("clients", "clients"), ("kubeconfig", "kubeconfig"), ("der", "cert.der"), ("jwks", "jwks.json"))}
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", path["key"],
                    "-out", path["cert"]], **quiet)
    os.chmod(path["key"], 0o600)
    subprocess.run(["openssl", "pkey", "-in", path["key"], "-pubout", "-out", path["public"]], **quiet)
    subprocess.run(["openssl", "x509", "-in", path["cert"], "-outform", "DER", "-out", path["der"]], **quiet)
    for name, text in (("secret", SECRET), ("clients", CLIENTS), ("kubeconfig", KUBECONFIG),
                       ("jwks", key_set(path["public"]))):
        fd = os.open(path[name], os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(text)
    return {**path, "dir": folder, "hs256": token("HS256", sign_hs256),
            "es256": token("ES256", lambda text: sign_es256(path["key"], text))}


def words_of(file, values):
    """The words of a file of arguments, and the checks that it says are skipped."""
    lines = [line.strip() for line in Path(file).read_text().splitlines()]
    skips = {check for line in lines if line.startswith("skips ") for check in line.split()[1:]}
    return [line.format(**values) for line in lines if line and not line.startswith(("#", "skips "))], skips


def unexpected_skips(said, skips):
    """What is wrong with the checks that were skipped, a line each."""
    skipped = {match[1]: match[2] for match in re.finditer(r"^ok \d+ - ([\w-]+): .* # SKIP (.*)$", said, re.M)}
    return [f"SKIPPED {check}, which the arguments do not say: {why}" for check, why in sorted(skipped.items())
            if check not in skips] + [f"NOT SKIPPED: {check}" for check in sorted(skips - skipped.keys())]


def main():
    program, plugin, *rest = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        values = make_files(folder)
        if rest[0] == "--fails":
            words = [f"--only={rest[1]}", *(word.format(**values) for word in rest[2:])]
        else:
            words, skips = words_of(rest[0], values)
        flags = [word for word in words if word.startswith("--")]
        under = shlex.split(os.environ.get("CONFORMANCE_UNDER", ""))
        done = subprocess.run([*under, program, *flags, plugin, *(word for word in words if word not in flags)],
                              check=False, stdout=subprocess.PIPE, text=True)
    print(done.stdout)
    if rest[0] != "--fails":
        wrong = unexpected_skips(done.stdout, skips)
        print("\n".join(wrong))
        return done.returncode or bool(wrong)
    caught = any(line.startswith("not ok") and f" - {rest[1]}:" in line for line in done.stdout.splitlines())
    print("caught" if caught and done.returncode == 1 else "NOT CAUGHT")
    return 0 if caught and done.returncode == 1 else 1


if __name__ == "__main__":
    sys.exit(main())

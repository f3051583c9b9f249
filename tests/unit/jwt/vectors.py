#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes and checks HS* tokens with Python's standard library only.

vectors.py make NOW              one line per token: ALG TOKEN
vectors.py check ALG TOKEN       exit 0 when the signature is good; prints the claims
The secret is the one of helper.c.
"""
import base64
import hashlib
import hmac
import json
import sys

SECRET = b"0123456789abcdef" * 4
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def encode(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def decode(text):
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def make(alg, header, claims, **dumps):
    signed = b".".join(encode(json.dumps(part, **dumps).encode()) for part in (header, claims))
    return signed + b"." + encode(hmac.new(SECRET, signed, HASHES[alg]).digest())


def check(alg, token):
    signed, _, signature = token.rpartition(b".")
    expected = hmac.new(SECRET, signed, HASHES[alg]).digest()
    header, payload = (json.loads(decode(part)) for part in signed.split(b"."))
    if header["alg"] != alg or not hmac.compare_digest(expected, decode(signature)):
        return None
    return payload


def main():
    if sys.argv[1] == "make":
        now = int(sys.argv[2])
        for alg in HASHES:
            for name in ("client-a", "Ünïcode", 'q"uo\\te', "x" * 128):
                claims = {"sub": name, "iat": now, "exp": now + 60, "aud": ["a", "b"]}
                for style in ({}, {"indent": 1}, {"ensure_ascii": False, "separators": (",", ":")}):
                    print(alg, make(alg, {"typ": "JWT", "alg": alg}, claims, **style).decode())
        return 0
    claims = check(sys.argv[2], sys.argv[3].encode())
    print(json.dumps(claims))
    return 0 if claims else 1


sys.exit(main())

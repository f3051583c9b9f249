# SPDX-License-Identifier: Apache-2.0
"""The file of tokens of auth-static."""
import hashlib
import json
import os


class TokenFile:
    """Written whole and put in place by a rename, as an operator should."""

    def __init__(self, folder):
        self.path, self.lines = os.path.join(str(folder), "tokens"), []
        self.write()

    @staticmethod
    def line(token, subject, expires=None, grants=None):
        text = f"{hashlib.sha256(token.encode()).hexdigest()} {subject}"
        text += f" expires={expires}" if expires else ""
        return text + (f" grants={grants if isinstance(grants, str) else json.dumps(grants)}" if grants is not None else "")

    def add(self, token, subject, expires=None, grants=None):
        self.lines.append(self.line(token, subject, expires, grants))
        self.write()
        return token

    def write(self, text=None):
        new = self.path + ".new"
        with open(new, "w") as file:
            file.write(text if text is not None else "".join(line + "\n" for line in self.lines))
        os.chmod(new, 0o600)
        os.rename(new, self.path)

    @property
    def flags(self):
        return ["--auth-static-file", self.path]

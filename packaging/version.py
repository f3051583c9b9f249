# SPDX-License-Identifier: Apache-2.0
"""The version of burrow stands in CMakeLists.txt. The build gives it to program, plugins, pages and
packages; a few texts that no build makes repeat it, and this keeps them equal.

    version.py              prints it
    version.py --check      fails when a text repeats another (a rule runs this)
    version.py --set X.Y.Z  writes it everywhere
"""
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
NUMBER = r"\d+\.\d+\.\d+"
SOURCE = ("CMakeLists.txt", r"(?m)^(project\(burrow VERSION )(%s)" % NUMBER)
# A file and what stands in front of the version in it.
COPIES = [
    ("docs/operations.md", r"(`burrow:)(%s)" % NUMBER),
    ("docs/packages.md", r"(localhost/burrow:)(%s)" % NUMBER),
    ("manifests/deployment.yaml", r"( burrow:)(%s)" % NUMBER),
    ("packaging/container/compose.yaml", r"(localhost/burrow:)(%s)" % NUMBER),
    ("packaging/helm/burrow/Chart.yaml", r"(?m)^((?:version|appVersion): )(%s)" % NUMBER),
]


def told(top, name, pattern):
    return {found[2] for found in re.finditer(pattern, (top / name).read_text(encoding="utf-8"))}


def version(top=TOP):
    (only,) = told(top, *SOURCE)
    return only


def check(top=TOP):
    """What is wrong, one line each."""
    expected = version(top)
    return [f"{name}: tells {', '.join(sorted(told(top, name, pattern))) or 'no version'}; expected {expected}, that of "
            "CMakeLists.txt (packaging/version.py --set writes it)"
            for name, pattern in COPIES if told(top, name, pattern) != {expected}]


def write(new):
    for name, pattern in [SOURCE, *COPIES]:
        path = TOP / name
        path.write_text(re.sub(pattern, rf"\g<1>{new}", path.read_text(encoding="utf-8")), encoding="utf-8")


def main(arguments):
    if not arguments:
        print(version())
    elif arguments == ["--check"]:
        wrong = check()
        for line in wrong:
            print(line)
        return 1 if wrong else 0
    elif len(arguments) == 2 and arguments[0] == "--set" and re.fullmatch(NUMBER, arguments[1]):
        write(arguments[1])
    else:
        print(f"version.py {' '.join(arguments)}: expected nothing, --check or --set X.Y.Z", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

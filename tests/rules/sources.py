# SPDX-License-Identifier: Apache-2.0
"""The rules that can be read off the text of a .c or .h file: who may include whom, which
library stays where, and how a file begins. docs/architecture.md gives their reasons.

    sources.py ROOT        prints every breach as FILE:LINE: TEXT; exit 1 if there is one
"""

import re
import sys
from pathlib import Path

TOP_FOLDERS = ("core", "include", "plugins", "sdk", "tests")

# Each part of the core and the parts below it, whose headers it may include.
LOWER = {
    "base": set(),
    "config": {"base"},
    "wire": {"base"},
    "loop": {"base"},
}
LOWER["plugin"] = {"base", "config", "wire", "loop"}
LOWER["auth"] = LOWER["plugin"] | {"plugin"}
LOWER["tunnel"] = LOWER["plugin"] | {"plugin"}
LOWER["status"] = LOWER["plugin"] | {"plugin", "tunnel"}
LOWER["server"] = LOWER["status"] | {"auth", "status"}
LOWER["client"] = LOWER["server"]
LOWER["cli"] = LOWER["server"] | {"server", "client"}

# Libraries that no file of the core may know, by the beginning of their headers' names.
NOT_IN_CORE = ("openssl/", "curl/", "libwebsockets", "lws", "jose/")

# Library headers that belong to few places: (pattern of the header, pattern of the paths).
ONLY_IN = (
    (r"ev(\+\+)?\.h|libev/.*", r"core/loop/[^/]+\.c|plugins/transport-ws/.*|"
     r"sdk/testkit/.*|tests/unit/support/.*"),
    (r"jansson\.h", r"core/(auth|wire|config|server|cli)/.*|(plugins|tests|sdk)/.*"),
    (r"yaml\.h", r"core/config/.*|(plugins|tests|sdk)/.*"),
    (r"dlfcn\.h", r"core/plugin/.*|(plugins|tests|sdk)/.*"),
)

# The codecs are pure functions over bytes.
IO_HEADERS = {"unistd.h", "fcntl.h", "poll.h", "sys/epoll.h", "sys/socket.h", "sys/uio.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SPDX = re.compile(r"^(/\*|//) SPDX-License-Identifier: Apache-2\.0( \*/)?$")


def source_files(root):
    """Every .c and .h file of the project, as paths relative to root."""
    for folder in TOP_FOLDERS:
        for path in sorted((root / folder).rglob("*.[ch]")):
            yield path.relative_to(root)


def includes(text):
    """(line number, quoted?, name) of each #include."""
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1] == '"', match[2]


def check_core(root, path, quoted, name):
    """A file of core/ includes lower parts, its own part, and <burrow/...>."""
    if name.startswith(NOT_IN_CORE):
        return f"the core must not know {name}"
    if name.startswith("burrow/"):
        return None
    part = path.parts[1] if len(path.parts) > 2 else None  # None: core/main.c
    if part == "wire" and name in IO_HEADERS:
        return f"core/wire does no I/O, so it needs no {name}"
    first = name.split("/")[0]
    if ".." in name.split("/"):
        return f'"{name}" climbs; core headers are included as "part/file.h"'
    if first in LOWER and "/" in name:
        if not quoted:
            return f'core headers are included as "{name}", with quotes'
        if not (root / "core" / name).is_file():
            return f'there is no "core/{name}"'
        if part is not None and first != part and first not in LOWER.get(part, set()):
            return f"core/{part} must not include {name}: {first} is not below {part}"
        return None
    if quoted:
        return f'"{name}" is not of the core; core headers are included as "part/file.h"'
    return None


def check_plugin(root, path, quoted, name):
    """A plugin includes <burrow/...>, plugins/shared, its own files and its library."""
    if name.startswith("burrow/"):
        return None
    if name.split("/")[0] in LOWER and (root / "core" / name).is_file():
        return f"plugins must not know the core's {name}"
    if not quoted:
        return None
    own = root.joinpath(*path.parts[:2])
    shared = root / "plugins" / "shared"
    for folder in ((root / path).parent, own, shared):
        target = (folder / name).resolve()
        if target.is_file():
            if own.resolve() in target.parents or shared.resolve() in target.parents:
                return None
            return f'"{name}" is outside of {path.parts[1]} and plugins/shared'
    return f'"{name}" is neither of this plugin nor of plugins/shared'


def check_sdk_header(root, path, quoted, name):
    """A public header includes other public headers and the C library's."""
    del root, path
    if quoted:
        return f'public headers are included as <burrow/...>, not "{name}"'
    if "/" in name and not name.startswith(("burrow/", "sys/")):
        return f"a public header must not need {name}"
    return None


def check_sdk(root, path, quoted, name):
    """Only the conformance program, which opens plugins as burrow does, knows the core."""
    del quoted
    if path.parts[1] != "conformance" and (root / "core" / name).is_file():
        return f"the SDK must not know the core's {name}"
    return None


def check_places(path, name):
    """Libraries that only few files may know."""
    for header, paths in ONLY_IN:
        if re.fullmatch(header, name) and not re.fullmatch(paths, path.as_posix()):
            return f"{name} is not for this folder"
    return None


def check_includes(root, path, text):
    by_folder = {"core": check_core, "plugins": check_plugin, "include": check_sdk_header,
                 "sdk": check_sdk}
    for number, quoted, name in includes(text):
        folder = by_folder.get(path.parts[0])
        wrong = folder(root, path, quoted, name) if folder else None
        wrong = wrong or check_places(path, name)
        if wrong:
            yield number, wrong


def check_beginning(text):
    """The licence on the first line, then a comment that says the file's job."""
    lines = text.splitlines() or [""]
    if not SPDX.match(lines[0]):
        yield 1, "the first line is not the SPDX-License-Identifier: Apache-2.0 comment"
    rest = "\n".join(lines[1:]).lstrip()
    match = re.match(r"/\*(.*?)\*/|((?://[^\n]*\n?)+)", rest, re.S)
    words = re.findall(r"[A-Za-z]{2,}", match[0]) if match else []
    if len(words) < 3:
        yield 2, "the file does not open with a comment that says its one job"


def check(root):
    """All breaches as (path, line, text)."""
    breaches = []
    for path in source_files(root):
        text = (root / path).read_text(encoding="utf-8", errors="replace")
        for number, wrong in [*check_beginning(text), *check_includes(root, path, text)]:
            breaches.append((path, number, wrong))
    return breaches


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: sources.py ROOT")
    root = Path(sys.argv[1])
    files = sum(1 for _ in source_files(root))
    if files == 0:
        sys.exit(f"no source files under {root}")
    breaches = check(root)
    for path, number, wrong in breaches:
        print(f"{path}:{number}: {wrong}")
    print(f"{files} files, {len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""The binary interface of the public headers as a table of text: every constant, every function
type, and of every struct its size and each field's offset, size and declaration.

    abi.py check  CC INCLUDE TABLE   fails when the headers do not agree with the table
    abi.py update CC INCLUDE TABLE   writes the table, when the change is announced
    abi.py larger INCLUDE FOLDER     headers of a later host: each table that tells its size
                                     has one entry more at its end
    abi.py diff CC OLD NEW           abidiff of all structs of two folders of headers: additions
                                     only (without it: exit 77, skipped; with CI=true it fails)

A change is announced by a greater BURROW_ABI_MINOR and its line in the changelog of plugin.h. From
v1 on, no announcement suffices for what moves, changes or takes away what was there.
"""
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 77
LATER = "    void (*later_entry)(void);\n"


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def fields(body):
    """(name, declaration) of each field; one declaration may bring several."""
    for declaration in (" ".join(part.split()) for part in body.split(";")):
        if not declaration:
            continue
        pointer = re.search(r"\(\*(\w+)\)\(", declaration)
        if pointer:
            yield pointer[1], declaration
            continue
        for name in declaration.split(","):
            yield re.search(r"(\w+)(?:\[\w+\])?$", name.strip())[1], declaration


def read(include):
    """The structs, constants and function types of all headers, and the headers' texts."""
    structs, constants, functions, texts = [], [], [], {}
    for header in sorted(Path(include, "burrow").glob("*.h")):
        texts[header.name] = header.read_text()
        text = without_comments(texts[header.name])
        structs += [(name, list(fields(body)))
                    for name, body in re.findall(r"^struct (\w+) \{\n(.*?)^\};", text, re.M | re.S)]
        constants += re.findall(r"^#define (BURROW_\w+) +\(?-?(?:0x)?[0-9a-fA-F]+u?\)?\s*$", text, re.M)
        functions += [(name, " ".join(declaration.split())) for declaration, name in
                      re.findall(r"^typedef (\w+ (\w+)\(.*?\));", text, re.M | re.S)]
    return structs, constants, functions, texts


def program(structs, constants, functions, headers):
    lines = ["#include <stdio.h>"] + [f"#include <burrow/{name}>" for name in headers] + ["int main(void) {"]
    lines += [f'printf("constant {name} %lld\\n", (long long){name});' for name in sorted(constants)
              if name != "BURROW_ABI_MINOR"]
    lines += [f'printf("function {name} {declaration}\\n");' for name, declaration in sorted(functions)]
    for name, members in sorted(structs):
        lines.append(f'printf("struct {name} %zu\\n", sizeof(struct {name}));')
        lines += [f'printf("  {member} %zu %zu  {declaration}\\n", offsetof(struct {name}, {member}), '
                  f'sizeof ((struct {name} *)0)->{member});' for member, declaration in members]
    return "\n".join([*lines, "return 0; }"])


def table(compiler, include):
    structs, constants, functions, texts = read(include)
    with tempfile.TemporaryDirectory() as folder:
        source, binary = os.path.join(folder, "abi.c"), os.path.join(folder, "abi")
        Path(source).write_text(program(structs, constants, functions, texts))
        subprocess.run([compiler, "-I", include, source, "-o", binary], check=True)
        printed = subprocess.run([binary], check=True, stdout=subprocess.PIPE, text=True).stdout
    symbol = re.search(r'BURROW_PLUGIN_SYMBOL "(\w+)"', texts["plugin.h"])[1]
    minor = int(re.search(r"BURROW_ABI_MINOR (\d+)u", texts["plugin.h"])[1])
    return f"abi {symbol} minor {minor}\n{printed}", texts["plugin.h"]


def parse(text):
    """The head's symbol and minor; the size of each struct, and all other lines by their key."""
    head, *lines = text.splitlines()
    _, symbol, _, minor = head.split()
    entries, sizes, name = {}, {}, ""
    for line in lines:
        if line.startswith("  "):
            field, value = line.split(maxsplit=1)
            entries[f"{name}.{field}"] = value
            continue
        sort, name, value = line.split(maxsplit=2)
        if sort == "struct":
            sizes[name] = int(value)
        else:
            entries[name] = value
    return symbol, int(minor), sizes, entries


def objections(old, new, plugin_h):
    """Why this change of the table may not be made as it stands: a list of lines."""
    symbol, minor, sizes, entries = parse(old)
    new_symbol, new_minor, new_sizes, new_entries = parse(new)
    if old == new or symbol != new_symbol:
        return []
    found = []
    if new_minor <= minor:
        found.append(f"the interface changed, but BURROW_ABI_MINOR is {new_minor} as before")
    version = new_symbol.rsplit("_", 1)[1]
    if f" *   {version}, minor {new_minor}: " not in plugin_h:
        found.append(f"the changelog in plugin.h has no line '{version}, minor {new_minor}: …'")
    if version == "v0":
        return found
    found += [f"{key} was '{value}' and is '{new_entries.get(key, 'gone')}'"
              for key, value in entries.items() if new_entries.get(key) != value]
    found += [f"struct {name} grew, but it does not tell its size" for name, size in sizes.items()
              if new_sizes.get(name, size) != size and f"{name}.size" not in entries]
    return found


def larger(include, folder):
    for header in Path(include, "burrow").glob("*.h"):
        text = re.sub(r"^(struct \w+ \{\n(?:    uint32_t magic;[^\n]*\n)?    uint32_t size;.*?)^\};",
                      lambda m: m[1] + LATER + "};", header.read_text(), flags=re.M | re.S)
        text = re.sub(r"(#define BURROW_ABI_MINOR )(\d+)u", lambda m: f"{m[1]}{int(m[2]) + 1}u", text)
        to = Path(folder, "burrow", header.name)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(text)


def diff(compiler, old, new):
    if not shutil.which("abidiff"):
        print("abidiff (abigail-tools) is not installed")
        return 1 if os.environ.get("CI") == "true" else SKIPPED
    structs, _, _, texts = read(old)
    includes = "".join(f"#include <burrow/{name}>\n" for name in texts)
    functions = "".join(f"void of_{name}(const struct {name} *p) {{ (void)p; }}\n" for name, _ in structs)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "types.c")
        source.write_text(includes + functions)
        for name, include in (("old.so", old), ("new.so", new)):
            subprocess.run([compiler, "-g", "-shared", "-fPIC", "-I", include, source, "-o", Path(folder, name)],
                           check=True)
        done = subprocess.run(["abidiff", "--leaf-changes-only", "--suppressions",
                               Path(__file__).with_name("suppressions"), Path(folder, "old.so"),
                               Path(folder, "new.so")], check=False, stdout=subprocess.PIPE, text=True)
    print(done.stdout)
    # Its exit code says only that something differs: 4, which more entries are as well.
    bad = re.findall(r"^.*(?:data member changes|deletion).*$", done.stdout, re.M)
    return 0 if done.returncode in (0, 4) and not bad else 1


def main():
    if sys.argv[1:2] == ["larger"] and len(sys.argv) == 4:
        larger(*sys.argv[2:])
        return 0
    if sys.argv[1:2] == ["diff"] and len(sys.argv) == 5:
        return diff(*sys.argv[2:])
    if len(sys.argv) != 5 or sys.argv[1] not in ("check", "update"):
        sys.exit(__doc__)
    command, compiler, include, file = sys.argv[1:]
    new, plugin_h = table(compiler, include)
    old = Path(file).read_text()
    if old == new:
        return 0
    sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), file, include))
    found = objections(old, new, plugin_h)
    for line in found:
        print(f"abi: {line}")
    if command == "update" and not found:
        Path(file).write_text(new)
        return 0
    print("abi: the headers differ from the table; announce the change, then `make abi-update`")
    return 1


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone: those of the core and of plugins/shared as C11, the public
ones of include/burrow as C11 without extensions and as C++17; with gcc and clang, as far
as they are installed, and all warnings as errors. Each is included twice, so that a
missing guard shows.

    headers.py ROOT        prints what the compilers say; exit 1 if they say anything
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
C_COMPILERS = ("gcc", "clang")
CXX_COMPILERS = ("g++", "clang++")


def jobs(root):
    """(compiler, arguments, header, name in #include) of each trial."""
    public = ["-I", str(root / "include")]
    inner = [*public, "-D_GNU_SOURCE", "-I", str(root / "core")]
    shared = [*public, "-D_GNU_SOURCE", "-I", str(root / "plugins" / "shared")]
    groups = (
        (root / "include", public, "burrow/*.h", True),
        (root / "core", inner, "**/*.h", False),
        (root / "plugins" / "shared", shared, "**/*.h", False),
    )
    c = [cc for cc in C_COMPILERS if shutil.which(cc)]
    cxx = [cc for cc in CXX_COMPILERS if shutil.which(cc)]
    for folder, arguments, pattern, as_cxx in groups:
        for header in sorted(folder.glob(pattern)):
            name = header.relative_to(folder).as_posix()
            for compiler in c:
                yield compiler, ["-x", "c", "-std=c11", *arguments], header, name
            for compiler in cxx if as_cxx else []:
                yield compiler, ["-x", "c++", "-std=c++17", *arguments], header, name


def compile_alone(job):
    """None, or what the compiler said."""
    compiler, arguments, header, name = job
    # The header is not the main file, or clang would ask for uses of its inline functions;
    # the last line keeps a header of macros from being an empty translation unit.
    text = f'#include "{name}"\n#include "{name}"\nextern int rules_not_empty;\n'
    result = subprocess.run(
        [compiler, *WARNINGS, *arguments, "-fsyntax-only", "-"],
        input=text, capture_output=True, text=True, check=False,
    )
    if result.returncode == 0:
        return None
    return f"{header} alone, {compiler} {arguments[2]}:\n{result.stderr}"


def check(root):
    """(number of trials, list of texts)."""
    todo = list(jobs(root))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return len(todo), [said for said in pool.map(compile_alone, todo) if said]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: headers.py ROOT")
    trials, said = check(Path(sys.argv[1]).resolve())
    print("\n".join(said))
    print(f"{trials} compilations, {len(said)} failed")
    return 1 if said or trials == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

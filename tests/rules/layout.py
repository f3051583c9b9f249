# SPDX-License-Identifier: Apache-2.0
"""clang-format would change no file. Without clang-format the check is skipped (exit 77),
but with CI=true that is a failure.

    layout.py ROOT
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from sources import source_files

SKIPPED = 77


def check(root):
    """What clang-format says; "" when it is content."""
    files = [str(path) for path in source_files(root)]
    result = subprocess.run(
        ["clang-format", "--dry-run", "-Werror", *files],
        cwd=root, capture_output=True, text=True, check=False,
    )
    return "" if result.returncode == 0 else result.stderr or "clang-format failed\n"


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: layout.py ROOT")
    if not shutil.which("clang-format"):
        print("clang-format is not installed")
        return 1 if os.environ.get("CI") == "true" else SKIPPED
    said = check(Path(sys.argv[1]))
    lines = said.splitlines()
    print("\n".join(lines[:60]))
    if len(lines) > 60:
        print(f"… and {len(lines) - 60} lines more; `make format` lays the files out")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())

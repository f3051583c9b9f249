# SPDX-License-Identifier: Apache-2.0
"""docs/security.md says of each bad token, key and key set which test tries it: those tests exist
and are run. Rows are table lines whose last cell has names in backticks.

    rows.py ROOT
"""

import re
import sys
from pathlib import Path

PAGE = "docs/security.md"
HEADING = "## Bad tokens and keys"
LEAST_ROWS = 40


def known_tests(root):
    """The C tests that are registered (so named twice at least) and the Python tests."""
    names = set()
    for path in (root / "tests" / "unit").rglob("test_*.c"):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"^static void (\w+)\(void \*\*state\)", text, re.M):
            if re.search(rf"\w+\({name}\)", text):
                names.add(name)
    for path in (root / "tests" / "e2e").glob("test_*.py"):
        names |= set(re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.M))
    return names


def check(root):
    """What is wrong, one line each."""
    text = (root / PAGE).read_text(encoding="utf-8")
    section = text.partition(HEADING + "\n")[2].split("\n## ")[0]
    known, rows, wrong = known_tests(root), 0, []
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or set(line) <= set("|- ") or cells[-1] == "tests":
            continue
        rows += 1
        tests = re.findall(r"`(\w+)`", cells[-1])
        if not tests:
            wrong.append(f"{PAGE}: the row of \"{cells[0]}\" names no test")
        wrong += [f"{PAGE}: \"{cells[0]}\": there is no test {name}" for name in tests if name not in known]
    if rows < LEAST_ROWS:
        wrong.append(f"{PAGE}: \"{HEADING}\" has {rows} rows, expected {LEAST_ROWS} at least")
    return wrong


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: rows.py ROOT")
    wrong = check(Path(sys.argv[1]))
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

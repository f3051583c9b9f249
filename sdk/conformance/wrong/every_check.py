# SPDX-License-Identifier: Apache-2.0
"""Compares the kit's checks with the wrong plugins that they must catch:

    every_check.py PROGRAM plugin.h [KIND=PLUGIN.so]... [KIND/CHECK]...

A check of every life needs one wrong plugin of any kind, a check of one kind needs one of that;
a wrong plugin whose check is not there any more is told, too.
"""
import re
import subprocess
import sys
from pathlib import Path


def checks_of(program, plugin):
    done = subprocess.run([program, "--list", plugin], check=True, stdout=subprocess.PIPE, text=True)
    return {line.split()[0] for line in done.stdout.splitlines()}


def main():
    program, header, *words = sys.argv[1:]
    plugins = dict(word.split("=", 1) for word in words if "=" in word)
    caught = {tuple(word.split("/")) for word in words if "=" not in word}
    kinds = {name.lower() for name in re.findall(r"#define BURROW_KIND_(\w+)", Path(header).read_text())}
    wrong = [f"no wrong plugin of the kind {kind}" for kind in sorted(kinds - set(plugins))]
    checks = {kind: checks_of(program, plugin) for kind, plugin in plugins.items()}
    of_all = set.intersection(*checks.values())
    for check in sorted(of_all - {check for _, check in caught}):
        wrong.append(f"no wrong plugin is caught by {check}")
    for kind, names in sorted(checks.items()):
        wrong += [f"no wrong {kind} plugin is caught by {check}" for check in sorted(names - of_all)
                  if (kind, check) not in caught]
    wrong += [f"{kind}: there is no check {check}" for kind, check in sorted(caught) if check not in checks[kind]]
    print("\n".join(wrong) or f"{len(set.union(*checks.values()))} checks, each with a wrong plugin")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

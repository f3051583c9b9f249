#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the Autobahn test suite against an echo server on the framing of transport-ws, and fails
# on any case that is not OK, NON-STRICT or INFORMATIONAL.
#   tests/interop/autobahn.sh ECHO [WSTEST]
# ECHO: the built ws_echo. WSTEST: the suite's program (autobahntestsuite of PyPI, which needs
# Python 2.7); default: wstest. Left out: 9 (messages over our limit), 12 and 13 (compression).
set -euo pipefail
[ $# -ge 1 ] && [ -x "$1" ] || {
    echo "usage: autobahn.sh ECHO [WSTEST]" >&2
    exit 2
}
wstest=${2:-wstest}
folder=$(mktemp -d)
"$1" >"$folder/port" &
echo_pid=$!
trap 'kill "$echo_pid"; rm -rf "$folder"' EXIT
until [ -s "$folder/port" ]; do kill -0 "$echo_pid"; done

cat >"$folder/spec.json" <<JSON
{"outdir": "$folder/reports", "servers": [{"agent": "burrow",
 "url": "ws://127.0.0.1:$(cat "$folder/port")"}],
 "cases": ["*"], "exclude-cases": ["9.*", "12.*", "13.*"], "exclude-agent-cases": {}}
JSON
(cd "$folder" && "$wstest" -m fuzzingclient -s spec.json >wstest.log 2>&1) || {
    tail -n 20 "$folder/wstest.log" >&2
    exit 1
}
python3 - "$folder/reports/index.json" <<'PY'
import collections
import json
import sys

cases = json.load(open(sys.argv[1]))["burrow"]
count = collections.Counter(case["behavior"] for case in cases.values())
bad = [name for name, case in cases.items()
       if {case["behavior"], case["behaviorClose"]} - {"OK", "NON-STRICT", "INFORMATIONAL"}]
print(", ".join(f"{n} {behavior}" for behavior, n in sorted(count.items())))
for name in bad:
    print(f"case {name}: {cases[name]['behavior']}, close {cases[name]['behaviorClose']}")
print(f"{len(cases) - len(bad)} passed, {len(bad)} failed")
sys.exit(1 if bad or not cases else 0)
PY

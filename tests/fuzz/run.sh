#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzzers with clang and runs each for so many seconds, two at a time, from the
# seeds in tests/fuzz/corpus/NAME. Fails on any finding, whose input it keeps and names.
#   tests/fuzz/run.sh SECONDS [NAME[=SECONDS]…]   NAME: frame, control …; all that are not
#                                                 named run too when each named one has SECONDS
#   BUILD=FOLDER                           where to build (default build/fuzz)
# What was found new stays in FOLDER/fuzz/NAME/corpus and is used again by the next run; what is worth
# keeping for good, `fuzz_NAME -merge=1 tests/fuzz/corpus/NAME FOLDER/fuzz/NAME/corpus` takes over.
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() {
    echo "usage: tests/fuzz/run.sh SECONDS [NAME...]" >&2
    exit 2
}

[ $# -ge 1 ] || usage
[[ $1 =~ ^[1-9][0-9]{0,5}$ ]] || usage
seconds=$1
shift
build=${BUILD:-build/fuzz}

all=()
for recipe in tests/fuzz/fuzz_*.cmake; do
    name=${recipe##*/fuzz_}
    all+=("${name%.cmake}")
done
declare -A time_of=()
names=()
for item in "$@"; do
    name=${item%%=*}
    if [ "$item" != "$name" ]; then
        [[ ${item#*=} =~ ^[1-9][0-9]{0,5}$ ]] || usage
        time_of[$name]=${item#*=}
    fi
    names+=("$name")
done
# Those with a time of their own come first: two at a time, the others fill the second place.
if [ ${#time_of[@]} -eq ${#names[@]} ]; then
    for name in "${all[@]}"; do
        [ -n "${time_of[$name]:-}" ] || names+=("$name")
    done
fi
for name in "${names[@]}"; do
    [ -f "tests/fuzz/fuzz_$name.cmake" ] || {
        echo "no fuzzer '$name'; there are: ${all[*]}" >&2
        exit 2
    }
done

cmake -S . -B "$build" -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
    -DBURROW_FUZZ=ON >/dev/null
cmake --build "$build" -j "$(nproc)" --target "${names[@]/#/fuzz_}"

# Runs one fuzzer; its last words go to its log.
run_one() {
    local name=$1 work="$build/fuzz/$1" seeds="tests/fuzz/corpus/$1" program code=0
    local seconds=${time_of[$1]:-$seconds}
    program=$(find "$build" -type f -name "fuzz_$name" -perm -u+x -print -quit)
    mkdir -p "$work/corpus" "$work/findings"
    local corpora=("$work/corpus")
    [ ! -d "$seeds" ] || corpora+=("$seeds")
    # A small quarantine: inputs that come in thousands of pieces would fill the memory.
    ASAN_OPTIONS="quarantine_size_mb=32:${ASAN_OPTIONS:-}" \
        "$program" -max_total_time="$seconds" -max_len=65536 -timeout=30 -rss_limit_mb=1024 \
        -print_final_stats=1 -artifact_prefix="$work/findings/" "${corpora[@]}" \
        >"$work/log" 2>&1 || code=$?
    local executions
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
    if [ "$code" -ne 0 ] || [ -z "$executions" ]; then
        echo "FAIL  $name (exit $code), inputs in $work/findings, log in $work/log:"
        grep -v '^#' "$work/log" | tail -n 40
        return 1
    fi
    echo "ok    $name: $executions executions in $seconds s"
}

failed=0
running=0
for name in "${names[@]}"; do
    if [ "$running" -eq 2 ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
    run_one "$name" &
    running=$((running + 1))
done
for ((; running > 0; running--)); do
    wait -n || failed=1
done
exit "$failed"

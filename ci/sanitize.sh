#!/usr/bin/env bash
# The verbs' cases under compute-sanitizer, on a machine with a GPU: stray and misaligned accesses,
# races in shared memory, reads of what nobody wrote, barriers that not all threads reach. Takes a
# built suite as its argument where there is no cargo. Real shapes are left out: ten to a hundred
# times slower, and with no code path of their own.
source "$(dirname "$0")/lib.sh"

suite=${1:-}
if [[ -z $suite ]]; then
    need_cargo
    suite=$(cargo test --locked --test suite --no-run --message-format json |
        grep -o '"executable":"[^"]*suite-[^"]*"' | tail -n 1 | cut -d '"' -f 4)
fi
export REQUIRE=cuda ORCD_ROOT=$PWD
# Sources from the folder are compiled with their line numbers, which reports then name.
export ORCD_KERNELS=$PWD/engine/kernels

# Verbs alone, exact and fast, the fused steps, and the choice of ids.
suites=(cuda::op:: cuda::fast::op:: cuda::fused:: cuda::choose::)
logs=$(mktemp -d)
trap 'rm -r "$logs"' EXIT

# check TOOL [OPTION…] — everything under one of the sanitizer's tools. racecheck is spared the step
# of gpt-oss: it does not see that a bulk copy's bytes are counted by the barrier that readers wait
# for, nor that packets carry their epochs, and reports every reader.
check() {
    local tool=$1 suite_filter
    shift
    [[ $tool != racecheck ]] || local suites=("${suites[@]/%cuda::fused::/cuda::fused::dense::}")
    for suite_filter in "${suites[@]}"; do
        echo "== $tool: $suite_filter"
        compute-sanitizer --tool "$tool" --error-exitcode 1 "$@" "$suite" "$suite_filter" \
            --skip ::real --test-threads 1
    done >"$logs/$tool" 2>&1
}

# All at once: each spends most of its time on the host.
declare -A running
check memcheck --leak-check full & running[memcheck]=$!
check racecheck & running[racecheck]=$!
check synccheck & running[synccheck]=$!
# Poisoned memory is written memory: here it must be left as it was allocated.
ORCD_UNPOISONED=1 check initcheck & running[initcheck]=$!

failed=0
for tool in "${!running[@]}"; do
    if wait "${running[$tool]}"; then
        echo "$tool: clean ($(grep -c '\.\.\. ok$' "$logs/$tool") cases)"
    else
        failed=1
        cat "$logs/$tool"
    fi
done
exit "$failed"

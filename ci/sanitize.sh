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

check() {
    local tool=$1
    shift
    step "$tool" compute-sanitizer --tool "$tool" --error-exitcode 1 "$@" "$suite" cuda::op:: \
        --skip ::real --test-threads 1
}
check memcheck --leak-check full
check racecheck
check synccheck
# Poisoned memory is written memory: here it must be left as it was allocated.
ORCD_UNPOISONED=1 check initcheck

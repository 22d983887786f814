#!/usr/bin/env bash
# ci/bench-gpu.sh BASE HEAD [FILTER] [ROUNDS] — the check before a kernel is merged: benchmarks of
# two builds by turns on this machine's GPU, and the time of HEAD over that of BASE. Red if one
# whose name holds FILTER (default: bench::cuda) became more than 3 % slower. BASE and HEAD are
# revisions, or suites that are built already, for machines without cargo.
source "$(dirname "$0")/lib.sh"

usage='usage: ci/bench-gpu.sh BASE HEAD [FILTER] [ROUNDS]'
base=${1:?$usage} head=${2:?$usage} filter=${3:-bench::cuda} rounds=${4:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"; git worktree prune 2>/dev/null || true' EXIT

# suite_of REVISION|FILE — the path of its suite, optimised.
suite_of() {
    if [[ -x $1 && -f $1 ]]; then
        realpath "$1"
        return
    fi
    git worktree add --quiet --detach "$work/$1" "$1" >&2
    (
        cd "$work/$1"
        cargo bench --locked --no-run --message-format json 2>"$work/build.log" |
            grep -o '"executable":"[^"]*suite-[^"]*"' | tail -n 1 | cut -d '"' -f 4
    ) || {
        cat "$work/build.log" >&2
        return 1
    }
}

base_suite=$(suite_of "$base") head_suite=$(suite_of "$head")
export ORCD_ROOT=$PWD
for round in $(seq "$rounds"); do
    for side in base head; do
        suite=${side}_suite
        CRITERION_HOME=$work/$side-$round step "round $round of $rounds: $side" \
            "${!suite}" --bench "$filter" >"$work/log" 2>&1 || {
            cat "$work/log"
            exit 1
        }
    done
done
python3 ci/bench_pairs.py "$work" "$rounds"

#!/usr/bin/env bash
# The long version: every mutation, another seed each day, the oracles asked again, the fuzzer.
# FUZZ_SECONDS bounds the fuzzer (default 600); without a nightly toolchain it is red, not skipped.
source "$(dirname "$0")/lib.sh"

need_cargo
seed=${PROPTEST_RNG_SEED:-$(date -u +%Y%m%d)}
echo "seed $seed; to run the same inputs again: PROPTEST_RNG_SEED=$seed ci/nightly.sh"
ORCD_DEEP=1 PROPTEST_CASES=${PROPTEST_CASES:-20000} PROPTEST_RNG_SEED=$seed \
    step "deep suite" cargo test --locked

step "oracles asked again" ci/golden.sh verify

# The step above has built the tool.
about_random() {
    ORCD_GOLDEN_TOOL="$PWD/golden/target/debug/golden" REQUIRE=golden-tool \
        cargo test --locked random::
}
step "llama.cpp asked about random models" about_random

fuzz() {
    local target
    cd conformance
    for target in $(cargo +nightly fuzz list); do
        # What it finds goes into its own folder; the corpus under version control stays as it is.
        mkdir -p "fuzz/target/found/$target"
        cargo +nightly fuzz run "$target" "fuzz/target/found/$target" "fuzz/corpus/$target" -- \
            -max_total_time="${FUZZ_SECONDS:-600}"
    done
}
step "fuzzer" fuzz

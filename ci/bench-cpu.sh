#!/usr/bin/env bash
# ci/bench-cpu.sh MODEL.gguf [THREADS] [ROUNDS] — worker-orcd in both precisions and llama.cpp in
# its best build for this processor, by turns on the same file with the same threads, and how they
# compare. By turns, because a machine is not equally fast all the time.
# PROMPT, GENERATE and REPETITIONS in the environment shorten the tests (512, 128 and 5).
# Compiles llama.cpp once more the first time: recordings need another instruction set.
source "$(dirname "$0")/lib.sh"

model=$(realpath "${1:?usage: ci/bench-cpu.sh MODEL.gguf [THREADS] [ROUNDS]}")
threads=${2:-2} rounds=${3:-3}
tests=(-p "${PROMPT:-512}" -n "${GENERATE:-128}" -r "${REPETITIONS:-5}")
need_cargo

# Whatever instructions the processor has, weights in whatever order computes fastest.
RUSTFLAGS="-C target-cpu=native" GGML_CPU_REPACK=ON GGML_LLAMAFILE=ON \
    step "llama.cpp in its best build" ci/golden.sh --build target/native
step "worker-orcd" cargo build --locked --release -p engine

results=$(mktemp -d)
trap 'rm -r "$results"' EXIT
for round in $(seq "$rounds"); do
    echo "round $round of $rounds"
    golden/target/native/debug/golden bench --model "$model" -t "$threads" "${tests[@]}" \
        >"$results/theirs-$round.json"
    for precision in exact fast; do
        "${CARGO_TARGET_DIR:-target}/release/worker-orcd" bench "$model" --threads "$threads" \
            --precision "$precision" "${tests[@]}" --json >"$results/$precision-$round.json"
    done
done
python3 ci/bench_ratios.py "$results" "$rounds"

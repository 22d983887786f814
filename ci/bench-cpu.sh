#!/usr/bin/env bash
# ci/bench-cpu.sh MODEL.gguf [THREADS] [ROUNDS] [FLAGS…] — worker-orcd and llama.cpp in its best
# build for this processor, by turns on the same file with the same threads, and how they compare.
# By turns, because a machine is not equally fast all the time. FLAGS go to `worker-orcd bench`.
# Compiles llama.cpp once more the first time: recordings need another instruction set.
source "$(dirname "$0")/lib.sh"

model=$(realpath "${1:?usage: ci/bench-cpu.sh MODEL.gguf [THREADS] [ROUNDS] [FLAGS…]}")
threads=${2:-2} rounds=${3:-3}
shift $(($# < 3 ? $# : 3))
need_cargo

# Whatever instructions the processor has, weights in whatever order computes fastest.
RUSTFLAGS="-C target-cpu=native" GGML_CPU_REPACK=ON GGML_LLAMAFILE=ON \
    step "llama.cpp in its best build" ci/golden.sh --build target/native
step "worker-orcd" cargo build --locked --release -p engine

results=$(mktemp -d)
trap 'rm -r "$results"' EXIT
for round in $(seq "$rounds"); do
    echo "round $round of $rounds"
    golden/target/native/debug/golden bench --model "$model" -t "$threads" \
        >"$results/theirs-$round.json"
    "${CARGO_TARGET_DIR:-target}/release/worker-orcd" bench "$model" --threads "$threads" \
        -p 512 -n 128 -r 5 --json "$@" >"$results/ours-$round.json"
done
python3 ci/bench_ratios.py "$results" "$rounds"

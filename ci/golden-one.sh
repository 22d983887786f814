#!/usr/bin/env bash
# Asks llama.cpp again about one model, the random ones and the block formats, where that takes
# seconds: the tool is built already, or what builds it is here. Otherwise says so; ci/nightly.sh
# asks everything.
source "$(dirname "$0")/lib.sh"

built() { [[ -x golden/target/debug/golden ]]; }
buildable() { command -v cmake && python3 -c 'import clang'; } >/dev/null 2>&1
if built || buildable; then
    ci/golden.sh verify quant random traces/gpt2
else
    echo "not asked: golden/target holds no tool, and cmake with libclang is not installed;"
    echo "ci/nightly.sh builds the tool and asks about every model"
fi

#!/usr/bin/env bash
# The suite on a machine with a GPU: a missing driver or device is red here, not ignored.
source "$(dirname "$0")/lib.sh"

need_cargo
export REQUIRE=cuda
step "suite with CUDA" cargo test --locked

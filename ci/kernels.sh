#!/usr/bin/env bash
# Compiles every kernel for every released target, without a GPU: the compiler comes from the Python
# package registry. Red if one does not compile, spills registers, or differs from run to run.
source "$(dirname "$0")/lib.sh"

need_cargo
if [[ -z "${ORCD_NVRTC:-}" ]]; then
    need_nvrtc
fi
pack=target/kernels.pack
worker() { cargo run --locked --quiet --bin worker-orcd -- "$@"; }
step "kernel pack" worker kernels build --compiler "$ORCD_NVRTC" --out "$pack"
step "registers and local memory" worker kernels list "$pack"
step "pack against sources" worker kernels check "$pack"
REQUIRE=nvrtc step "kernel cases" cargo test --locked --test suite -- kernels::

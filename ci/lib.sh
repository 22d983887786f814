# What the scripts here share. Sourced, never run. Knows steps and tools, not what is checked.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A snapshot that nobody reviewed must be red in CI, never rewritten.
export INSTA_UPDATE=no

# Models of a llama.cpp checkout, where they lie beside this one.
models="$PWD/../shared/data/vocab"
if [[ -z "${ORCD_LLAMA_CPP_MODELS:-}" && -d "$models" ]]; then
    export ORCD_LLAMA_CPP_MODELS="$models"
fi

# step TITLE COMMAND… — says what runs and how long it took.
step() {
    local title=$1 start=$SECONDS status=0
    shift
    printf '\n== %s\n   %s\n' "$title" "$*"
    "$@" || status=$?
    printf '== %s: %s after %d s\n' "$title" "$([[ $status = 0 ]] && echo ok || echo RED)" \
        $((SECONDS - start))
    return "$status"
}

# need_cargo — a Rust toolchain with rustfmt and clippy, or a reason why there is none.
need_cargo() {
    if ! command -v cargo >/dev/null && [[ -x "$HOME/.cargo/bin/cargo" ]]; then
        export PATH="$HOME/.cargo/bin:$PATH"
    fi
    if ! command -v cargo >/dev/null; then
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
            sh -s -- -y --profile minimal --component rustfmt --component clippy
        export PATH="$HOME/.cargo/bin:$PATH"
    fi
    if ! { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1; then
        rustup component add rustfmt clippy
    fi
    cargo --version
}

# need_nextest — only the sharded jobs use it; `cargo test` needs nothing.
need_nextest() {
    cargo nextest --version 2>/dev/null && return
    curl -LsSf https://get.nexte.st/0.9.143/linux | tar -xz -C "${CARGO_HOME:-$HOME/.cargo}/bin"
    cargo nextest --version
}

# need_nvrtc — the kernel compiler, pinned to the version that releases are built with: its code
# runs with every driver from CUDA 12 on.
need_nvrtc() {
    local home=target/python
    if [[ ! -d $home ]]; then
        python3 -m venv "$home"
        "$home/bin/pip" install --quiet --no-deps nvidia-cuda-nvrtc-cu12==12.9.86
    fi
    ORCD_NVRTC=$(echo "$PWD/$home"/lib/python3*/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12)
    export ORCD_NVRTC
}

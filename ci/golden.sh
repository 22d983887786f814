#!/usr/bin/env bash
# Asks the oracles again and fails unless they answer as recorded. Compiles llama.cpp the first
# time (six minutes on one core). The Python tools it needs go into golden/target/python.
#
# ci/golden.sh [verify|diff|regen|… [AREA…]]   runs the tool; everything is verified by default
# ci/golden.sh --build FOLDER                  only builds it, into golden/FOLDER
from=$PWD # paths on the command line are the caller's
source "$(dirname "$0")/lib.sh"

need_cargo
# The flags of golden/.cargo/config.toml count only in that folder.
cd golden
python=$PWD/target/python
[[ -x $python/bin/python ]] || python3 -m venv "$python"
"$python/bin/pip" install --quiet 'cmake==3.31.10' 'libclang==18.1.1' -r oracles/requirements.txt
# Gigabytes, so only where an area asks for it: hf/NAME, or all areas.
if [[ $# -le 1 || " $*" == *" hf"* ]] && [[ ${1:-verify} =~ ^(verify|diff|regen)$ ]]; then
    "$python/bin/pip" install --quiet -r oracles/requirements-hf.txt
fi
export PATH="$python/bin:$PATH" GOLDEN_PYTHON="$python/bin/python"
LIBCLANG_PATH=$(python -c 'import clang, os; print(os.path.dirname(clang.__file__))')/native
# libclang alone brings no C headers; the compiler that builds llama.cpp lends its own.
BINDGEN_EXTRA_CLANG_ARGS="-isystem $(gcc -print-file-name=include)"
export LIBCLANG_PATH BINDGEN_EXTRA_CLANG_ARGS
if [[ ${1:-} = --build ]]; then
    step "golden, built in $2" cargo build --locked --target-dir "$2"
    exit
fi
step "golden" cargo build --locked
golden=${CARGO_TARGET_DIR:-$PWD/target}/debug/golden
cd "$from"
step "oracles asked again" "$golden" "${@:-verify}"

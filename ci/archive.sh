#!/usr/bin/env bash
# ci/archive.sh FOLDER — builds once what the shards run: the suite as a nextest archive, and the
# judge that merges their results.
source "$(dirname "$0")/lib.sh"

folder=${1:?usage: ci/archive.sh FOLDER}
mkdir -p "$folder"
need_cargo
need_nextest
step "archive" cargo nextest archive --locked --archive-file "$folder/suite.tar.zst"
step "judge" cargo build --locked --bin judge
cp "${CARGO_TARGET_DIR:-target}/debug/judge" "$folder/"

#!/usr/bin/env bash
# ci/shard.sh I N FOLDER — runs shard I of N from the archive that ci/archive.sh left in FOLDER, and
# leaves results-I.jsonl there.
source "$(dirname "$0")/lib.sh"

usage="usage: ci/shard.sh I N FOLDER"
index=${1:?$usage} count=${2:?$usage} folder=$(realpath "${3:?$usage}")
need_cargo
need_nextest
ORCD_ROOT=$PWD ORCD_RESULTS=$folder/results-$index.jsonl step "shard $index of $count" \
    cargo nextest run --profile ci --archive-file "$folder/suite.tar.zst" \
    --workspace-remap "$PWD" --partition "slice:$index/$count"

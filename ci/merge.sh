#!/usr/bin/env bash
# ci/merge.sh FOLDER — one verdict over all results-*.jsonl in FOLDER. A case that no shard has run
# or ignored with a reason is red.
source "$(dirname "$0")/lib.sh"

folder=$(realpath "${1:?usage: ci/merge.sh FOLDER}")
chmod +x "$folder/judge"
step "verdict" "$folder/judge" merge "$folder"/results-*.jsonl

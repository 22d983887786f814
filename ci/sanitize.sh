#!/usr/bin/env bash
# ci/sanitize.sh [SUITE [FILTER [TOOL…]]] — the verbs' cases under compute-sanitizer, on a machine
# with a GPU or more: stray and misaligned accesses, races in shared memory, barriers that not all
# threads reach, reads of what nobody wrote. SUITE is a built suite, where there is no cargo (-
# builds it); FILTER a part of names; TOOL one or more of those below. Real shapes are left out: ten
# to a hundred times slower, and with no code path of their own.
source "$(dirname "$0")/lib.sh"

for command in nvidia-smi compute-sanitizer; do
    command -v "$command" >/dev/null && continue
    echo "no $command here: this needs a GPU's driver and the CUDA toolkit" >&2
    exit 1
done
suite=${1:--}
if [[ $suite == - ]]; then
    need_cargo
    suite=$(cargo test --locked --test suite --no-run --message-format json |
        grep -o '"executable":"[^"]*suite-[^"]*"' | tail -n 1 | cut -d '"' -f 4)
fi
only=${2:-cuda::} tools=("${@:3}")
[[ ${#tools[@]} -gt 0 ]] || tools=(memcheck racecheck synccheck initcheck)
export REQUIRE=cuda ORCD_ROOT=$PWD
# Sources from the folder are compiled with their line numbers, which reports then name.
export ORCD_KERNELS=$PWD/engine/kernels
logs=$(mktemp -d)
devices=$(nvidia-smi --list-gpus | wc -l)
export suite logs devices
trap 'rm -r "$logs"' EXIT

# groups — what one process runs, what takes longest first: each of the fused steps and choices of
# ids; then verbs alone, exact and fast, those of many cases format by format.
groups() {
    local filter
    for filter in cuda::fused:: cuda::choose:: cuda::op:: cuda::fast::op::; do
        "$suite" "$filter" --skip ::real --list | sed -n 's/: test$//p'
    done | { grep -F -- "$only" || true; } | awk -F:: '
        function first(n, i, all) {
            for (all = $1; i <= n; i++) all = all "::" $i
            return NF > n ? all "::" : all
        }
        { names[NR] = $0; verbs[NR] = first($2 == "fast" ? 4 : 3, 2); cases[verbs[NR]]++ }
        END {
            for (n = 1; n <= NR; n++) {
                $0 = names[n]; group = verbs[n]
                if ($2 == "fused" || $2 == "choose") group = $0
                else if (cases[group] > 40) group = first($2 == "fast" ? 5 : 4, 2)
                if (!seen[group]++) print group
            }
        }'
}

# check TOOL GROUP — racecheck is spared the step of gpt-oss: it does not see that a bulk copy's
# bytes are counted by the barrier that readers wait for, nor that packets carry their epochs, and
# reports every reader.
check() {
    local tool=$1 group=$2 log=$logs/$1-${2//:/_} options=() start=$SECONDS
    case $tool in
    memcheck) options=(--leak-check full) ;;
    racecheck) [[ $group != cuda::fused::* || $group == cuda::fused::dense::* ]] || return 0 ;;
    # Poisoned memory is written memory: here it must be left as it was allocated.
    initcheck) export ORCD_UNPOISONED=1 ;;
    esac
    export CUDA_VISIBLE_DEVICES=$((slot % devices)) ORCD_RESULTS=$log.jsonl
    if compute-sanitizer --tool "$tool" --error-exitcode 1 "${options[@]}" \
        "$suite" "$group" --skip ::real --test-threads 1 >"$log" 2>&1; then
        echo "$tool $group $(grep -c '\.\.\. ok$' "$log") clean, $((SECONDS - start)) s"
    else
        echo "$tool $group FAILED, $((SECONDS - start)) s"
        tail -n 60 "$log"
    fi
}
export -f check

groups >"$logs/groups"
[[ -s $logs/groups ]] || { echo "no case's name has '$only' in it" >&2 && exit 1; }
# Kernels are compiled once, and cases are green, before anything is watched.
"$suite" "$only" --skip ::real --skip ::golden --skip ::repro >"$logs/plain" ||
    { cat "$logs/plain" && exit 1; }
# Many at once: each spends most of its time on the host. They share out the devices.
for_each_tool=${tools[*]} awk '{
    n = split(ENVIRON["for_each_tool"], tools, " ")
    for (i = 1; i <= n; i++) print tools[i], $1
}' "$logs/groups" |
    xargs -P "$(nproc)" --process-slot-var=slot -L 1 bash -c 'check "$0" "$1"' | tee "$logs/all"

for tool in "${tools[@]}"; do
    awk -v tool="$tool" '$1 == tool && $4 == "clean," { cases += $3; groups++ }
        END { printf "%s: %d cases clean, in %d groups\n", tool, cases, groups }' "$logs/all"
done
! grep -q FAILED "$logs/all"

"""Compares the rounds that bench-cpu.sh measured: median tokens a second, and ours over theirs.

    bench_ratios.py FOLDER ROUNDS    # FOLDER holds ours-N.json and theirs-N.json of each round
"""

import json
import sys
from pathlib import Path
from statistics import median


def rounds_of(folder, rounds):
    """Test → one (ours, theirs) a round, each the median of the round's repetitions."""
    found = {"pp512": [], "tg128": []}
    for number in range(1, rounds + 1):
        ours = json.loads((folder / f"ours-{number}.json").read_text())
        ours = {test["test"]: test["samples"] for test in ours}
        theirs = json.loads((folder / f"theirs-{number}.json").read_text())
        theirs = {"pp512": theirs["pp_tok_s"], "tg128": theirs["tg_tok_s"]}
        for test, pairs in found.items():
            pairs.append((median(ours[test]), median(theirs[test])))
    return found


def main():
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    print(f"{'test':8} {'ours':>10} {'llama.cpp':>10} {'ratio':>7}  of each round")
    for test, pairs in rounds_of(folder, rounds).items():
        ours, theirs = (median(side) for side in zip(*pairs))
        ratios = [mine / other for mine, other in pairs]
        each = " ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{test:8} {ours:10.1f} {theirs:10.1f} {median(ratios):7.2f}  {each}")


main()

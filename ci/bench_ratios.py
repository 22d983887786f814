"""Compares the rounds that bench-cpu.sh measured: median tokens a second, and ours over theirs.

    bench_ratios.py FOLDER ROUNDS    # FOLDER holds theirs-N, exact-N and fast-N.json of each round
"""

import json
import sys
from pathlib import Path
from statistics import median


def read(folder, side, number):
    return json.loads((folder / f"{side}-{number}.json").read_text())


def compared(folder, rounds, precision):
    """Test → one (ours, theirs, operations and bytes of a token) a round, medians of repeats."""
    found = {}
    for number in range(1, rounds + 1):
        theirs = read(folder, "theirs", number)
        for test in read(folder, precision, number):
            other = median(theirs["pp_tok_s" if test["prompt"] else "tg_tok_s"])
            rate = test["tokens_per_second"]
            each = [(test[key] or 0) / rate for key in ("gflops", "gigabytes_per_second")]
            row = (median(test["samples"]), other, *each)
            found.setdefault(test["test"], []).append(row)
    return found


def main():
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    print("precision test       ours  llama.cpp  ratio  GFLOP/s  GB/s  ratio of each round")
    for precision in ("exact", "fast"):
        for test, rows in compared(folder, rounds, precision).items():
            ours, theirs, gflop, gigabytes = (median(side) for side in zip(*rows))
            ratios = [row[0] / row[1] for row in rows]
            speed = f"{ours * gflop:8.1f} {ours * gigabytes:5.1f}"
            each = " ".join(f"{ratio:.2f}" for ratio in ratios)
            rates = f"{ours:8.1f} {theirs:10.1f} {median(ratios):6.2f}"
            print(f"{precision:9} {test:6} {rates} {speed}  {each}")


main()

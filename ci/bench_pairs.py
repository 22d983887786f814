"""Compares what bench-gpu.sh measured: the median time of each benchmark, HEAD's over BASE's.

    bench_pairs.py FOLDER ROUNDS    # FOLDER holds criterion's base-N and head-N of each round

Ends with 1 if one became slower by more than the tolerance, or if there was nothing to compare.
"""

import json
import sys
from pathlib import Path
from statistics import median

# Two rounds of the same build differ by up to 2 % on a machine of one's own.
TOLERANCE = 1.03


def times(folder):
    """Benchmark → median nanoseconds, from criterion's own files."""
    found = {}
    for about in folder.rglob("new/benchmark.json"):
        estimates = json.loads((about.parent / "estimates.json").read_text())
        name = json.loads(about.read_text())["full_id"]
        found[name] = estimates["median"]["point_estimate"]
    return found


def main():
    folder, rounds = Path(sys.argv[1]), range(1, int(sys.argv[2]) + 1)
    sides = [[times(folder / f"{side}-{number}") for number in rounds] for side in ("base", "head")]
    names = sorted(set.intersection(*(set(one) for side in sides for one in side)))
    slower = []
    print(f"{'benchmark':48} {'base µs':>10} {'head µs':>10} {'ratio':>7}  of each round")
    for name in names:
        base, head = ([one[name] for one in side] for side in sides)
        ratios = [new / old for new, old in zip(head, base)]
        each = " ".join(f"{ratio:.3f}" for ratio in ratios)
        print(f"{name:48} {median(base) / 1e3:10.1f} {median(head) / 1e3:10.1f}"
              f" {median(ratios):7.3f}  {each}")
        if median(ratios) > TOLERANCE:
            slower.append(name)
    if not names:
        sys.exit("nothing was measured in both builds")
    if slower:
        sys.exit(f"slower by more than {TOLERANCE - 1:.0%}: {', '.join(slower)}")


main()

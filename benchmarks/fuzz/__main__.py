"""Fuzz the readers and print a table: python -m benchmarks.fuzz [--examples N] [--only NAME] [--seed N]."""

import argparse
import resource
import sys
import time

from benchmarks.fuzz.judge import RIGHT, WRONG, fuzz
from benchmarks.fuzz.sets import SETS
from hyma.wording.markdown import table


def main() -> None:
    """Try every data set; exit with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=500, help="things that go wrong, a reader (500)")
    parser.add_argument("--only", choices=SETS, help="one of the data sets")
    parser.add_argument("--seed", type=int, default=0, help="of what goes wrong (0)")
    args = parser.parse_args()
    rows, faults = [], []
    for name, own in SETS.items():
        if args.only in (None, name):
            start = time.perf_counter()
            tally = fuzz(own, args.examples, args.seed)
            taken = time.perf_counter() - start
            rows.append([name, *(str(tally.counts[what]) for what in (*RIGHT, *WRONG)), f"{taken:.0f}"])
            faults += [f"{name}: {fault}" for fault in tally.faults]
            print(f"{name}: {len(tally.faults)} of {args.examples} wrong, {taken:.0f} s", file=sys.stderr)
    print(table(["reader", *RIGHT, *WRONG, "seconds"], rows))
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"\nMemory of the largest process: {peak / 1024:,.0f} MB.")
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()

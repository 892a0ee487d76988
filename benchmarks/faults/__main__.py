"""Put faults into a tiny experiment, see what is left of it: python -m benchmarks.faults [--kills N] [--only NAME …].

Needs no network. Disk full and a read-only cache need mounts, so root on Linux: elsewhere their rows say so. Ends with
exit code 1 if anything was wrong or lost.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.faults.clock import clock
from benchmarks.faults.damage import damage
from benchmarks.faults.disk import disk
from benchmarks.faults.kills import kills
from benchmarks.faults.readonly import readonly
from benchmarks.faults.table import HEAD, Row, markdown, page
from benchmarks.faults.tiny import Tiny
from benchmarks.faults.together import together
from hyma.common.files import write_text

PAGE = Path(__file__).parents[2] / "docs/faults.md"
MEMORY = Path("/dev/shm")
"""Where files are written at once, if there is such a place."""
FAULTS: dict[str, Callable[[Tiny], Iterator[Row]]] = {
    "disk": disk,
    "readonly": readonly,
    "together": together,
    "clock": clock,
    "damage": damage,
}
NAMES = ("kills", *FAULTS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all, or those asked for; print the table, write the page; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="how many at least")
    parser.add_argument(
        "--only", nargs="+", choices=NAMES, default=list(NAMES), metavar="NAME", help=", ".join(NAMES)
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help=f"write the page there; all faults: {PAGE.name}"
    )
    args = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what is mounted is put away
    start, killed, rows = time.perf_counter(), Counter[str](), dict[str, Row]()
    with tempfile.TemporaryDirectory(prefix="faults-", dir=MEMORY if MEMORY.is_dir() else None) as root:
        say(start, "the undisturbed run")
        tiny = Tiny(Path(root))
        for name in args.only:
            made = kills(tiny, args.kills, killed) if name == "kills" else FAULTS[name](tiny)
            for row in made:
                rows[row.fault] = row
                say(start, f"{row.fault}: {row.tried} tried, {row.wrong} wrong, {row.lost} lost")
    every = list(rows.values())
    print(markdown(HEAD, [row.cells for row in every], (1, 2, 3, 4)))
    print("\n".join(problem for row in every for problem in row.problems))
    file = args.markdown or (PAGE if args.only == list(NAMES) else None)
    if file:
        command = "python -m benchmarks.faults" + f" --kills {args.kills}" * (args.kills != 100)
        write_text(file, page(command, every, killed, list(tiny.seconds), time.perf_counter() - start))
    return int(any(row.problems for row in every))


def say(start: float, what: str) -> None:
    """A line of progress."""
    print(f"{time.perf_counter() - start:5.0f} s  {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""What starting a stage costs before it does anything: python -m benchmarks.startup [--stage NAME …].

Imports each stage's script in a fresh process, as `python -m stages.<name>` does, and so what a stage loads by name
(the sources of encoders), and the libraries alone. Prints the CPU seconds (user and system) and the wall seconds of
the fastest of some runs, and which heavy libraries were loaded. Takes about four minutes on two cores.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAVY = (
    *("torch", "torch._dynamo", "torchvision", "timm", "transformers", "sentence_transformers"),
    *("sklearn", "scipy", "matplotlib", "fvcore"),
)
LIBRARIES = (
    *("numpy", "pydantic", "pyarrow", "scipy.stats", "matplotlib.pyplot", "sklearn.linear_model", "torch"),
    *("torch._dynamo", "fvcore.nn", "torchvision", "timm", "transformers", "sentence_transformers"),
)
SOURCES = ("timm_image", "sentence_text")
"""Of hyma.encoders.sources: what the stage `extract` loads by name, beside what it imports."""


@dataclass(frozen=True)
class Start:
    """What one start took."""

    cpu: float
    """Seconds, user and system, of all threads."""
    wall: float
    loaded: tuple[str, ...]
    """Which of `HEAVY` were there at the end."""


def main() -> None:
    """Measure; print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", nargs="+", choices=stages(), help="only these stages, no libraries")
    parser.add_argument("--runs", type=int, default=3, help="the fastest of so many counts")
    args = parser.parse_args()
    rows = {name: (f"stages.{name}",) for name in args.stage or stages()}
    if args.stage is None:
        rows |= {f"extract, {name}": ("stages.extract", f"hyma.encoders.sources.{name}") for name in SOURCES}
        rows = {"nothing": ()} | {f"({name})": (name,) for name in LIBRARIES} | rows
    print(f"{'imported':24} {'CPU s':>6} {'wall s':>7}  of the heavy libraries it loads", flush=True)
    for label, modules in rows.items():
        own = fastest(modules, args.runs)
        print(f"{label:24} {own.cpu:6.2f} {own.wall:7.2f}  {', '.join(own.loaded) or '–'}", flush=True)


def stages() -> list[str]:
    """The names of all stages' scripts."""
    return sorted(file.stem for file in (ROOT / "stages").glob("*.py") if not file.stem.startswith("_"))


def fastest(modules: Sequence[str], runs: int) -> Start:
    """The least that importing `modules` took of several runs, CPU and wall each for itself."""
    taken = [start(modules) for _ in range(runs)]
    return Start(min(own.cpu for own in taken), min(own.wall for own in taken), taken[0].loaded)


def start(modules: Sequence[str]) -> Start:
    """Import `modules` in a fresh process."""
    lines = [*(f"import {module}" for module in modules), "import sys"]
    lines.append(f"print(*(name for name in {HEAVY!r} if name in sys.modules))")
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "\n".join(lines)],
        cwd=ROOT,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    )
    wall, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Start(cpu, wall, tuple(done.stdout.split()))


if __name__ == "__main__":
    main()

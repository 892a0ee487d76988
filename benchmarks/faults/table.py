"""The table: a row a fault, for the terminal and as a page."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

HEAD = ("fault", "tried", "wrong", "lost", "seconds", "what was seen")
INTRO = """# Faults put in on purpose

Written by `{command}`, which takes {minutes:.0f} minutes here. It runs the smallest experiment that has every stage
(2 × 2 encoders, 3 benchmarks, {stages} stages) once undisturbed, then disturbs it in fresh copies, and compares every
file of every output with the undisturbed run's, seconds and what follows from them left out.

*Wrong* counts tries that ended, or would have gone on, with another result; *lost* those that left a half-written
output, or after which work was done again that had been finished.

Two of DVC's own files it writes where they lie, so that a kill or a full disk can cut them short: `.dvc/tmp/rwlock` and
`dvc.lock`. Where they cannot be read, it says so and goes no further: delete the first; get the second back by
`git checkout`, or delete it. A `dvc.lock` that can be read says less than it did, and stages run again: what they made
is taken from DVC's cache and from `data/kept/`, as far as it lies there. That is not counted as lost: the table says
where it was so. And `dvc exp run` first restores the last commit's state, below a `dvc repro` that is at work: beside
one, take `dvc exp run --temp`.
"""


@dataclass
class Row:
    """A line of the table, filled as tries are made."""

    fault: str
    tried: int = 0
    wrong: int = 0
    lost: int = 0
    seconds: float = 0.0
    seen: Counter[str] = field(default_factory=Counter)
    """How tries ended, in words."""
    problems: list[str] = field(default_factory=list)
    """Of each try that went wrong: what."""

    def bad(self, kind: str, what: str) -> None:
        """Count a try as ``wrong`` or ``lost``."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.problems.append(f"{self.fault}: {kind}: {what}")

    @property
    def cells(self) -> tuple[str, ...]:
        """As they are printed."""
        seen = "; ".join(f"{what} ({count})" for what, count in self.seen.most_common())
        counts = (str(self.tried), str(self.wrong), str(self.lost)) if self.tried else ("–",) * 3
        return self.fault, *counts, f"{self.seconds:.0f}", seen


@contextmanager
def timed(row: Row) -> Iterator[Row]:
    """Count the seconds of a row."""
    start = time.perf_counter()
    try:
        yield row
    finally:
        row.seconds += time.perf_counter() - start


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]) -> str:
    """A table; columns of these indices are set to the right."""
    rule = ["--:" if number in numbers else ":--" for number in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def page(
    command: str, rows: Sequence[Row], killed: Counter[str], stages: Sequence[str], seconds: float
) -> str:
    """The whole page."""
    parts = [INTRO.format(command=command, minutes=seconds / 60, stages=len(stages))]
    parts.append(markdown(HEAD, [row.cells for row in rows], (1, 2, 3, 4)))
    if killed:
        others = [name for name in killed if name not in stages]
        hit = [(name, str(killed[name])) for name in (*stages, *others)]
        parts += ["## Where the kills fell", markdown(("what ran", "kills"), hit, (1,))]
    if problems := [f"- {problem}" for row in rows for problem in row.problems]:
        parts += ["## What went wrong", "\n".join(problems)]
    return "\n\n".join(part.strip() for part in parts) + "\n"

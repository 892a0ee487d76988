"""The final table: one row a check or measurement, for the terminal and as a page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

INTRO = """# On a GPU

Measured on {day} by `python -m benchmarks.gpu --markdown FILE`, which takes some minutes on any machine with a GPU, and
needs neither network nor data.

Two results are compared by the largest relative difference of a step's loss, the largest difference of a pair's score
(held-out recall@5), and 1 − the mean cosine of what their connectors make of held-out captions; "twice on the device"
should be equal to the bit. A step's FLOPs are those of the formulas: what is computed twice to save memory counts once.
Its peak is a large product's in the same precision, though the loss is in fp32 in every precision.
"""
Verdict = Literal["ok", "FAILED", "not run"]
NOTHING = "–"
HEAD = ("part", "what", "figure", "limit", "")
PARTS = {
    "a": "the GPU's results are the CPU's",
    "b": "precisions",
    "c": "features kept on the device or streamed to it",
    "d": "step times",
    "e": "InfoNCE in large batches",
    "f": "extraction",
    "g": "the methods that train nothing",
}


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    part: str
    """A key of `PARTS`."""
    what: str
    figure: str
    limit: str = NOTHING
    verdict: Verdict = "ok"

    @property
    def cells(self) -> tuple[str, ...]:
        """As they are printed."""
        return self.part, self.what, self.figure, self.limit, self.verdict


def all_at_most(part: str, what: str, values: Mapping[str, tuple[float, float]]) -> Row:
    """As `at_most`, for several values by name, each with its limit."""
    rows = [at_most(part, name, *both) for name, both in values.items()]
    good = all(row.verdict == "ok" for row in rows)
    figure = ", ".join(f"{row.what} {row.figure}" for row in rows)
    return Row(part, what, figure, ", ".join(row.limit for row in rows), "ok" if good else "FAILED")


def at_most(part: str, what: str, value: float, limit: float, unit: str = "") -> Row:
    """A row that fails if `value` is above the limit, or not a number."""
    good = math.isfinite(value) and value <= limit
    return Row(part, what, f"{value:.2g}{unit}", f"≤ {limit:.2g}{unit}", "ok" if good else "FAILED")


def measured(part: str, what: str, figure: str) -> Row:
    """A row that states a figure and cannot fail."""
    return Row(part, what, figure)


def not_run(part: str, what: str, reason: str) -> Row:
    """A row for what this machine cannot do."""
    return Row(part, what, f"not run: {reason}", NOTHING, "not run")


def failed(part: str, what: str, error: BaseException) -> Row:
    """A row for what ended in an error."""
    reason = " ".join(str(error).split())[:120]
    return Row(part, what, f"{type(error).__name__}: {reason}", NOTHING, "FAILED")


def text(rows: Sequence[Row]) -> str:
    """The table in columns, as wide as they need to be."""
    lines = [HEAD, *(row.cells for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def failures(rows: Sequence[Row]) -> str:
    """What failed, or that nothing did."""
    wrong = [
        f"- {row.part}: {row.what}: {row.figure} (limit {row.limit})"
        for row in rows
        if row.verdict == "FAILED"
    ]
    return "\n".join(["Failed:", *wrong]) if wrong else "Nothing failed."


def page(rows: Sequence[Row], machine: Sequence[str], day: date) -> str:
    """The same as a page in Markdown."""
    sections = []
    for part, title in PARTS.items():
        own = [row for row in rows if row.part == part]
        lines = [" | ".join(("", *row.cells[1:], "")).strip() for row in own]
        if lines:
            head = f"## {title[0].upper()}{title[1:]}\n\n| what | figure | limit | |\n|---|---|---|---|\n"
            sections.append(head + "\n".join(lines))
    intro = INTRO.format(day=day.isoformat())
    facts = "\n".join(f"- {fact}" for fact in machine)
    return "\n\n".join([f"{intro}\n{facts}", *sections, failures(rows)]) + "\n"


def write_page(file: Path, rows: Sequence[Row], machine: Sequence[str]) -> None:
    """Write the page, dated today."""
    file.write_text(page(rows, machine, date.today()), encoding="utf-8")

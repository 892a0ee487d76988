"""Two commands of DVC at once in one folder."""

import time
from collections.abc import Iterator

from benchmarks.faults.disk import finish
from benchmarks.faults.table import Row, timed
from benchmarks.faults.tiny import Running, Tiny, last_words

EXPERIMENT = ("exp", "run", "-S", "hyma.components=8")
SECOND: dict[str, tuple[str, ...]] = {
    "two `dvc repro` at once": ("repro",),
    "`dvc repro` beside `dvc exp run -S …`": EXPERIMENT,
    "`dvc repro` beside `dvc exp run --temp -S …`": (*EXPERIMENT, "--temp"),
}
APART = (0.0, 1.0, 4.0)
"""Seconds after the first command at which the second begins."""
SAID = {
    "Unable to acquire lock": "another was at work",
    "is busy": "another was at work",
    "does not exist": "the other took an output away",
}
"""What DVC's message has in it → what it means."""


def together(tiny: Tiny) -> Iterator[Row]:
    """Each second command at each distance; then, with params.yaml as it was, `dvc repro` alone."""
    for fault, command in SECOND.items():
        row = Row(fault)
        with timed(row):
            for apart in APART:
                _both(tiny, row, command, apart)
        yield row


def _both(tiny: Tiny, row: Row, command: tuple[str, ...], apart: float) -> None:
    with tiny.copy("prepared") as project:
        project.run("git", "add", "-A")
        project.run("git", "commit", "-qm", "prepared")
        first = Running(project.folder, "dvc", "repro")
        time.sleep(apart)
        second = Running(project.folder, "dvc", *command)
        codes = [run.end() for run in (first, second)]
        row.tried += 1
        for run, code in zip((first, second), codes, strict=True):
            if not code:
                continue
            said = next((meaning for words, meaning in SAID.items() if words in run.printed), None)
            row.seen[f"one ended: {said}"] += 1
            if said is None or "Traceback" in run.printed:
                row.bad("wrong", f"{apart} s apart: ended with {code}: {last_words(run.printed)}")
        if not any(codes):
            row.seen["both ended well"] += 1
        project.run("git", "checkout", "-q", "params.yaml")
        finish(tiny, project.folder, row, f"{apart} s apart")

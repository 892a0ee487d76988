"""Signal 9 to the whole process group of ``dvc repro`` at random moments, again and again, until it ends."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.table import Row, timed
from benchmarks.faults.tiny import CUT_SHORT, Running, State, Tiny, last_words, remedy

LONGEST = 0.4
"""Of the seconds of the undisturbed run, those that a run is left alone, at most."""
BETWEEN = "DVC, between stages"
FROM: tuple[State, ...] = ("prepared", "start", "prepared")
"""Where runs begin, in turns."""
MOST = 50
"""Kills of one run after which it is left alone."""


def kills(tiny: Tiny, count: int, killed: Counter[str], seed: int = 0) -> Iterator[Row]:
    """Kill `count` times or a little more, over as many runs as it takes; `killed` counts by stage."""
    rng, row = random.Random(seed), Row("killed (signal 9), then `dvc repro`")
    turn = 0
    while row.tried < count:
        with timed(row):
            _run(tiny, FROM[turn % len(FROM)], row, killed, rng, count)
        turn += 1
        yield row
    row.seen[f"runs, each killed up to {MOST} times, ended as the undisturbed one"] = turn - row.wrong


def _run(tiny: Tiny, state: State, row: Row, killed: Counter[str], rng: random.Random, count: int) -> None:
    """One experiment, killed until it ends or enough were done."""
    goal, here = max(1, count // (2 * len(tiny.seconds))), 0
    with tiny.copy(state) as project:
        finished, kept = tiny.noted(project.folder), dict[Path, int]()
        while True:
            run = Running(project.folder, "dvc", "repro")
            disturb = row.tried < count and here < MOST
            stopped = _killed(run, tiny, killed, goal, rng) if disturb else None
            if again := sorted(finished & set(run.begun())):
                row.bad("lost", f"ran again though it had ended: {', '.join(again)}")
            if not stopped:
                if run.end() and (done := remedy(project.folder, run.printed)):
                    row.seen[done] += 1
                    finished = tiny.noted(project.folder)
                    continue
                break
            row.tried, here = row.tried + 1, here + 1
            killed[stopped] += 1
            if half := tiny.half_written(project.folder):
                row.bad("lost", f"killed in {stopped}: half-written: {', '.join(half[:3])}")
            noted = tiny.noted(project.folder)
            if cut := finished - noted:
                row.seen[f"{CUT_SHORT}, with what it said of stages that had ended"] += 1
                finished -= cut
            finished |= noted
            kept |= {path: path.stat().st_ino for path in project.folder.glob("data/kept/*/[!.]*")}
        if code := run.end():
            row.bad("wrong", f"`dvc repro` after kills ended with {code}: {last_words(run.printed)}")
        elif different := tiny.differing(project.folder):
            row.bad("wrong", f"after kills: {', '.join(different[:3])}")
        if gone := [path for path, inode in kept.items() if not path.exists() or path.stat().st_ino != inode]:
            row.bad("lost", f"made again though it was kept: {gone[0].relative_to(project.folder)}")


def _killed(run: Running, tiny: Tiny, killed: Counter[str], goal: int, rng: random.Random) -> str | None:
    """Kill it at a random moment, or in a stage that was not killed often; say where, or nothing if it ended."""
    moment, seen = time.monotonic() + rng.uniform(0.0, LONGEST * sum(tiny.seconds.values())), 0
    while run.process.poll() is None:
        if len(begun := run.begun()) > seen:
            seen = len(begun)
            if killed[begun[-1]] < goal:
                moment = min(moment, time.monotonic() + rng.uniform(0.0, tiny.seconds[begun[-1]]))
        if time.monotonic() >= moment:
            where = run.stage() or BETWEEN
            run.kill()
            return where
        time.sleep(0.005)
    return None

"""DVC's cache read-only, from the beginning, from the middle, and when all is done."""

from collections.abc import Iterator

from benchmarks.faults.disk import finish
from benchmarks.faults.mounts import NoMountError, read_only
from benchmarks.faults.table import Row, timed
from benchmarks.faults.tiny import Running, State, Tiny, last_words

STATES: tuple[State, ...] = ("start", "prepared", "done")


def readonly(tiny: Tiny) -> Iterator[Row]:
    """`dvc repro` from each state with a cache that cannot be written, then again once it can."""
    row = Row("a cache that cannot be written")
    with timed(row):
        for state in STATES:
            with tiny.copy(state) as project:
                cache = project.folder / ".dvc/cache"
                cache.mkdir(exist_ok=True)
                before = sorted(file for file in cache.rglob("*"))
                try:
                    with read_only(cache):
                        run = Running(project.folder, "dvc", "repro")
                        code, half = run.end(), tiny.half_written(project.folder)
                except NoMountError:
                    row.seen["not tried: nothing can be mounted read-only here"] += 1
                    break
                row.tried += 1
                row.seen[
                    "DVC ended with its own message" if code else "nothing to be written: ended well"
                ] += 1
                if half or before != sorted(file for file in cache.rglob("*")):
                    row.bad("lost", f"from {state}: {', '.join(half[:3]) or 'files of the cache'}")
                if "Traceback" in run.printed or bool(code) == (state == "done"):
                    row.bad("wrong", f"from {state}: ended with {code}: {last_words(run.printed)}")
                finish(tiny, project.folder, row, f"from {state}, once it could be written")
    yield row

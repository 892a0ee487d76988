"""What a reader makes of a data set with something wrong in it, and whether that is right."""

import shutil
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks.fuzz.mutate import Change, change
from benchmarks.fuzz.sets import DataSet
from hyma.common import prepared
from hyma.common.errors import LONGEST, HymaError
from hyma.common.prepared import Prepared
from hyma.readers.base.params import DataSource
from hyma.readers.base.prepare import prepare

PATIENCE = 20
"""Seconds after which a reader hangs."""
SAME, LISTED, LINE = "same records", "left out and listed", "one plain line"
CHANGED = "other records"
TRACEBACK, LOST, HANG = "traceback", "lost silently", "hang"
RIGHT, WRONG = (SAME, CHANGED, LISTED, LINE), (TRACEBACK, LOST, HANG)


IN_A_FILE = {"webdataset": 3, "folders": 2, "imagenet": 2, "coco": 12}
"""Records in a file, or below a folder, that is listed as left out."""


class HangError(Exception):
    """A reader took too long."""


@dataclass
class Tally:
    """How often what came out, and what was wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Records:
    """What a prepared data set holds."""

    pictures: Counter[Any]
    """Digests of pixels, with label and protocol."""
    texts: Counter[str]
    questions: int

    @classmethod
    def of(cls, data: Prepared) -> "Records":
        """Of the prepared form."""
        columns = (data.images[name].to_pylist() for name in ("content", "label", "protocol"))
        return cls(
            Counter(zip(*columns, strict=True)), Counter(data.texts["text"].to_pylist()), len(data.questions)
        )


def fuzz(own: DataSet, examples: int, number: int = 0, verbose: bool = False) -> Tally:
    """Do `examples` things to a data set, each to a copy of its own, and judge what comes of each."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as top:
        own.build(Path(top) / "good")
        before = _read(own, Path(top) / "good", Path(top) / "out")
        assert isinstance(before, Prepared), before

        @seed(number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def once(data: Any) -> None:
            root = Path(top) / "tried"
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(Path(top) / "good", root, symlinks=True)
            done = change(root, data.draw)
            found = _read(own, root, Path(top) / "out", data.draw(st.sampled_from((0.01, 1.0))))
            result, why = judge(own, Path(top) / "good", root, before, found, done)
            tally.counts[result] += 1
            if result in WRONG:
                tally.faults.append(f"{result}: {done.what}: {why}")
                if verbose:
                    print(tally.faults[-1])

        once()
    return tally


@contextmanager
def _patience() -> Iterator[None]:
    def hang(*_: object) -> None:
        raise HangError

    signal.signal(signal.SIGALRM, hang)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)


def _read(own: DataSet, root: Path, out: Path, most: float = 1.0) -> Prepared | BaseException:
    try:
        with _patience():
            source = DataSource.model_validate(
                {"format": own.format, "path": str(root), "max_unreadable": most}
            )
            prepare(source, out, own.key)
        return prepared.read(out)
    except Exception as error:
        return error


def judge(
    own: DataSet,
    good: Path,
    root: Path,
    before: Prepared,
    found: Prepared | BaseException,
    done: Change,
) -> tuple[str, str]:
    """What came out, and why it is wrong, if it is."""
    if isinstance(found, HangError):
        return HANG, ""
    if isinstance(found, HymaError):
        line = str(found)
        plain = line.strip() and "\n" not in line and len(line) <= LONGEST
        if done.harmless:
            return LOST, f"refused though nothing is wrong: {line}"
        return (LINE, "") if plain else (TRACEBACK, f"not one plain line: {line!r}")
    if isinstance(found, BaseException):
        return TRACEBACK, "".join(traceback.format_exception(found)[-3:])
    old, new = Records.of(before), Records.of(found)
    if old == new:
        return SAME, ""
    if done.harmless:
        return LOST, "other records though nothing is wrong"
    removed = done.removed + _lines_gone(own, good, root)
    listed = Counter(one.kind for one in found.meta.skipped)
    files = listed["file"] * IN_A_FILE.get(own.format, 1)
    gone = {
        "pictures": old.pictures.total() - new.pictures.total() - listed["image"] - files,
        "texts": _captions(before, old) - _captions(found, new) - listed["text"] - listed["image"] - files,
        "questions": old.questions - new.questions - listed["question"] - listed["image"],
    }
    for what, count in gone.items():
        if count > 2 * removed:
            return LOST, f"{count} {what} are gone, of which {removed} were taken out"
    return (LISTED if found.meta.skipped else CHANGED), ""


def _captions(data: Prepared, records: Records) -> int:
    """Captions of pictures; prompts follow from classes and questions."""
    return records.texts.total() if data.meta.task in ("pairs", "retrieval") else 0


def _lines_gone(own: DataSet, good: Path, root: Path) -> int:
    """Lines of tables that are not there any more, as they were: each is a record that was taken out or changed."""
    gone = 0
    for name in own.lines:
        before = Counter((good / name).read_bytes().splitlines())
        now = Counter((root / name).read_bytes().splitlines()) if (root / name).is_file() else Counter()
        gone += (before - now).total()
    return gone

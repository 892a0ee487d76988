"""Which of the data sets found trains, and which ones rank the pairs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hyma.common.errors import HymaError
from hyma.readers import split
from hyma.readers.base.params import DataSource
from hyma.readers.look import Found, holds

OWN = Path("data/split")
"""Where tables are written that hold pictures out."""


@dataclass(frozen=True)
class Entry:
    """A data set as params.yaml names it."""

    slug: str
    source: DataSource
    pictures: int
    note: str
    """What to know of it, short."""


@dataclass
class Sets:
    """What trains, what ranks, and what is used for neither, a line each."""

    training: Entry
    benchmarks: list[Entry] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def choose(found: Sequence[Found], training: Path | None, benchmarks: Sequence[Path]) -> Sets:
    """Take the largest captioned set for training, unless one is named, and the others as benchmarks.

    Where no captions are left to rank by, some of the training set are held out: `hyma.readers.split`.

    Args:
        found: all data sets.
        training: the folder, or the table, of the one that trains.
        benchmarks: places of sets that do not train.

    Raises:
        HymaError: if none can train, or too few pictures have captions.
    """
    chosen = _training(found, training, benchmarks)
    own = {path for path in chosen.paths if path}
    taken: set[str] = set()
    sets = Sets(_entry(chosen, taken))
    retrieval = False
    for other in (one for one in found if one is not chosen):
        shared = sum(path in own for path in other.paths if path)
        if shared:
            where = f"{other.source.path} ({other.source.format})"
            sets.unused.append(f"{where}: {shared:,} of its pictures are in the training set")
        else:
            sets.benchmarks.append(_entry(other, taken))
            retrieval |= other.draft.meta.task in ("pairs", "retrieval")
    if not retrieval:
        _hold_out(chosen, sets)
    elif chosen.pictures < split.TRAINING:
        raise HymaError(
            f"{chosen.source.path}: {chosen.pictures:,} captioned pictures; training takes {split.TRAINING}; add some"
        )
    return sets


def _training(found: Sequence[Found], named: Path | None, benchmarks: Sequence[Path]) -> Found:
    able = [one for one in found if one.trains]
    if named is not None:
        able = [one for one in able if holds(named, one.source.path)]
        problem = f"--training {named}: no captions there; give a table of captions, or shards"
    else:
        able = [one for one in able if not any(holds(place, one.source.path) for place in benchmarks)]
        problem = "no captioned pictures to train on; give their folder beside those of --benchmark"
    if not able:
        raise HymaError(problem)
    return max(able, key=lambda one: one.pictures)


def _entry(one: Found, taken: set[str]) -> Entry:
    lost = one.lost
    source = one.source
    if lost > source.max_unreadable:
        # Rounded up: preparing refuses more than this share, and was told of what is missing now.
        source = source.model_copy(update={"max_unreadable": min(1.0, int(lost * 100 + 1) / 100)})
    return Entry(free(name(Path(source.path)), taken), source, one.pictures, note(one))


def note(one: Found) -> str:
    """What a data set holds, in a few words."""
    meta = one.draft.meta
    if meta.task == "classification":
        return f"{one.pictures:,} pictures in {len(meta.classes):,} classes"
    if meta.task == "vqa":
        return f"{one.pictures:,} pictures, {len(one.draft.questions):,} questions"
    return f"{one.pictures:,} pictures, {len(one.said):,} captions"


def name(path: Path) -> str:
    """A slug for a data set: its folder's name, or its table's."""
    stem = path.stem if path.is_file() else path.resolve().name
    return re.sub("[^a-z0-9]+", "_", stem.lower()).strip("_") or "mine"


def free(slug: str, taken: set[str]) -> str:
    """The slug, with a number if another data set has it; it is taken from now on."""
    number, own = 2, slug
    while own in taken:
        own, number = f"{slug}_{number}", number + 1
    taken.add(own)
    return own


def _hold_out(chosen: Found, sets: Sets) -> None:
    """Replace the training set by nine tenths of it, and add the rest as the first benchmark."""
    slug, place = sets.training.slug, sets.training.source.path
    folder = OWN / slug
    train, test = split.split(chosen, folder)
    sets.training = Entry(slug, _table(folder / split.TRAIN), train, f"{train:,} pictures of {place}")
    held_out = free(f"{slug}_held_out", {slug, *(own.slug for own in sets.benchmarks)})
    sets.benchmarks.insert(
        0, Entry(held_out, _table(folder / split.TEST), test, f"{test:,} others, held out")
    )


def _table(folder: Path) -> DataSource:
    return DataSource.model_validate({"format": "captions", "path": str(folder)})

"""Every reader, given data sets with one thing wrong: records, a listed omission, or one plain line."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.fuzz import judge
from benchmarks.fuzz.judge import LOST, TRACEBACK, fuzz
from benchmarks.fuzz.sets import SETS
from hyma.common import prepared
from hyma.readers.base import prepare as preparing
from hyma.readers.base.params import DataSource

READ: dict[str, dict[str, int]] = {
    "captions": {"image": 6, "text": 6},
    "webdataset": {"image": 6, "text": 6},
    "llava": {"image": 6, "text": 6},
    "flickr8k": {"image": 6, "text": 12},
    "coco": {"image": 12, "text": 24},
    "okvqa": {"image": 6, "question": 6},
    "textvqa": {"image": 6, "question": 6},
}
"""What the sets hold; all others have six labelled pictures."""


@pytest.mark.parametrize("name", SETS)
def test_nothing_is_lost_silently(name: str) -> None:
    tally = fuzz(SETS[name], 25)
    assert tally.faults == []
    assert tally.counts.total() == 25


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("broken", [False, True])
def test_what_is_read_is_kept_or_left_out(name: str, broken: bool, tmp_path: Path) -> None:
    own = SETS[name]
    own.build(tmp_path / "raw")
    files = sorted(path for path in tmp_path.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if broken and files:
        files[0].write_bytes(b"GIF89a")
    source = DataSource.model_validate(
        {"format": own.format, "path": str(tmp_path / "raw"), "max_unreadable": 1}
    )
    meta = preparing.prepare(source, tmp_path / "out", own.key)
    expected = READ.get(own.format, {"image": 6})
    if name == "captions, pictures in Parquet":
        expected = {"image": 6, "text": 12}
    kept = {"image": meta.images, "text": meta.texts, "question": meta.questions}
    for kind, count in expected.items():
        left = sum(one.kind == kind for one in meta.skipped)
        assert (meta.read[kind], kept[kind] + left) == (count, count)  # type: ignore[index]
    assert bool(files and broken) == any(one.reason.startswith("unreadable") for one in meta.skipped)


def test_a_reader_that_loses_a_record_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = preparing.prepare

    def careless(*args: Any) -> Any:
        meta = real(*args)
        data = prepared.read(args[1])
        if "tried" in args[0].path:
            data.images, data.meta.skipped = data.images.slice(1), []
            prepared.write(args[1], data)
        return meta

    monkeypatch.setattr(judge, "prepare", careless)
    assert fuzz(SETS["cifar100"], 20).counts[LOST] > 0


def test_a_reader_that_fails_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = preparing.prepare

    def fails(source: DataSource, *args: Any) -> Any:
        if "tried" in source.path:
            raise KeyError("caption")
        return real(source, *args)

    monkeypatch.setattr(judge, "prepare", fails)
    tally = fuzz(SETS["folders"], 3)
    assert tally.counts == {TRACEBACK: 3}
    assert "KeyError: 'caption'" in tally.faults[0]

"""Faults put in on purpose, a few of those of benchmarks.faults: kills, a full disk, a damaged cache."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.faults.damage import cut, overwritten
from benchmarks.faults.disk import LEVELS, disk
from benchmarks.faults.figures import figures, without_seconds
from benchmarks.faults.kills import kills
from benchmarks.faults.tiny import Tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return Tiny(tmp_path_factory.mktemp("faults"))


def test_killed_again_and_again(tiny: Tiny) -> None:
    killed = Counter[str]()
    (row,) = kills(tiny, 4, killed)
    assert row.problems == []
    assert row.tried == sum(killed.values()) == 4


def test_disk_full(tiny: Tiny) -> None:
    (row,) = disk(tiny, only=["evaluate"])
    if not row.tried:
        pytest.skip(next(iter(row.seen)))
    assert row.problems == []
    assert row.tried == len(LEVELS)
    assert row.seen["ended in one plain line"] > 0


def test_what_is_wrong_is_seen(tiny: Tiny, tmp_path: Path) -> None:
    names = (
        "metrics/ranking.json",
        "models/hyma/result.safetensors",
        "reports/ranking.md",
        "metrics/finals.json",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tiny.folder("done") / name, tmp_path / name)
    assert tiny.differing(tmp_path, names) == tiny.half_written(tmp_path, names) == []
    ranking = json.loads((tmp_path / names[0]).read_text())
    ranking["winner"]["score"] += 1e-9
    (tmp_path / names[0]).write_text(json.dumps(ranking))
    overwritten(tmp_path / names[1])
    cut(tmp_path / names[2])
    (tmp_path / names[3]).unlink()
    assert tiny.differing(tmp_path, names) == sorted(names)
    assert tiny.half_written(tmp_path, names) == sorted(names[:3])


def test_seconds_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"seconds": 1.5, "score": 2}')
    before = figures(tmp_path, ["a.json"])
    (tmp_path / "a.json").write_text('{"seconds": 2.5, "score": 2}')
    assert figures(tmp_path, ["a.json"]) == before
    (tmp_path / "a.json").write_text('{"seconds": 2.5, "score": 3}')
    assert figures(tmp_path, ["a.json"]) != before
    page = "It took 3.2 s, 1.5× less CPU time.\n\n| method | score | seconds |\n|--|--|--|\n| a | 5 | 3.2 |\n"
    assert without_seconds(page) == without_seconds(page.replace("3.2", "4.1").replace("less", "more"))
    assert without_seconds(page) != without_seconds(page.replace("5 |", "6 |"))
    table = "<table>\n<tr><th>a</th><th>seconds</th></tr>\n\n<tr><td>5</td><td>3.2</td></tr></table>"
    assert without_seconds(table) == without_seconds(table.replace("3.2", "4.1"))
    assert without_seconds(table) != without_seconds(table.replace("5<", "6<"))

"""Recorded rankings: from a list of pairs to scores, and what is wrong with a file said plainly."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hyma.common.errors import HymaError
from hyma.search.recorded import search

PAIRS = ["vit-bert", "vit-mini", "res-bert", "res-mini"]
ANSWER = {"model": "a model", "date": "2026-01-02", "question": "Which?", "ranking": ["res-bert", "vit-mini"]}


def written(folder: Path, content: Any) -> Path:
    path = folder / "asked.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(HymaError, match="^" + re.escape(f"{path}: ")) as caught:
        search(path, PAIRS)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def test_ranking_to_scores(tmp_path: Path) -> None:
    order = ["res-bert", "vit-mini", "vit-bert", "res-mini"]
    found = search(written(tmp_path, ANSWER | {"ranking": order}), PAIRS)
    assert list(found.scores) == PAIRS
    assert sorted(found.scores, key=lambda pair: -found.scores[pair]) == order
    assert len(set(found.scores.values())) == 4
    assert (found.label, found.notes) == (
        "recorded answer (asked)",
        {"asked": "a model", "on": "2026-01-02"},
    )
    assert (sum(found.flops.values()), found.stitches, found.steps, found.failed) == (0, {}, 0, {})


def test_pairs_left_out_share_the_last_place(tmp_path: Path) -> None:
    scores = search(written(tmp_path, ANSWER), PAIRS).scores
    assert scores["res-bert"] > scores["vit-mini"] > scores["vit-bert"] == scores["res-mini"]
    scores = search(written(tmp_path, ANSWER | {"ranking": ["res-mini"]}), PAIRS).scores
    assert scores["res-mini"] > scores["vit-bert"] == scores["res-bert"] == scores["vit-mini"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ranking": ["res-bert", "vit-gpt"]}, "ranking: no pair 'vit-gpt' in this experiment"),
        (
            {"ranking": ["bert-vit"]},
            "ranking: no pair 'bert-vit' in this experiment; pairs are <image>-<text>",
        ),
        ({"ranking": [{"pair": "vit-bert"}]}, "ranking: no pair {'pair': 'vit-bert'}"),
        ({"ranking": ["res-bert", "vit-mini", "res-bert"]}, "ranking: res-bert is named twice"),
        ({"ranking": []}, "ranking: missing; a recorded answer has model, date, question and ranking"),
        ({"ranking": "res-bert"}, "ranking: should be a list of pairs, best first"),
        ({"ranking": {"res-bert": 1}}, "ranking: should be a list of pairs, best first"),
        ({"ranking": 3}, "ranking: should be a list of pairs, best first"),
        ({"model": ""}, "model: missing"),
    ],
)
def test_mistakes(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert refused(written(tmp_path, ANSWER | change)).startswith(message)


@pytest.mark.parametrize("key", ANSWER)
def test_every_key_is_needed(tmp_path: Path, key: str) -> None:
    answer = {name: value for name, value in ANSWER.items() if name != key}
    assert refused(written(tmp_path, answer)).startswith(
        f"{key}: missing; a recorded answer has model, date,"
    )


@pytest.mark.parametrize("content", [[], ["res-bert"], "3", "null"])
def test_other_json(tmp_path: Path, content: Any) -> None:
    assert refused(written(tmp_path, content)).startswith("model: missing")


def test_no_json(tmp_path: Path) -> None:
    assert refused(written(tmp_path, "1. res-bert")).startswith("not valid json")
    assert refused(tmp_path / "nothing.json") == "file not found"


def test_the_projects_own_answer_ranks_its_pairs() -> None:
    root = Path(__file__).parent.parent
    for path in sorted((root / "answers").glob("*.json")):
        ranking = json.loads(path.read_text(encoding="utf-8"))["ranking"]
        found = search(path, ranking)
        assert found.scores == {pair: len(ranking) - place for place, pair in enumerate(ranking)}

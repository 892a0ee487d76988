"""Halves of benchmarks: who chooses is known beforehand, and what is reported has no say in what is chosen."""

import itertools
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyma.common import prepared
from hyma.common.errors import HymaError
from hyma.common.prepared import Prepared
from hyma.evaluation import halves
from hyma.evaluation.benchmark import FOLDER, Benchmark
from hyma.evaluation.evaluator import Evaluator
from hyma.evaluation.halves import choosing, halved
from hyma.evaluation.params import EvaluateParams
from hyma.ranking.rank import rank
from hyma.readers.base.unite import _column
from hyma.stitching.connectors import ConnectorSpec, Stitch
from hyma.stitching.normalise import Normaliser
from hyma.stitching.result import SearchResult, as_record
from tests.assessing import assess
from tests.test_evaluation import Rows, made, prompts, unit

Json = dict[str, Any]
DIGESTS = list("abcdefgh")
PICTURES = 60


def test_the_halves_are_those_of_the_hashes() -> None:
    """The first four of eight by SHA-256 of the salt and the digest, after their length: known once and for all."""
    found = {salt: "".join(itertools.compress(DIGESTS, halved(DIGESTS, [None] * 8, salt))) for salt in (0, 1)}
    assert found == {0: "adfg", 1: "defh"}
    first = sorted(
        DIGESTS, key=lambda name: sha256((3).to_bytes(8, "little") + f"0/{name}".encode()).digest()
    )
    assert sorted(first[:4]) == list("adfg")


@settings(deadline=None)
@given(st.permutations(range(12)), st.integers(0, 5))
def test_neither_rows_nor_copies_matter(order: list[int], salt: int) -> None:
    """Twelve rows of eight pictures in three classes; the last four are copies, one of them under another class."""
    contents, groups = [*DIGESTS, *"abcd"], [0, 0, 0, 1, 1, 1, 2, 2, 0, 0, 0, 2]
    expected = halved(contents, groups, salt)
    assert halved(contents[:8], groups[:8], salt).tolist() == expected[:8].tolist()
    assert expected[8:].tolist() == expected[:4].tolist()
    found = halved([contents[row] for row in order], [groups[row] for row in order], salt)
    assert found.tolist() == expected[order].tolist()


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(0, 3))
def test_every_class_is_halved_and_so_is_the_whole(classes: list[int], salt: int) -> None:
    chosen = halved([f"picture {row}" for row in range(len(classes))], classes, salt)
    assert chosen.sum() == len(classes) // 2
    both = Counter(classes), Counter(itertools.compress(classes, chosen))
    for name, count in both[0].items():
        assert both[1][name] in (count // 2, (count + 1) // 2)
        assert count < 2 or 0 < both[1][name] < count


def test_another_salt_gives_other_halves_even_of_single_pictures() -> None:
    """A class of one picture is on either side, by lot."""
    found = {tuple(halved(DIGESTS, range(8), salt).tolist()) for salt in range(20)}
    assert len(found) > 10


def test_what_nothing_is_asked_of_is_halved_by_itself() -> None:
    """As many questions' pictures on either side, whatever pictures lie beside them."""
    asked: Rows = [{"image": row, "prompt": 0, "answers": ["a"]} for row in (1, 4, 6, 9)]
    data = made("vqa", [{}] * 12, [{"target": 0}], asked, answers=["a"])
    assert choosing(data, 0)[[1, 4, 6, 9]].sum() == 2
    texts = [{"image": row, "pool": 0} for row in (1, 4, 6, 9)]
    retrieval = made("retrieval", [{}] * 12, texts)
    assert choosing(retrieval, 0).tolist() == choosing(data, 0).tolist()
    evaluator = Evaluator(data, "standard")
    assert [evaluator.count(part) for part in halves.PARTS] == [2, 2, 4]


@pytest.mark.parametrize("task", ["classification", "retrieval", "vqa"])
def test_a_benchmark_of_one_picture_is_refused(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two rows of one picture, too."""
    monkeypatch.chdir(tmp_path)
    images: Rows = [{"id": f"{row}", "content": "same", "label": 0} for row in range(2)]
    texts: Rows = [{"id": f"{row}", "target": 0, "image": row, "pool": 0} for row in range(2)]
    asked: Rows = [{"id": "q", "image": 0, "prompt": 0, "answers": ["a"]}]
    data = made(task, images, texts, asked if task == "vqa" else None, classes=["a"], answers=["a"])
    prepared.write(FOLDER / "tiny", data)
    with pytest.raises(
        HymaError, match=r"^params\.yaml: benchmarks\.tiny: fewer than two pictures"
    ) as caught:
        Benchmark("tiny").evaluators  # noqa: B018
    assert "give it two different ones" in str(caught.value)
    assert "\n" not in str(caught.value)


def classified(rng: np.random.Generator) -> Prepared:
    images: Rows = [{"label": int(label)} for label in rng.permutation(PICTURES) % 6]
    return made("classification", images, prompts(list(range(6)), "both"), classes=list("abcdef"))


def retrieved(rng: np.random.Generator) -> Prepared:
    owners = rng.permutation(PICTURES).tolist()
    return made("retrieval", [{}] * PICTURES, [{"image": owner, "pool": 0} for owner in owners])


def asked(rng: np.random.Generator) -> Prepared:
    texts: Rows = [{"target": row} for row in range(4)]
    questions: Rows = [
        {"image": int(row), "prompt": 0, "answers": [str(rng.choice(list("abcd")))] * 10}
        for row in range(PICTURES)
    ]
    return made("vqa", [{}] * PICTURES, texts, questions, answers=list("abcd"))


def shuffled(data: Prepared, own_N: np.ndarray, rng: np.random.Generator) -> Prepared:
    """The same with labels, the captions' images or the answers of these images in another order."""
    if data.meta.task == "classification":
        table, name, rows = data.images, "label", np.flatnonzero(own_N)
    elif data.meta.task == "retrieval":
        table, name = data.texts, "image"
        rows = np.flatnonzero(own_N[table["image"].to_numpy().astype(int)])
    else:
        table, name = data.questions, "answers"
        rows = np.flatnonzero(own_N[table["image"].to_numpy().astype(int)])
    values = table[name].to_pylist()
    for row, value in zip(rows, [values[row] for row in rng.permutation(rows)], strict=True):
        values[row] = value
    changed = _column(table, name, values)
    parts = {"images": data.images, "texts": data.texts, "questions": data.questions}
    where = {"classification": "images", "retrieval": "texts", "vqa": "questions"}[data.meta.task]
    return Prepared(data.meta, **(parts | {where: changed}))


def stitches(rng: np.random.Generator) -> dict[str, Stitch]:
    """Connectors of four pairs, nothing but noise: what a benchmark says of them is luck."""
    spec, l2 = ConnectorSpec("linear", 6, 6), Normaliser("l2")
    weights = [torch.tensor(rng.normal(size=(6, 6)), dtype=torch.float32) for _ in range(4)]
    return {
        f"{image}-{text}": Stitch(spec, {"weight0": weights.pop(), "bias0": torch.zeros(6)}, l2, l2)
        for image in ("i", "j")
        for text in ("t", "u")
    }


@pytest.mark.parametrize("make", [classified, retrieved, asked])
def test_what_is_reported_has_no_say_in_what_is_picked(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pair and connector are picked as before whatever becomes of the reported half; of the other half, not so."""
    rng = np.random.default_rng(0)
    data = make(rng)
    choose_N = choosing(data, 0)
    # Classes are halved one by one: who chooses stays, though labels change.
    monkeypatch.setattr(halves, "choosing", lambda *_: choose_N)
    features = {slug: unit(rng, len(rows), 6) for slug, rows in
                (("i", data.images), ("j", data.images), ("t", data.texts), ("u", data.texts))}  # fmt: skip
    methods = {name: stitches(rng) for name in ("grid", "hyma", "third")}
    own = SearchResult("any", dict.fromkeys(methods["hyma"], 0.5), 1.0, stitches=methods["hyma"], steps=1)
    records = dict.fromkeys(methods, as_record(own))
    flops = {"methods": {name: {"total": 1.0, "parts": {}} for name in methods}}

    def found(data: Prepared) -> Json:
        content = assess("toy", data, features, methods, EvaluateParams())
        return rank({"toy": content}, flops, records)

    def picks(ranking: Json) -> tuple[Any, ...]:
        winner = ranking["winner"]
        return winner["pair"], winner["method"], ranking["order"], ranking["choosing"]

    before = found(data)
    for seed in range(5):
        turn = np.random.default_rng(seed)
        other = found(shuffled(data, ~choose_N, turn))
        assert picks(other) == picks(before)
        assert other["scores"] != before["scores"]
        assert (
            other["winner"]["score"]
            == other["scores"][other["winner"]["method"]][other["winner"]["pair"]]["mean"]
        )
    changed = [found(shuffled(data, choose_N, np.random.default_rng(seed))) for seed in range(5)]
    assert {(own["winner"]["pair"], own["winner"]["method"]) for own in changed} - {picks(before)[:2]}
    for own in changed:
        assert own["scores"] == before["scores"]

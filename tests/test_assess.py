"""Scoring all pairs of a benchmark: connectors that keep or swap two directions have known scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from hyma.common import features, prepared
from hyma.common.files import read_json, write_json
from hyma.common.prepared import IMAGES, QUESTIONS, TEXTS, Meta, Prepared, Skipped, table
from hyma.evaluation.assess import content, embed_image, embed_text, score
from hyma.evaluation.benchmark import FOLDER, Benchmark
from hyma.evaluation.params import EvaluateParams
from hyma.stitching.connectors import ConnectorSpec, Stitch, initialise
from hyma.stitching.normalise import Normaliser

KEEP, SWAP = [[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]
L2 = Normaliser("l2")


def linear(weight: list[list[float]]) -> Stitch:
    spec = ConnectorSpec("linear", len(weight[0]), len(weight))
    return Stitch(spec, {"weight0": torch.tensor(weight), "bias0": torch.zeros(len(weight))}, L2, L2)


def labelled() -> Prepared:
    """Two images of two classes; the paper's prompts mean the opposite of the standard ones."""
    images = [{"label": row, "protocol": "both", "content": "ab"[row]} for row in range(2)]
    texts = [{"target": row % 2, "protocol": ("standard", "paper")[row // 2]} for row in range(4)]
    meta = Meta("classification", "made", classes=["a", "b"], images=2, texts=4)
    meta.skipped = [Skipped("x.jpg", "unreadable")]
    return Prepared(meta, table(images, IMAGES), table(texts, TEXTS), QUESTIONS.empty_table())


FEATURES = {
    "eye": np.array([[3, 0], [0, 0.2]], np.float32),
    "wide": np.array([[0, 1, 0], [0, 0, 1]], np.float32),
    "words": np.array([[5, 0], [0, 5], [0, 0.1], [0.1, 0]], np.float32),
}
METHODS = {
    "hyma": {"eye-words": linear(KEEP), "wide-words": linear([[0, 0], *KEEP])},
    "grid": {"eye-words": linear(SWAP), "wide-words": linear([[0, 0], *KEEP])},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment's folder, with nothing in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def named(rows: pa.Table) -> pa.Table:
    """The table with its rows' numbers as ids."""
    ids = pa.array([str(row) for row in range(len(rows))])
    return rows.set_column(rows.column_names.index("id"), "id", ids)


def assess(data: Prepared, feature_of: dict[str, np.ndarray], params: EvaluateParams) -> dict[str, Any]:
    """What is written of a benchmark whose files hold this data and these features."""
    data.images, data.texts = named(data.images), named(data.texts)
    prepared.write(FOLDER / "toy", data)
    for side, slugs, rows in (("image", ("eye", "wide"), data.images), ("text", ("words",), data.texts)):
        for slug in slugs:
            info = features.FeatureInfo("e", data.meta.data_hash, feature_of[slug].shape[1], 0)
            chunk = rows["id"].to_pylist(), feature_of[slug]
            features.write(features.file_of("benchmarks", side, slug, "toy"), info, [chunk])
    bench = Benchmark("toy")
    scores = {name: score(bench.evaluators, bench.features, own) for name, own in METHODS.items()}
    return content(bench, scores, params)


def test_every_pair_of_every_method_under_both_protocols(tmp_path: Path) -> None:
    found = assess(labelled(), FEATURES, EvaluateParams(protocol="paper"))
    right, wrong = (
        {part: {"score": x, "top1": x, "top5": 1.0} for part in ("choose", "report", "all")}
        for x in (1.0, 0.0)
    )
    assert found == {
        "benchmark": "toy", "task": "classification", "metric": "top-1 accuracy", "protocol": "paper",
        "images": 2, "texts": 2, "wordings": None, "questions": 0, "salt": 0,
        "parts": {"choose": 1, "report": 1, "all": 2}, "skipped": 1, "ceiling": None, "chance": 0.5,
        "protocols": {
            "standard": {"methods": {"hyma": {"eye-words": right, "wide-words": right},
                                     "grid": {"eye-words": wrong, "wide-words": right}}},
            "paper": {"methods": {"hyma": {"eye-words": wrong, "wide-words": wrong},
                                  "grid": {"eye-words": right, "wide-words": wrong}}},
        },
    }  # fmt: skip
    write_json(tmp_path / "toy.json", found)
    assert read_json(tmp_path / "toy.json") == found
    assert assess(labelled(), FEATURES, EvaluateParams())["protocol"] == "standard"


@pytest.mark.parametrize(("has", "asked"), [("paper", "standard"), ("standard", "paper")])
def test_a_benchmark_without_the_protocol_ranks_by_its_own(has: Any, asked: Any) -> None:
    texts = [{"image": row, "pool": 0, "protocol": has, "text": "xy"[row]} for row in range(2)]
    images = [{"protocol": has, "content": "ab"[row]} for row in range(2)]
    tables = table(images, IMAGES), table(texts, TEXTS), QUESTIONS.empty_table()
    feature_of = FEATURES | {"words": FEATURES["words"][:2]}
    found = assess(Prepared(Meta("retrieval", "made"), *tables), feature_of, EvaluateParams(protocol=asked))
    assert (found["protocol"], list(found["protocols"]), found["metric"]) == (has, [has], "mean recall")
    methods = found["protocols"][has]["methods"]
    # Two candidates: only recall@1 can fail. Half of all guesses at rank 1 are right.
    ways = 1 if has == "paper" else 2
    for part in ("choose", "report", "all"):
        right, wrong = (methods[name]["eye-words"][part] for name in ("hyma", "grid"))
        assert right == dict.fromkeys(right, 1.0)
        assert len(right) == 1 + 3 * ways
        assert wrong["score"] == pytest.approx(2 / 3)
    assert (found["wordings"], found["parts"]) == (2, {"choose": 1, "report": 1, "all": 2})


def test_question_answering_has_a_ceiling_and_one_protocol() -> None:
    answers = [["red"] * 10, ["sky"] * 8 + ["blue"] * 2]
    questions = [{"image": row, "prompt": 0, "answers": people} for row, people in enumerate(answers)]
    texts = [{"target": row, "protocol": "both"} for row in range(2)]
    meta = Meta("vqa", "made", answers=["red", "blue"], questions=2)
    images = [{"protocol": "both", "content": "ab"[row]} for row in range(2)]
    data = Prepared(meta, table(images, IMAGES), table(texts, TEXTS), table(questions, QUESTIONS))
    feature_of = FEATURES | {"words": FEATURES["words"][:2]}
    found = assess(data, feature_of, EvaluateParams(protocol="paper"))
    assert (found["protocol"], found["metric"], found["questions"]) == ("standard", "VQA accuracy", 2)
    # Red to the first is 1, blue to the second 0.6: at best, and by keeping. Chance takes either: half of it.
    scores = {name: own["eye-words"] for name, own in found["protocols"]["standard"]["methods"].items()}
    assert scores["hyma"]["all"]["score"] == pytest.approx(0.8)
    both = [scores["hyma"][half]["score"] for half in ("choose", "report")]
    assert sorted(both) == pytest.approx([0.6, 1])
    assert (found["ceiling"], found["chance"]) == pytest.approx((both[1], both[1] / 2))
    assert {scores["grid"][part]["score"] for part in ("choose", "report", "all")} == {0}
    # The mean image is as near to red as to blue: red, the first.
    assert scores["hyma"]["all"]["no_image"] == pytest.approx(0.5)


def test_embed_is_normalise_then_connect_then_unit_length() -> None:
    generator = torch.Generator().manual_seed(0)
    spec = ConnectorSpec("mlp1", d_text=4, d_image=3, hidden=5)
    connector = initialise(spec, generator)
    image_ND, text_ME = torch.randn(6, 3, generator=generator), 10 + torch.randn(7, 4, generator=generator)
    sides = [Normaliser.fit("standardise", feature) for feature in (image_ND, text_ME)]
    stitch = Stitch(spec, connector, *sides)
    found = embed_image(stitch, image_ND.numpy()), embed_text(stitch, text_ME.numpy())

    weights = {name: tensor.numpy().astype(float) for name, tensor in connector.items()}
    image, text = (feature.numpy().astype(float) for feature in (image_ND, text_ME))
    image, text = ((feature - feature.mean(0)) / feature.std(0) for feature in (image, text))
    hidden = np.maximum(text @ weights["weight0"].T + weights["bias0"], 0)
    mapped = hidden @ weights["weight1"].T + weights["bias1"]
    for unit, raw in zip(found, (image, mapped), strict=True):
        assert isinstance(unit, np.ndarray)
        np.testing.assert_allclose(unit, raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-5)

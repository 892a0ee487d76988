"""Quirks of the published data sets, from their files to the score: reader and evaluation together.

What a reader alone or the evaluation alone makes of them is in test_readers.py, test_evaluation.py and
test_metrics.py.
"""

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hyma.common.prepared import Prepared
from hyma.evaluation.evaluator import Evaluator
from hyma.evaluation.params import EvaluateParams
from hyma.readers.base.common import data_file
from hyma.stitching.connectors import ConnectorSpec, Stitch, forward
from hyma.stitching.normalise import Normaliser
from tests.assessing import assess
from tests.test_evaluation import made, prompts, unit
from tests.test_readers import draw, dump, karpathy, questions, rows, run, val2017

EYE = np.eye(32, dtype=np.float32)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def by_text(data: Prepared, embed: Callable[[str], np.ndarray]) -> np.ndarray:
    """An embedding of every text, by its words alone."""
    return np.stack([embed(text) for text in data.texts["text"].to_pylist()])


def test_two_pairs_of_imagenet_names_repeat() -> None:
    names = data_file("imagenet_classes.json")
    ordered = [names[wnid] for wnid in sorted(names)]
    assert len(ordered) == 1000
    places = {name: [row for row, own in enumerate(ordered) if own == name] for name in ordered}
    repeated = {name: found for name, found in places.items() if len(found) > 1}
    assert repeated == {"missile": [657, 744], "sunglasses": [836, 837]}
    # Places that everybody knows: sorted wnids are the index that models were trained with.
    assert [ordered[row] for row in (0, 281, 517, 999)] == [
        "tench", "tabby cat", "construction crane", "toilet paper",
    ]  # fmt: skip


def test_pictures_of_either_repeated_name_keep_their_own_label(raw: Path) -> None:
    """Both are named missile: a text says nothing of which, so only the class that comes first is ever right."""
    wnids = ["n04008634", "n03773504", "n01440764"]
    draw(*(raw / f"val/{wnid}/ILSVRC2012_val_0000000{n}.JPEG" for wnid in wnids for n in range(2)))
    data = run(raw, "imagenet")
    assert rows(data.images, "label") == [0, 0, 1, 1, 2, 2]
    text_MD = by_text(data, lambda text: EYE[1 if "missile" in text else 0])
    image_ND = EYE[[0, 0, 1, 1, 1, 1]]
    for protocol in ("standard", "paper"):
        evaluator = Evaluator(data, protocol)  # type: ignore[arg-type]
        assert evaluator.items(image_ND, text_MD).tolist() == [1, 1, 1, 1, 0, 0]
        assert evaluator.score(image_ND, text_MD)["top5"] == 1
        assert evaluator.chance() == pytest.approx(1 / 3)


BEND = {
    "weight0": torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]),
    "bias0": torch.zeros(3),
    "weight1": torch.tensor([[1.0, 0.0, 0.2], [0.0, 1.0, 0.2]]),
    "bias1": torch.zeros(2),
}


def scaled(row_ND: np.ndarray) -> np.ndarray:
    return row_ND / np.linalg.norm(row_ND, axis=1, keepdims=True)


def test_prompts_go_through_the_connector_before_they_are_averaged() -> None:
    """Connector, unit length, mean, unit length, class by class; any other order picks the other class."""
    image_ND = np.array([[-1, 1]], np.float32)
    feature_MD = np.array([[2.5, 1.5], [-4, -3], [2.5, 4], [-3.5, -4]], np.float32)  # two prompts a class

    def connect(row_MD: np.ndarray) -> np.ndarray:
        return forward(BEND, torch.tensor(row_MD)).numpy()

    def mean(row_MD: np.ndarray) -> np.ndarray:
        return row_MD.reshape(2, 2, 2).mean(1)

    orders = {
        "right": mean(scaled(connect(scaled(feature_MD)))),
        "connector last": connect(scaled(mean(scaled(feature_MD)))),
        "lengths kept": mean(connect(feature_MD)),
    }
    nearest = {name: int((image_ND @ scaled(class_CD).T).argmax()) for name, class_CD in orders.items()}
    assert nearest == {"right": 0, "connector last": 1, "lengths kept": 1}
    data = made("classification", [{"label": 0}] * 2, prompts([0, 0, 1, 1], "both"), classes=["a", "b"])
    stitch = Stitch(ConnectorSpec("mlp1", 2, 2, hidden=3), BEND, Normaliser("l2"), Normaliser("l2"))
    features = {"i": image_ND[[0, 0]], "t": feature_MD}
    found = assess("x", data, features, {"grid": {"i-t": stitch}}, EvaluateParams())
    parts = found["protocols"]["standard"]["methods"]["grid"]["i-t"]
    assert [parts[part]["top1"] for part in ("choose", "report", "all")] == [1, 1, 1]


def test_karpathys_captions_share_one_pool(raw: Path) -> None:
    """Each picture's sixth and seventh captions are gone, the first five are rivals of all others'."""
    captions = {f"{name}.jpg": [f"{name} {n}" for n in range(7)] for name in "abc"}
    records = [karpathy(name, "test", *own) for name, own in captions.items()]
    records.append(karpathy("z.jpg", "restval", "z 0"))
    dump(raw / "dataset_coco.json", {"images": records})
    draw(*(raw / "val2014" / name for name in captions))
    data = run(raw, "coco")
    assert (data.meta.images, data.meta.texts) == (3, 15)
    direction = {caption: EYE[row] for row, caption in enumerate(chain(*captions.values()))}
    text_MD = by_text(data, direction.__getitem__)
    image_ND = np.stack([direction["a 6"], 0.8 * direction["a 4"] + 0.6 * direction["b 0"], direction["c 0"]])
    found = Evaluator(data, "standard").score(image_ND, text_MD)
    # a: all fifteen are as near, and the ten wrong ones count first. b: one wrong before its own. c: none.
    assert (found["i2t_r1"], found["i2t_r5"], found["i2t_r10"]) == pytest.approx((1 / 3, 2 / 3, 2 / 3))


def test_val2017_is_the_mean_of_five_pools(raw: Path) -> None:
    """Twelve pictures with five to seven captions; a pool is everybody's n-th caption, and asks of its own."""
    rng = np.random.default_rng(0)
    names = [f"{n:012d}.jpg" for n in range(12)]
    notes = [(n, f"{n} {own}") for own in range(7) for n in rng.permutation(12).tolist() if own < 5 + n % 3]
    val2017(raw, names, notes)
    draw(*(raw / "val2017" / name for name in names))
    data = run(raw, "coco")
    assert (data.meta.images, data.meta.texts) == (12, 60)
    vector = {caption: unit(rng, 6) for _, caption in notes}
    image_ND, text_MD = unit(rng, 12, 6), by_text(data, lambda text: vector[text])
    found = Evaluator(data, "paper").score(image_ND, text_MD)
    for k in (1, 5, 10):
        hits = []
        for pool in range(5):
            rival_ND = np.stack([vector[f"{n} {pool}"] for n in range(12)])
            order_NN = (-image_ND @ rival_ND.T).argsort(1)
            hits.append(np.mean([n in order_NN[n, :k] for n in range(12)]))
        assert found[f"i2t_r{k}"] == pytest.approx(np.mean(hits))
    assert found["score"] == pytest.approx(np.mean([found[f"i2t_r{k}"] for k in (1, 5, 10)]))


def test_flickr_names_that_no_list_holds(raw: Path) -> None:
    """The token file has five captions of ``2258277193_586949ec62.jpg.1``, which is nobody's picture."""
    names = ["2258277193_586949ec62.jpg.1", "1_a.jpg", "2_b.jpg", "3_c.jpg"]
    lines = [f"{name}#{n}\tA dog , number {n} ." for name in names for n in range(5)]
    (raw / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    for split, own in (("train", "1_a.jpg"), ("dev", "2_b.jpg"), ("test", "3_c.jpg")):
        (raw / f"Flickr_8k.{split}Images.txt").write_text(f"{own}\n")
    draw(raw / "Flicker8k_Dataset/3_c.jpg")
    data = run(raw, "flickr8k")
    assert rows(data.images, "id") == ["3_c.jpg"]
    assert rows(data.texts, "text") == [f"A dog , number {n} ." for n in range(5)]
    assert data.meta.skipped == []


def test_flickr_header_and_commas(raw: Path) -> None:
    """Of captions.txt only the first line is no caption, even if a caption is worded like it."""
    (raw / "captions.txt").write_text('image,caption\na.jpg,"image,caption"\na.jpg,red , green,blue .\n')
    draw(raw / "Images/a.jpg")
    assert rows(run(raw, "flickr8k").texts, "text") == ["image,caption", "red , green,blue ."]


TENS = {1: 0.3, 2: 0.6, 3: 0.9, 4: 1.0, 5: 1.0, 10: 1.0}


def answer_score(raw: Path, name: Any, people: list[list[str]], wrap: Any = str) -> list[float]:
    """The accuracy of each question's answer "cat", which is what the embeddings always find."""
    val = [(number, number, "What?", given) for number, given in enumerate(people)]
    draw(*questions(raw, name, val, [["cat", "cat", "dog"]], wrap))
    data = run(raw, name)
    assert rows(data.texts, "text") == ["Question: What? Answer: cat", "Question: What? Answer: dog"]
    text_MD = by_text(data, lambda text: EYE[int("Answer: dog" in text)])
    evaluator, image_ND = Evaluator(data, "standard"), EYE[[0] * len(people)]
    items = evaluator.items(image_ND, text_MD).tolist()
    assert evaluator.score(image_ND, text_MD)["score"] == pytest.approx(np.mean(items))
    return items


def test_textvqa_plain_strings_of_ten_people(raw: Path) -> None:
    people = [["cat"] * n + [f"other {m}" for m in range(10 - n)] for n in TENS]
    assert answer_score(raw, "textvqa", people) == pytest.approx(list(TENS.values()))


def test_okvqa_answers_in_twos(raw: Path) -> None:
    """Five people, each written down twice: one of them is worth 0.6, two of them everything."""

    def note(answer: str) -> dict[str, Any]:
        return {"answer": answer, "raw_answer": f"the {answer}s", "answer_confidence": "yes", "answer_id": 1}

    people = [[word for word in given.split() for _ in range(2)] for given in (
        "dog cow ox pig hen", "cat cow ox pig hen", "cat cat ox pig hen", "cat cat cat cat cat",
    )]  # fmt: skip
    assert answer_score(raw, "okvqa", people, note) == pytest.approx([0, 0.6, 1, 1])

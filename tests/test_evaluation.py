"""Zero-shot evaluation of small benchmarks whose scores were worked out by hand or by loops."""

from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyma.common.names import Protocol
from hyma.common.prepared import IMAGES, QUESTIONS, TEXTS, Meta, Prepared, table
from hyma.evaluation.evaluator import Evaluator, protocols

Rows = list[dict[str, Any]]


def made(task: Any, images: Rows, texts: Rows, questions: Rows | None = None, **meta: Any) -> Prepared:
    """A benchmark in the prepared form; rows differ, and serve both protocols, unless they say otherwise."""
    image_rows = [{"protocol": "both", "content": f"picture {row}"} | own for row, own in enumerate(images)]
    text_rows = [{"protocol": "both", "text": f"text {row}"} | own for row, own in enumerate(texts)]
    tables = table(image_rows, IMAGES), table(text_rows, TEXTS), table(questions or [], QUESTIONS)
    return Prepared(Meta(task, "made", **meta), *tables)


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    vector = rng.normal(size=shape).astype(np.float32)
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def captioned(owner: list[int], pool: list[int], images: int) -> Prepared:
    texts = [{"image": row, "pool": number} for row, number in zip(owner, pool, strict=True)]
    return made("retrieval", [{}] * images, texts)


def prompts(targets: list[int], protocol: str) -> Rows:
    return [{"target": target, "protocol": protocol} for target in targets]


def test_ensemble_is_brought_to_unit_length() -> None:
    data = made(
        "classification", [{"label": 0}], prompts([0, 1, 0, 1], "standard") + prompts([0, 1], "paper"),
        classes=["a", "b"],
    )  # fmt: skip
    image_ND = np.array([[0.6, 0.8]], np.float32)
    text_MD = np.array([[1, 0], [0.8, 0.6], [0, 1], [0.8, 0.6], [1, 0], [0.8, 0.6]], np.float32)
    # Class a is (0.5, 0.5), at unit length (0.71, 0.71): 0.99 with the image, and 0.7 if left short.
    # Class b scores 0.96. On the paper's prompt alone a scores 0.6.
    assert Evaluator(data, "standard").score(image_ND, text_MD) == {"score": 1, "top1": 1, "top5": 1}
    assert Evaluator(data, "paper").score(image_ND, text_MD) == {"score": 0, "top1": 0, "top5": 1}
    assert Evaluator(data, "standard").items(image_ND, text_MD).tolist() == [1]
    assert Evaluator(data, "paper").items(image_ND, text_MD).tolist() == [0]


def test_classification_equals_a_loop() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(9, size=50)
    images: Rows = [
        {"label": int(own), "protocol": ("both", "standard", "paper")[row % 3]}
        for row, own in enumerate(label)
    ]
    targets = [target for _ in range(3) for target in range(9)]
    texts = prompts(targets, "standard") + prompts(list(range(9)), "paper")
    data = made("classification", images, texts, classes=list("abcdefghi"))
    image_ND, text_MD = unit(rng, 50, 6), unit(rng, 36, 6)
    for protocol, used in (("standard", range(27)), ("paper", range(27, 36))):
        hits: dict[int, list[bool]] = {1: [], 5: []}
        for row, image in enumerate(image_ND):
            if images[row]["protocol"] not in ("both", protocol):
                continue
            score = []
            for target in range(9):
                total = sum(text_MD[text] for text in used if texts[text]["target"] == target)
                score.append(float(image @ total / np.linalg.norm(total)))
            for k, found in hits.items():
                found.append(label[row] in sorted(range(9), key=lambda c: -score[c])[:k])
        found_scores = Evaluator(data, protocol).score(image_ND, text_MD)  # type: ignore[arg-type]
        top1, top5 = (pytest.approx(np.mean(hits[k])) for k in (1, 5))
        assert found_scores == {"score": top1, "top1": top1, "top5": top5}
        assert Evaluator(data, protocol).items(image_ND, text_MD).tolist() == hits[1]  # type: ignore[arg-type]


def test_repeated_class_names() -> None:
    """Class 3 and class 29 have one name, hence one vector: the lower ranks first, the higher never does."""
    rng = np.random.default_rng(1)
    text_MD = unit(rng, 30, 100)
    text_MD[29] = text_MD[3]
    image_ND = text_MD[3] + 0.3 * unit(rng, 300, 100)
    image_ND /= np.linalg.norm(image_ND, axis=1, keepdims=True)
    names, texts = [str(number % 26) for number in range(30)], prompts(list(range(30)), "both")
    for label, top1 in ((3, 1.0), (29, 0.0), (4, 0.0)):
        data = made("classification", [{"label": label}] * 300, texts, classes=names)
        found = Evaluator(data, "standard").score(image_ND, text_MD)
        assert (label, found["top1"]) == (label, top1)


IMAGE_ND = np.array([[1, 0], [0, 1]], np.float32)
TEXT_MD = np.array([[0.6, 0.8], [1, 0], [0.8, 0.6]], np.float32)


def test_retrieval_by_hand() -> None:
    # Image 0 has captions 0 (pool 0) and 1 (pool 1), image 1 has caption 2 (pool 0).
    data = captioned([0, 0, 1], [0, 1, 0], 2)
    # One pool: image 0 finds caption 1, image 1 finds caption 0 of the other; caption 1 alone finds its image.
    recall = {
        "i2t_r1": 0.5,
        "i2t_r5": 1,
        "i2t_r10": 1,
        "t2i_r1": pytest.approx(1 / 3),
        "t2i_r5": 1,
        "t2i_r10": 1,
    }
    expected = {"score": pytest.approx((0.5 + 1 / 3 + 4) / 6)} | recall
    assert Evaluator(data, "standard").score(IMAGE_ND, TEXT_MD) == expected
    # Mean recalls of the images 1 and 2/3, of the captions 2/3, 1 and 2/3; all in all 5/6 and 7/9, score 29/36.
    # Image 0 moves the score by (1/6) / 2 and (-1/9 + 2/9) / 3, halved for two directions, doubled for two images.
    items = Evaluator(data, "standard").items(IMAGE_ND, TEXT_MD)
    assert items.tolist() == pytest.approx([29 / 36 + 1 / 12 + 1 / 27, 29 / 36 - 1 / 12 - 1 / 27])
    # Pool 0: both images find the other's caption. Pool 1: image 0 finds its own; image 1 does not ask.
    expected = {"score": pytest.approx(2.5 / 3), "i2t_r1": 0.5, "i2t_r5": 1, "i2t_r10": 1}
    assert Evaluator(data, "paper").score(IMAGE_ND, TEXT_MD) == expected
    # Neither image stands out in pool 0, and in pool 1 there is only one.
    assert Evaluator(data, "paper").items(IMAGE_ND, TEXT_MD).tolist() == pytest.approx([2.5 / 3] * 2)


@pytest.mark.parametrize("protocol", ["standard", "paper"])
def test_items_of_equally_many_captions_are_the_images_own_recall(protocol: Protocol) -> None:
    rng = np.random.default_rng(5)
    owner, pool = np.repeat(np.arange(15), 3), np.tile(np.arange(3), 15)
    image_ND, text_MD = unit(rng, 15, 4), unit(rng, 45, 4)
    similarity_NM = image_ND @ text_MD.T
    expected = []
    for image in range(15):
        own = np.flatnonzero(owner == image)
        if protocol == "standard":
            wrong = similarity_NM[image, owner != image]
            to_text = np.mean([(wrong > similarity_NM[image, own].max()).sum() < k for k in (1, 5, 10)])
            to_image = [
                np.mean([(similarity_NM[:, row] > similarity_NM[image, row]).sum() < k for k in (1, 5, 10)])
                for row in own
            ]
            expected.append((to_text + np.mean(to_image)) / 2)
        else:
            rivals = [similarity_NM[image, pool == pool[row]] for row in own]
            ranks = [(near > similarity_NM[image, row]).sum() for near, row in zip(rivals, own, strict=True)]
            expected.append(np.mean([rank < k for rank in ranks for k in (1, 5, 10)]))
    found = Evaluator(captioned(owner.tolist(), pool.tolist(), 15), protocol).items(image_ND, text_MD)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert len(set(found.tolist())) > 3


def drawn(rng: np.random.Generator, task: str) -> Prepared:
    """A benchmark drawn by lot; its images and texts belong to either protocol or to both."""
    count = int(rng.integers(4, 30))
    turn = ["standard", "paper", *rng.choice(["both", "standard", "paper"], count - 2).tolist()]
    if task == "classification":
        images: Rows = [{"label": int(rng.integers(7)), "protocol": protocol} for protocol in turn]
        texts = prompts(list(range(7)) * 2, "standard") + prompts(list(range(7)), "paper")
        return made(task, images, texts, classes=list("abcdefg"))
    if task == "vqa":
        asked = [
            {"image": int(rng.integers(count)), "prompt": int(rng.integers(2)),
             "answers": rng.choice(list("abcd"), 10).tolist()} for _ in range(25)
        ]  # fmt: skip
        return made(task, [{}] * count, [{"target": row % 3} for row in range(6)], asked, answers=list("abc"))
    texts = [
        {"image": image, "pool": pool, "protocol": protocol}
        for image, protocol in enumerate(turn)
        for pool in range(int(rng.integers(image < 2, 5)))  # some images have no caption, but not all
    ]
    return made(task, [{"protocol": protocol} for protocol in turn], texts)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["classification", "retrieval", "vqa"]), st.integers(0, 10**6))
def test_the_mean_of_the_items_is_the_score(task: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = drawn(rng, task)
    image_ND, text_MD = unit(rng, len(data.images), 5), unit(rng, len(data.texts), 5)
    for protocol in protocols(data):
        evaluator = Evaluator(data, protocol)
        items = evaluator.items(image_ND, text_MD)
        assert items.dtype == np.float32
        assert items.shape == (25 if task == "vqa" else len(evaluator.images),)
        score = evaluator.score(image_ND, text_MD)["score"]
        assert items.mean(dtype=np.float64) == pytest.approx(score, abs=1e-6)


def test_each_protocol_sees_its_own_images() -> None:
    """As in COCO: images of either protocol lie between each other's, and score as if they were alone."""
    rng = np.random.default_rng(2)
    turn = ["standard", "paper"] * 12
    owner = np.repeat(np.arange(24), [5, 3, 0, 1] * 6)
    pool = [row - owner.tolist().index(own) for row, own in enumerate(owner)]
    texts: Rows = [
        {"image": int(own), "pool": number, "protocol": turn[own]}
        for own, number in zip(owner, pool, strict=True)
    ]
    data = made("retrieval", [{"protocol": protocol} for protocol in turn], texts)
    image_ND, text_MD = unit(rng, 24, 5), unit(rng, len(owner), 5)
    for start, protocol in enumerate(protocols(data)):
        chosen = owner % 2 == start
        alone = captioned((owner[chosen] // 2).tolist(), np.array(pool)[chosen].tolist(), 12)
        found = Evaluator(data, protocol).score(image_ND, text_MD)
        assert found == Evaluator(alone, protocol).score(image_ND[start::2], text_MD[chosen])
        assert 0 < found["i2t_r1"] < found["score"] < 1
        # The paper's i2t by a loop over pools, images and captions.
        if protocol == "paper":
            shares = []
            for number in range(3):
                own = [row for row in np.flatnonzero(chosen) if pool[row] == number]
                best = [max(own, key=lambda row: text_MD[row] @ image_ND[owner[ask]]) for ask in own]
                shares.append(
                    np.mean([owner[near] == owner[ask] for near, ask in zip(best, own, strict=True)])
                )
            assert found["i2t_r1"] == pytest.approx(np.mean(shares))


def visual_questions() -> Prepared:
    """Two wordings, three answers, five questions; nothing has the answer blue."""
    people = [
        ["yes"] * 10,
        ["no"] * 2 + ["maybe"] * 4 + ["blue"] * 4,
        ["yes"] * 10,
        ["yes"] + ["no"] * 3 + ["blue"] * 6,
        ["blue"] * 9 + ["yes"],
    ]
    asked = [(0, 0), (1, 0), (0, 1), (1, 1), (1, 1)]
    questions = [
        {"image": image, "prompt": prompt, "answers": given}
        for (image, prompt), given in zip(asked, people, strict=True)
    ]
    texts = [{"target": number % 3} for number in range(6)]
    return made("vqa", [{}] * 2, texts, questions, answers=["yes", "no", "maybe"])


def test_vqa_by_hand() -> None:
    data = visual_questions()
    text_MD = np.array([[1, 0], [0, 1], [0.8, 0.6], [0, 1], [0.8, 0.6], [-1, 0]], np.float32)
    # The first wording's nearest: yes to image 0, no to image 1, maybe to their mean, (0.71, 0.71).
    # The second's: no to image 0, yes to image 1, no to the mean.
    found = Evaluator(data, "standard").score(IMAGE_ND, text_MD)
    assert found["score"] == pytest.approx((1 + 0.6 + 0 + 0.3 + 0.3) / 5)
    assert found["no_image"] == pytest.approx((0 + 1 + 0 + 0.9 + 0) / 5)
    assert list(found) == ["score", "no_image"]
    items = Evaluator(data, "standard").items(IMAGE_ND, text_MD)
    assert items.tolist() == pytest.approx([1, 0.6, 0, 0.3, 0.3])
    # Opposite images have no mean direction: every answer is as near, and the first of the list is taken.
    found = Evaluator(data, "standard").score(np.array([[1, 0], [-1, 0]], np.float32), text_MD)
    assert found["no_image"] == pytest.approx((1 + 0 + 1 + 0.3 + 0.3) / 5)


def test_vqa_ceiling_and_chance() -> None:
    evaluator = Evaluator(visual_questions(), "standard")
    assert evaluator.ceiling() == pytest.approx((1 + 1 + 1 + 0.9 + 0.3) / 5)
    # One of three answers by lot: 1, 0.6 + 1, 1, 0.3 + 0.9 and 0.3, a third of each.
    assert evaluator.chance() == pytest.approx((1 + 1.6 + 1 + 1.2 + 0.3) / 3 / 5)


def test_chance_of_classification_and_of_pools() -> None:
    four = made("classification", [{"label": 0}], prompts([0, 1, 2, 3], "both"), classes=list("abcd"))
    pools = captioned([0, 0, 1], [0, 1, 0], 2)
    assert Evaluator(four, "standard").chance() == 0.25
    assert Evaluator(pools, "paper").chance() == pytest.approx((0.5 + 5) / 6)  # pools of two and of one
    assert Evaluator(four, "standard").ceiling() is None
    assert Evaluator(pools, "paper").ceiling() is None


@pytest.mark.parametrize("captions", [[1, 1], [2, 1, 0], [5] * 40, [5, 4, 3] * 6, [1] * 12])
def test_chance_in_one_pool(captions: list[int]) -> None:
    """Draw k of all M captions without putting back: none of the image's c is among them C(M - c, k) / C(M, k)."""
    images, texts = len(captions), sum(captions)
    owner = np.repeat(np.arange(images), captions).tolist()
    data = captioned(owner, [0] * texts, images)
    to_text = [
        np.mean([1 - comb(texts - own, k) / comb(texts, k) if k < texts else 1.0 for own in captions if own])
        for k in (1, 5, 10)
    ]
    to_image = [min(1.0, k / images) for k in (1, 5, 10)]
    assert Evaluator(data, "standard").chance() == pytest.approx(np.mean(to_text + to_image), abs=1e-6)


@pytest.mark.parametrize(
    ("task", "image", "text", "expected"),
    [
        ("classification", ["both"], ["standard", "paper"], ["standard", "paper"]),
        ("retrieval", ["both"], ["both"], ["standard", "paper"]),
        ("retrieval", ["paper", "standard"], ["paper", "standard"], ["standard", "paper"]),
        ("retrieval", ["paper"], ["paper"], ["paper"]),
        ("retrieval", ["standard"], ["standard"], ["standard"]),
        ("vqa", ["both"], ["both"], ["standard"]),
    ],
)
def test_protocols(task: str, image: list[str], text: list[str], expected: list[str]) -> None:
    sides = ([{"protocol": name} for name in side] for side in (image, text))
    assert protocols(made(task, *sides)) == expected


def alike() -> Prepared:
    """Three pictures, the first and the last with one and the same caption."""
    texts = [{"image": row, "pool": 0, "text": text} for row, text in enumerate(("a dog", "a cat", "a dog"))]
    return made("retrieval", [{}] * 3, texts)


def test_captions_that_read_alike_are_one_for_every_picture_that_has_it() -> None:
    image_ND = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    dog, cat = [1.0, 0.0], [0.0, 1.0]
    text_MD = np.array([dog, cat, dog], np.float32)
    # To text: the first picture's dog and the other dog are as near, and both right; the last is nearer to the cat.
    # To image: each dog finds the first picture, which is right for both; counted by number, the second would not.
    found = Evaluator(alike(), "standard").score(image_ND, text_MD)
    assert [found[name] for name in ("i2t_r1", "t2i_r1")] == pytest.approx([2 / 3, 1])
    assert found["score"] == pytest.approx((2 / 3 + 1 + 4) / 6)
    paper = Evaluator(alike(), "paper").score(image_ND, text_MD)
    assert paper == pytest.approx({"score": (2 / 3 + 2) / 3, "i2t_r1": 2 / 3, "i2t_r5": 1, "i2t_r10": 1})
    # Were the last one another dog, the first picture's would tie with a wrong one, and the last caption find a wrong
    # picture.
    data = made("retrieval", [{}] * 3, [{"image": row, "pool": 0} for row in range(3)])
    found = Evaluator(data, "standard").score(image_ND, text_MD)
    assert [found[name] for name in ("i2t_r1", "t2i_r1")] == pytest.approx([1 / 3, 2 / 3])


def test_a_caption_of_another_pool_counts_too() -> None:
    """A picture has a wording by any of its captions: whoever else's stands in the pool, it is right."""
    texts = [{"image": 0, "pool": 0, "text": "a dog"}, {"image": 0, "pool": 1, "text": "a cat"},
             {"image": 1, "pool": 0, "text": "a cat"}]  # fmt: skip
    data = made("retrieval", [{}] * 2, texts)
    image_ND = np.array([[0, 1], [1, 0]], np.float32)
    text_MD = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    # Pool 0: the first picture finds the other's cat, which is right for it; the other finds the dog, which is not.
    # Pool 1: the first picture alone, with its cat.
    assert Evaluator(data, "paper").score(image_ND, text_MD)["i2t_r1"] == pytest.approx((0.5 + 1) / 2)
    assert Evaluator(data, "paper").captions.wordings == 2


def test_chance_where_captions_read_alike() -> None:
    # Either way two of three candidates are right for two queries, one for the third.
    expected = ((2 / 3 + 1 / 3 + 2 / 3) / 3 + 2) / 3
    assert Evaluator(alike(), "standard").chance() == pytest.approx(expected)
    assert Evaluator(alike(), "paper").chance() == pytest.approx(expected)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(["classification", "retrieval", "vqa"]), st.integers(0, 10**6))
def test_a_half_is_scored_as_its_items(task: str, seed: int) -> None:
    """The items of both halves are those of all, and their means the scores; the pool of candidates is one."""
    rng = np.random.default_rng(seed)
    data = drawn(rng, task)
    image_ND, text_MD = unit(rng, len(data.images), 5), unit(rng, len(data.texts), 5)
    for protocol in protocols(data):
        evaluator = Evaluator(data, protocol)
        if not all(evaluator.count(part) for part in ("choose", "report")):
            continue
        marks, counts = evaluator.marks(image_ND, text_MD), []
        for part in ("choose", "report", "all"):
            items, score = marks.items(evaluator.of(part)), marks.score(evaluator.of(part))["score"]
            assert items.mean(dtype=np.float64) == pytest.approx(score, abs=1e-6)
            counts.append(evaluator.count(part))
        assert counts[0] + counts[1] == counts[2]
        if task != "retrieval":
            halves = [marks.score(evaluator.of(part))["score"] for part in ("choose", "report")]
            together = np.average(halves, weights=counts[:2])
            assert together == pytest.approx(marks.score(evaluator.of("all"))["score"], abs=1e-6)

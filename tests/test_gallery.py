"""Single items of benchmarks that were worked out by hand, and held against what the evaluator counts."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyma.evaluation.evaluator import Evaluator, protocols
from hyma.report.gallery import Answer, Item, draw, judge, sample
from tests.test_evaluation import IMAGE_ND, Rows, captioned, drawn, made, prompts, unit


@dataclass
class Items:
    """Judged items of which no one asks what they are."""

    right_I: np.ndarray
    reported_I: np.ndarray

    def item(self, number: int) -> Item:
        raise AssertionError(number)


def close(item: Item, expected: Item) -> bool:
    for answer, wanted in zip(item.answers, expected.answers, strict=True):
        assert answer.cosine == pytest.approx(wanted.cosine, abs=1e-6)
    bare = [
        (one.image, one.right, one.question, one.people, [(a.text, a.place, a.true) for a in one.answers])
        for one in (item, expected)
    ]
    assert bare[0] == bare[1]
    return True


def test_classification_by_hand() -> None:
    images: Rows = [{"label": 4, "protocol": "paper"}, {"label": 1}, {"label": 4}]
    data = made("classification", images, prompts([0, 1, 2, 3, 4], "standard"), classes=list("abcde"))
    text_MD = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1], [-1, 0]], np.float32)
    image_ND = np.array([[0, 1], [1, 0], [0.6, 0.8]], np.float32)
    judged = judge(data, Evaluator(data, "standard"), image_ND, text_MD)
    assert judged.right_I.tolist() == [False, False]
    # The protocol leaves out the first image: items are counted without it, rows with it.
    first = (Answer("a", 1, 1, False), Answer("b", 0.8, 2, True), Answer("c", 0.6, 3, False))
    assert close(judged.item(0), Item(1, False, first))
    last = (Answer("c", 1, 1, False), Answer("b", 0.96, 2, False), Answer("d", 0.8, 3, False))
    assert close(judged.item(1), Item(2, False, (*last, Answer("e", -0.6, 5, True))))


def test_of_equal_classes_the_lower_comes_first() -> None:
    """As in the metric: class 2 ties with class 0, which is listed before it; class 0 itself is right."""
    text_MD = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    image_ND = np.array([[1, 0], [1, 0]], np.float32)
    data = made(
        "classification", [{"label": 0}, {"label": 2}], prompts([0, 1, 2], "both"), classes=list("abc")
    )
    judged = judge(data, Evaluator(data, "standard"), image_ND, text_MD)
    assert judged.right_I.tolist() == [True, False]
    assert [[answer.text for answer in judged.item(row).answers] for row in (0, 1)] == [list("acb")] * 2
    assert [answer.true for answer in judged.item(1).answers] == [False, True, False]


def test_retrieval_by_hand() -> None:
    # Images 0 and 1 have captions 0, 1 and 2, 3; image 2 has none and does not ask.
    data = captioned([0, 0, 1, 1], [0, 1, 0, 1], 3)
    text_MD = np.array([[0.6, 0.8], [1, 0], [1, 0], [0.8, 0.6]], np.float32)
    image_ND = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    judged = judge(data, Evaluator(data, "standard"), image_ND, text_MD)
    assert judged.right_I.tolist() == [False, False]
    # Caption 2 is as near to image 0 as its own caption 1: ties count against it.
    first = (Answer("text 2", 1, 1, False), Answer("text 1", 1, 2, True), Answer("text 3", 0.8, 3, False))
    assert close(judged.item(0), Item(0, False, first))
    second = (Answer("text 0", 0.8, 1, False), Answer("text 3", 0.6, 2, True), Answer("text 1", 0, 3, False))
    assert close(judged.item(1), Item(1, False, second))
    # Pools of one caption an image: captions 0 and 2, then 1 and 3. Each image asks once in each.
    judged = judge(data, Evaluator(data, "paper"), image_ND, text_MD)
    assert judged.right_I.tolist() == [False, False, True, True]
    assert close(
        judged.item(1), Item(1, False, (Answer("text 0", 0.8, 1, False), Answer("text 2", 0, 2, True)))
    )
    assert close(
        judged.item(2), Item(0, True, (Answer("text 1", 1, 1, True), Answer("text 3", 0.8, 2, False)))
    )


def test_questions_by_hand() -> None:
    people = [["no"] * 2 + ["maybe"] * 4 + ["blue"] * 4, ["yes"] + ["no"] * 9, ["blue"] * 10]
    asked: Rows = [
        {"image": 1 - row % 2, "prompt": row % 2, "answers": own} for row, own in enumerate(people)
    ]
    wordings = ["What Answer: is it?", "Is it?"]
    answers = ["yes", "no", "maybe", "never"]
    texts: Rows = [
        {"target": target, "text": f"Question: {wording} Answer: {answer}"}
        for wording in wordings
        for target, answer in enumerate(answers)
    ]
    data = made("vqa", [{}] * 2, texts, asked, answers=answers)
    text_MD = np.array([[1, 0], [0, 1], [0.8, 0.6], [0.6, 0.8]] * 2, np.float32)
    judged = judge(data, Evaluator(data, "standard"), IMAGE_ND, text_MD)
    # The first is answered no, as two people do: 0.6, which is enough. The second is answered yes, as one does.
    assert judged.right_I.tolist() == [True, False, False]
    first = judged.item(0)
    assert first.question == wordings[0]
    assert first.people == (("maybe", 4), ("blue", 4), ("no", 2))
    shown = [(answer.text, answer.place, answer.true) for answer in first.answers]
    assert shown == [("no", 1, True), ("never", 2, False), ("maybe", 3, True)]
    second = judged.item(1)
    assert (second.image, second.question, second.people) == (0, "Is it?", (("no", 9), ("yes", 1)))
    assert [(answer.text, answer.place) for answer in second.answers if answer.true] == [("no", 4)]
    # What people say to the third is not in the list: nothing is true.
    assert [answer.true for answer in judged.item(2).answers] == [False] * 3


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["classification", "retrieval", "vqa"]), st.integers(0, 10**6))
def test_right_items_are_those_that_the_evaluator_counts(task: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = drawn(rng, task)
    image_ND, text_MD = unit(rng, len(data.images), 5), unit(rng, len(data.texts), 5)
    for protocol in protocols(data):
        evaluator = Evaluator(data, protocol)
        judged = judge(data, evaluator, image_ND, text_MD)
        score, items = evaluator.score(image_ND, text_MD), evaluator.items(image_ND, text_MD)
        if task == "retrieval" and protocol == "standard":
            assert judged.right_I.mean() == pytest.approx(score["i2t_r1"])
        elif task != "retrieval":
            assert judged.right_I.tolist() == (items >= 0.5).tolist()
        for number, right in enumerate(judged.right_I):
            item = judged.item(number)
            assert item.right == item.answers[0].true == right
            places = [answer.place for answer in item.answers]
            assert places == sorted(set(places))
            cosines = [answer.cosine for answer in item.answers]
            assert cosines == sorted(cosines, reverse=True)
            assert item.image in evaluator.images


def test_the_sample_is_balanced_seeded_and_as_large_as_can_be() -> None:
    right_I, reported_I = np.arange(80) % 4 == 0, np.arange(80) < 40
    found = sample(Items(right_I, reported_I), 6, seed=3)
    assert len(set(found)) == 12
    assert right_I[found].tolist() == [True] * 6 + [False] * 6
    assert reported_I[found].all()
    assert found == sample(Items(right_I, reported_I), 6, seed=3)
    assert found != sample(Items(right_I, reported_I), 6, seed=4)
    assert sample(Items(np.array([True, False, False]), np.ones(3, bool)), 2, seed=0) == [0, 1, 2]
    assert sample(Items(np.ones(5, bool), np.arange(5) > 0), 7, seed=0) == [1, 2, 3, 4]
    assert draw(np.zeros(5, bool), 3, seed=0) == []

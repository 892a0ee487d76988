"""Metrics against answers worked out by hand, naive loops and scikit-learn."""

from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score

from hyma.evaluation import metrics
from hyma.evaluation.captions import Captions
from hyma.evaluation.metrics import (
    Ranks,
    label_ranks,
    recall_at_k,
    recall_items,
    retrieval_ranks,
    topk_accuracy,
    vqa_accuracy,
    vqa_table,
)

# Corners of a cube of side 1 in four dimensions: unit vectors whose products are exact, and often equal.
CORNERS = np.array(np.meshgrid(*[[-0.5, 0.5]] * 4)).reshape(4, -1).T


def unit(rng: np.random.Generator, rows: int, width: int) -> np.ndarray:
    vector_ND = rng.normal(size=(rows, width)).astype(np.float32)
    return vector_ND / np.linalg.norm(vector_ND, axis=1, keepdims=True)


def hit(similarity: Sequence[float], correct: Sequence[bool], k: int) -> bool:
    """Rank the items, a wrong one before a right one as similar, and look at the first k."""
    ranked = sorted(range(len(correct)), key=lambda item: (-similarity[item], correct[item]))
    return any(correct[item] for item in ranked[:k])


def naive_recall(
    image_ND: np.ndarray, text_MD: np.ndarray, owner: Sequence[int], k: int
) -> tuple[float, float]:
    to_text = [
        hit([float(image @ text) for text in text_MD], [own == row for own in owner], k)
        for row, image in enumerate(image_ND)
        if row in owner
    ]
    to_image = [
        hit([float(text @ image) for image in image_ND], [own == row for row in range(len(image_ND))], k)
        for text, own in zip(text_MD, owner, strict=True)
    ]
    return sum(to_text) / len(to_text), sum(to_image) / len(to_image)


def recall(
    image_ND: np.ndarray, text_MD: np.ndarray, owner: np.ndarray, ks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    return recall_at_k(retrieval_ranks(image_ND, text_MD, different(owner, len(image_ND))), ks)


def different(owner: Sequence[int] | np.ndarray, images: int) -> Captions:
    """Captions of which no two read alike."""
    return Captions.of(np.array(owner), range(len(owner)), images)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_topk_equals_sklearn(k: int) -> None:
    rng = np.random.default_rng(k)
    score_NC, label_N = rng.normal(size=(60, 7)), rng.integers(7, size=60)
    expected = top_k_accuracy_score(label_N, score_NC, k=k, labels=range(7))
    assert topk_accuracy(label_ranks(score_NC, label_N), k) == pytest.approx(expected)


@pytest.mark.parametrize(("k", "expected"), [(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0), (9, 1.0)])
def test_topk_ties_rank_the_lower_class_first(k: int, expected: float) -> None:
    # All scores are equal, so that class c ranks c-th.
    assert topk_accuracy(label_ranks(np.ones((4, 4)), np.arange(4)), k) == expected


def test_topk_loop_with_ties() -> None:
    rng = np.random.default_rng(1)
    score_NC, label_N = rng.integers(4, size=(80, 6)).astype(float), rng.integers(6, size=80)
    for k in (1, 3):
        hits = [
            label in sorted(range(6), key=lambda c: (-row[c], c))[:k]
            for row, label in zip(score_NC.tolist(), label_N.tolist(), strict=True)
        ]
        assert topk_accuracy(label_ranks(score_NC, label_N), k) == pytest.approx(np.mean(hits))


def test_recall_by_hand() -> None:
    """The third image has no caption: it is no query, but a candidate all the same."""
    image_ND = np.array([[1, 0], [0, 1], [0.8, 0.6]])
    text_MD = np.array([[0.6, 0.8], [1, 0], [0.8, 0.6]])
    # Products, images down, captions across; own captions in brackets:
    #   [0.6]  [1.0]   0.8    image 0: none before its best
    #    0.8    0.0   [0.6]   image 1: one wrong before
    #    0.96   0.8    1.0    Captions: 2, 0 and 2 wrong images before their own.
    found = recall(image_ND, text_MD, np.array([0, 0, 1]), ks=(1, 2, 3))
    third = pytest.approx(1 / 3)
    assert found == {"i2t_r1": 0.5, "i2t_r2": 1, "i2t_r3": 1, "t2i_r1": third, "t2i_r2": third, "t2i_r3": 1}


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_recall_equals_a_loop_whatever_the_block(data: st.DataObject) -> None:
    image = data.draw(st.lists(st.integers(0, 15), min_size=1, max_size=8))
    captions = st.tuples(st.integers(0, 15), st.integers(0, len(image) - 1))
    text, owner = zip(*data.draw(st.lists(captions, min_size=1, max_size=20)), strict=True)
    image_ND, text_MD = CORNERS[image], CORNERS[list(text)]
    with patch.object(metrics, "BLOCK", data.draw(st.integers(1, 9))):
        chunked = recall(image_ND, text_MD, np.array(owner), ks=(1, 2, 5))
    assert chunked == recall(image_ND, text_MD, np.array(owner), ks=(1, 2, 5))
    for k in (1, 2, 5):
        expected = naive_recall(image_ND, text_MD, owner, k)
        assert (chunked[f"i2t_r{k}"], chunked[f"t2i_r{k}"]) == pytest.approx(expected)


def test_recall_of_random_vectors_with_several_captions() -> None:
    rng = np.random.default_rng(2)
    image_ND, owner = unit(rng, 40, 8), np.repeat(np.arange(40), rng.integers(0, 6, size=40))
    text_MD = unit(rng, len(owner), 8) + image_ND[owner]
    text_MD /= np.linalg.norm(text_MD, axis=1, keepdims=True)
    found = recall(image_ND, text_MD, owner)
    assert list(found) == ["i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10"]
    for k in (1, 5, 10):
        expected = naive_recall(image_ND, text_MD, owner.tolist(), k)
        assert (found[f"i2t_r{k}"], found[f"t2i_r{k}"]) == pytest.approx(expected)
    assert 0 < found["i2t_r1"] < 1
    assert 0 < found["t2i_r1"] < 1


def test_recall_of_one_pair_and_of_equals() -> None:
    one = recall(np.ones((1, 1)), np.ones((1, 1)), np.array([0]))
    assert set(one.values()) == {1.0}
    # Four images, all alike: three wrong items come before the right one.
    same_ND = np.tile([1.0, 0.0], (4, 1))
    alike = recall(same_ND, same_ND, np.arange(4), ks=(3, 4))
    assert alike == {"i2t_r3": 0, "i2t_r4": 1, "t2i_r3": 0, "t2i_r4": 1}


def test_a_caption_that_two_images_share_is_a_tie() -> None:
    """Every caption once more, word for word, for the next image: the wrong one ranks first, to the last bit."""
    rng = np.random.default_rng(3)
    text_MD, owner = unit(rng, 150, 100), np.arange(150)
    image_ND = text_MD + 0.05 * unit(rng, 150, 100)
    image_ND /= np.linalg.norm(image_ND, axis=1, keepdims=True)
    assert recall(image_ND, text_MD, owner, ks=(1,)) == {"i2t_r1": 1, "t2i_r1": 1}
    twice = recall(image_ND, np.concatenate([text_MD] * 2), np.append(owner, np.roll(owner, -1)), ks=(1,))
    assert twice == {"i2t_r1": 0, "t2i_r1": 0.5}
    # Two images alike: each caption of either finds the other first.
    alike = recall(np.concatenate([image_ND] * 2), text_MD, owner, ks=(1, 2))
    assert alike == {"i2t_r1": 1, "i2t_r2": 1, "t2i_r1": 0, "t2i_r2": 1}


def test_retrieval_ranks_by_hand() -> None:
    """The example of `test_recall_by_hand`, query by query."""
    image_ND = np.array([[1, 0], [0, 1], [0.8, 0.6]])
    text_MD = np.array([[0.6, 0.8], [1, 0], [0.8, 0.6]])
    found = retrieval_ranks(image_ND, text_MD, different([0, 0, 1], 3))
    lists = {way: (rank_Q.tolist(), image_Q.tolist()) for way, (rank_Q, image_Q) in found.items()}
    assert lists == {"i2t": ([0, 1], [0, 1]), "t2i": ([2, 0, 2], [0, 0, 1])}
    assert list(retrieval_ranks(image_ND, text_MD, different([0, 0, 1], 3), ("i2t",))) == ["i2t"]


def test_recall_items_by_hand() -> None:
    # Images 0 and 1 ask once each, one of two hits; image 0 asks with one caption, image 2 with three; image 3 never.
    pools = [Ranks(np.array([0, 1]), np.array([0, 1])), Ranks(np.array([1, 0, 0, 0]), np.array([0, 2, 2, 2]))]
    found = recall_items(pools, 4, ks=(1,))
    # Recall 1/2 and 3/4, score 5/8. A query moves it by its deviation / (queries · 2 pools); times 4 images.
    expected = 5 / 8 + np.array([1 / 2 - 3 / 4 * 2 / 4, -1 / 2, 3 * (1 / 4) * 2 / 4, 0])
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert found.dtype == np.float32
    # All hit: every image has the full score, however often it asks.
    assert recall_items(pools, 4, ks=(2,)).tolist() == [1.0] * 4


def test_recall_items_vary_as_the_resampled_recall() -> None:
    """Images drawn again with replacement, their captions with them, against means of their values."""
    rng = np.random.default_rng(4)
    owner = np.repeat(np.arange(400), rng.integers(0, 6, size=400))
    easy_N = rng.random(400) < 0.8  # images are easy or hard for all their captions
    groups = [
        Ranks(np.where(rng.random(len(image_Q)) < 0.9, easy_N[image_Q], 1 - easy_N[image_Q]), image_Q)
        for image_Q in (np.unique(owner), owner)
    ]
    count_RN = rng.multinomial(400, np.full(400, 1 / 400), size=300)
    drawn_R = np.mean(
        [(count_RN[:, own] * (rank < 1)).sum(1) / count_RN[:, own].sum(1) for rank, own in groups], axis=0
    )
    mean_R = count_RN @ recall_items(groups, 400, ks=(1,)) / 400
    assert mean_R.std() == pytest.approx(drawn_R.std(), rel=0.02)
    assert np.corrcoef(mean_R, drawn_R)[0, 1] > 0.995


def test_nan_scores_nothing() -> None:
    nan_ND = np.full((12, 12), np.nan)
    assert topk_accuracy(label_ranks(nan_ND, np.arange(12)), 1) <= 1 / 12
    assert set(recall(nan_ND, nan_ND, np.arange(12)).values()) == {0.0}


def leave_one_out(answer: str, people: Sequence[str]) -> float:
    """The official script's way: without each person in turn."""
    without = [[*people[:out], *people[out + 1 :]] for out in range(len(people))]
    return sum(min(rest.count(answer) / 3, 1.0) for rest in without) / len(people)


@pytest.mark.parametrize(
    ("matches", "expected"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (5, 1), (10, 1)]
)
def test_vqa_of_ten_people(matches: int, expected: float) -> None:
    people = ["yes"] * matches + ["no"] * (10 - matches)
    assert vqa_accuracy("yes", people) == pytest.approx(expected)
    assert leave_one_out("yes", people) == pytest.approx(expected)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12))
def test_vqa_leaves_out_each_person(people: list[str]) -> None:
    for answer in "abcd":
        assert vqa_accuracy(answer, people) == pytest.approx(leave_one_out(answer, people))


def test_vqa_table() -> None:
    twos = ["cat", "cat", "dog", "dog", "red", "red", "dog", "dog", "cow", "cow"]  # five people, each twice
    ones = ["cat", "red", "red", "red", *["ox"] * 6]
    found_QA = vqa_table(["dog", "cat", "red", "fly"], [twos, ones, ["ox"] * 10, []])
    assert found_QA.dtype == np.float32
    expected = [[1, 0.6, 0.6, 0], [0, 0.3, 0.9, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(found_QA, expected, atol=1e-6)
    assert vqa_accuracy("ox", []) == 0

"""Uni-modal probes: cases with a known answer, and loops that do the same step by step."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from hyma.evaluation import probes
from hyma.evaluation.probes import caption_retrieval, linear_probe


def clusters(seed: int, classes: int = 3, each: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping clouds, about as far apart as they are wide."""
    rng = np.random.default_rng(seed)
    label_N = np.repeat(np.arange(classes), each)
    return rng.normal(size=(classes, 4))[label_N] + rng.normal(size=(len(label_N), 4)), label_N


def test_separable_features_are_read_off() -> None:
    label_N = np.arange(40) % 4
    assert linear_probe(np.eye(4)[label_N], label_N, seed=0)[0] == 1.0


def test_constant_features_leave_the_commonest_class() -> None:
    # Each half has 3 of 4 images in class 0, and nothing else to go by.
    label_N = np.array([0, 0, 0, 1] * 10)
    assert linear_probe(np.ones((40, 3)), label_N, seed=0)[0] == 0.75


def test_probe_equals_two_halves_by_hand() -> None:
    feature_ND, label_N = clusters(0)
    shares, iterations = [], 0
    for train, test in StratifiedKFold(2, shuffle=True, random_state=5).split(feature_ND, label_N):
        centre, width = feature_ND[train].mean(0), feature_ND[train].std(0)  # the test half stays unseen
        train_ND, test_ND = ((feature_ND[half] - centre) / width for half in (train, test))
        model = LogisticRegression(C=0.1, max_iter=1000).fit(train_ND, label_N[train])
        iterations += model.n_iter_[0]
        shares.append((model.predict(test_ND) == label_N[test]).mean())
    found, flops = linear_probe(feature_ND, label_N, seed=5)
    assert found == pytest.approx(np.mean(shares))
    assert 0.4 < found < 1
    # 30 images a half, 4 numbers each, 3 classes; logits and gradient an iteration, then logits of both halves.
    assert iterations > 5
    assert flops == iterations * 2 * (2 * 30 * 4 * 3) + 2 * (2 * 30 * 4 * 3)


def test_probe_ignores_scale_and_offset_and_repeats() -> None:
    feature_ND, label_N = clusters(1)
    found = linear_probe(feature_ND, label_N, seed=2)
    scaled_ND = feature_ND * [1000, 1, 0.01, 5] + [9, -7, 0, 3]
    assert linear_probe(scaled_ND, label_N, seed=2)[0] == found[0]
    assert linear_probe(feature_ND, label_N, seed=2) == found
    assert len({linear_probe(feature_ND, label_N, seed=seed)[0] for seed in range(5)}) > 1


def test_probe_is_quiet_when_it_stops_early(monkeypatch: pytest.MonkeyPatch) -> None:
    feature_ND, label_N = clusters(2)
    with pytest.warns(ConvergenceWarning):
        LogisticRegression(max_iter=1).fit(feature_ND, label_N)
    monkeypatch.setattr(probes, "LogisticRegression", lambda **_: LogisticRegression(max_iter=1))
    accuracy, flops = linear_probe(feature_ND, label_N, seed=0)  # warnings are errors here
    assert 1 / 3 < accuracy <= 1
    assert flops == (2 * 2 + 2) * 2 * 30 * 4 * 3  # one iteration a half


def naive_retrieval(text_MD: np.ndarray, image: list[int]) -> float:
    """Cosine of every two captions about the mean caption, one by one; captions without a direction have 0."""
    centred = [row - text_MD.mean(0) for row in text_MD]
    hits = 0
    for own, query in enumerate(centred):
        cosines = {
            other: float(query @ item) / (float(np.linalg.norm(query) * np.linalg.norm(item)) or 1.0)
            for other, item in enumerate(centred)
            if other != own
        }
        hits += image[max(cosines, key=cosines.__getitem__)] == image[own] if cosines else 0
    return hits / len(image)


def test_caption_retrieval_by_hand() -> None:
    # About the mean (5, 0) captions 0 and 1 lie on one side, 2 and 3 on the other: 45° within, 135° across.
    text_MD = np.array([[6, 0], [6, 1], [4, 0], [4, -1]])
    assert caption_retrieval(text_MD, np.array([0, 0, 1, 1])) == 1
    assert caption_retrieval(text_MD, np.array([0, 0, 1, 2])) == 0.5
    assert caption_retrieval(text_MD, np.array([0, 1, 0, 1])) == 0
    assert caption_retrieval(text_MD, np.array([0, 1, 2, 3])) == 0


def test_the_mean_is_removed_first() -> None:
    # About the origin all lie along (1, 0), nearest by their small second part; about the mean, (100, 0), it is
    # the first part that tells them apart: 0 with 1, 2 with 3. Without centring 0 would go with 2.
    text_MD = np.array([[101, 0.1], [101, -0.1], [99, 0.1], [99, -0.1]])
    cosine = (text_MD @ text_MD.T) / np.outer(*[np.linalg.norm(text_MD, axis=1)] * 2)
    assert cosine[0, 2] > cosine[0, 1]
    assert caption_retrieval(text_MD, np.array([0, 0, 1, 1])) == 1
    assert caption_retrieval(text_MD + np.array([7, -900]), np.array([0, 0, 1, 1])) == 1


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 25), st.integers(1, 9))
def test_caption_retrieval_equals_a_loop_whatever_the_block(seed: int, captions: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    image_M, text_MD = rng.integers(0, 6, size=captions), rng.normal(size=(captions, 5)) + 3
    kept_MD = text_MD.copy()
    with patch.object(probes, "BLOCK", block):
        assert caption_retrieval(text_MD, image_M) == pytest.approx(
            naive_retrieval(text_MD, image_M.tolist())
        )
    np.testing.assert_array_equal(text_MD, kept_MD)


def test_a_caption_is_not_its_own_neighbour() -> None:
    """Two captions of different images, alike or not, never find their own; one caption has none to find."""
    for second in ([1.0, 0.0], [0.0, 1.0]):
        text_MD = np.array([[1.0, 0.0], second])
        assert caption_retrieval(text_MD, np.array([0, 1])) == 0
        assert caption_retrieval(text_MD, np.array([0, 0])) == 1
    assert caption_retrieval(np.array([[1.0, 0.0]]), np.array([0])) == 0

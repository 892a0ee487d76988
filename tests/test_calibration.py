"""Similarities against chance: none is left of independent features, whatever their widths, and all of a copy's."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from hyma import methods
from hyma.methods.shared import calibration, similarity
from hyma.methods.shared.calibration import LEVEL, calibrated, orders
from tests.test_similarity import normal, related, rotation
from tests.test_training_free import run, toy

K = 5


def plain_cka(image_ND: Tensor, text_NE: Tensor) -> float:
    """By its definition, on features (Kornblith et al. 2019, equation 4)."""
    x, y = image_ND - image_ND.mean(0), text_NE - text_NE.mean(0)
    return float((y.T @ x).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm()))


def all_alignments(image_ND: Tensor, text_NE: Tensor, order_PN: Tensor) -> Tensor:
    shuffled = calibration.shuffled_gram(calibration.plain_gram(image_ND), order_PN)
    return calibration.alignments(shuffled, calibration.plain_gram(text_NE))


def all_overlaps(image_ND: Tensor, text_NE: Tensor, order_PN: Tensor) -> Tensor:
    places = calibration.shuffled_neighbours(similarity.neighbours(image_ND, K), order_PN)
    return calibration.overlaps(places, similarity.neighbours(text_NE, K))


MEASURES: dict[str, tuple[Callable[..., Tensor], Callable[[Tensor, Tensor], float]]] = {
    "calibrated_cka": (all_alignments, plain_cka),
    "calibrated_knn": (all_overlaps, lambda image, text: similarity.mutual_knn(image, text, K)),
}
measures = pytest.mark.parametrize("measure", list(MEASURES))


@measures
def test_shuffling_the_kernel_is_shuffling_the_features(measure: str) -> None:
    in_all_orders, plain = MEASURES[measure]
    image, text = related(40)
    order_PN = orders(40, 30, 0)
    expected = [plain(image[order_N], text) for order_N in order_PN]
    np.testing.assert_allclose(in_all_orders(image, text, order_PN).numpy(), expected, atol=1e-6)
    assert len(set(expected)) > 10


def test_orders() -> None:
    order_PN = orders(50, 20, 3)
    assert order_PN.shape == (21, 50)
    assert order_PN[0].tolist() == list(range(50))
    assert bool((order_PN.sort(1).values == torch.arange(50)).all())
    assert torch.equal(order_PN, orders(50, 20, 3))
    assert not torch.equal(order_PN, orders(50, 20, 4))


def test_calibrated_by_hand() -> None:
    """Of 20 values, the 19th is the threshold: 0.95 of them do not exceed it."""
    chance = [0.01 * number for number in range(19)]
    assert calibrated(torch.tensor([0.59, *chance])) == pytest.approx((0.59 - 0.18) / (1 - 0.18))
    assert calibrated(torch.tensor([0.175, *chance])) == 0  # the one below it is the threshold itself
    assert calibrated(torch.tensor([-0.3, *chance])) == 0
    assert calibrated(torch.tensor([1.0, *chance])) == 1
    assert calibrated(torch.tensor([1.0000001, *chance])) == 1  # rounding
    assert calibrated(torch.ones(20)) == 0  # chance alone gives as much


@measures
def test_agrees_with_the_authors(measure: str) -> None:
    """Their package, with the same orders: it shuffles features, and computes all of it for each order."""
    theirs = pytest.importorskip("calibrated_similarity", reason="needs pip install -e '.[peer]'")
    in_all_orders, plain = MEASURES[measure]
    for noise in (0.3, 3.0, 30.0):
        image, text = related(40, noise)
        order_PN = orders(40, 99, 1)
        expected, _, threshold = theirs.calibrate(
            text, image, lambda one, other: plain(other, one), K=99, perm_fn=_one_by_one(order_PN[1:])
        )
        found_P = in_all_orders(image, text, order_PN)
        assert calibrated(found_P) == pytest.approx(float(expected), abs=1e-5)
        assert found_P.sort().values[94] == pytest.approx(float(threshold), abs=1e-5)


def _one_by_one(order_PN: Tensor) -> Callable[..., Tensor]:
    rest = iter(order_PN)
    return lambda *_: next(rest)


@measures
@pytest.mark.parametrize("width", [8, 64, 512, 2048])
def test_nothing_is_left_of_independent_features(measure: str, width: int) -> None:
    """A calibrated score is above 0 in `LEVEL` of all cases, and then by little."""
    in_all_orders, _ = MEASURES[measure]
    order_PN, found = orders(150, 100, 0), []
    for seed in range(40):
        pair = normal(150, width, seed), normal(150, width, 1000 + seed)
        found.append(calibrated(in_all_orders(*pair, order_PN)))
    above = [score for score in found if score > 0]
    assert len(above) <= 7  # of 40, at 0.05, more come less than once in a thousand times
    assert max(found) < 0.02
    assert LEVEL == 0.05


def test_plain_cka_grows_with_the_width_where_there_is_nothing() -> None:
    found = [plain_cka(normal(150, width), normal(150, width, 1)) for width in (8, 64, 512, 2048)]
    assert found == sorted(found)
    assert (found[0] < 0.1, found[-1] > 0.9) == (True, True)


@measures
@pytest.mark.parametrize("width", [8, 2048])
def test_all_is_left_of_a_copy(measure: str, width: int) -> None:
    in_all_orders, _ = MEASURES[measure]
    image = normal(100, width)
    text = 3 * image @ rotation(width)
    assert calibrated(in_all_orders(image, text, orders(100, 50, 0))) == pytest.approx(1, abs=1e-4)


def test_effective_dimension() -> None:
    def dimension(*spread: float) -> float:
        """Of features whose directions have these variances, about."""
        axes = torch.linalg.qr(normal(200, len(spread)) - normal(200, len(spread)).mean(0))[0]
        feature_ND = axes * torch.tensor(spread).sqrt() @ rotation(len(spread)) + 7
        return calibration.effective_dimension(calibration.plain_gram(feature_ND))

    assert dimension(1.0, 1.0, 1.0, 1.0) == pytest.approx(4)
    assert dimension(1.0, 0.0, 0.0, 0.0) == pytest.approx(1)
    assert dimension(3.0, 1.0) == pytest.approx(16 / 10)


def test_the_record_tells_the_dimensions() -> None:
    data = toy()
    data.texts["noise"][:] = 0.3
    found = run("calibrated_cka", data, samples=300)
    told = dict(part.split(" ") for part in found.notes["effective dimensions"].split(", "))
    assert list(told) == ["plain", "wide", "turned"]
    assert 11 < float(told["plain"]) < 12
    assert 8 < float(told["wide"]) < 12.1  # of 16 numbers, but of the same 12


@pytest.mark.parametrize("name", ["calibrated_cka", "calibrated_knn"])
def test_noise_scores_nothing(name: str) -> None:
    scores = run(name, toy(), samples=300).scores
    assert scores["plain-noise"] < 0.02
    assert scores["wide-noise"] < 0.02
    assert scores["plain-turned"] > 0.5
    assert methods.load(name).Params().permutations == 200

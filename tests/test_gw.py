"""The Gromov–Wasserstein distance: of copies 0, of two points by hand, and the least over all orders of few samples."""

import itertools
import math

import numpy as np
import pytest
import torch

from hyma.methods import gw
from tests.test_similarity import normal, rotation
from tests.test_training_free import run, toy


def between(one: torch.Tensor, other: torch.Tensor) -> float:
    return gw.distance(gw.distances(one), gw.distances(other), 50)[0]


@pytest.mark.parametrize("width", [4, 12, 300])
def test_a_turned_or_shuffled_copy_is_at_0(width: int) -> None:
    image = normal(80, width) * torch.linspace(1, 0.2, width)
    shuffled = torch.randperm(80, generator=torch.Generator().manual_seed(1))
    assert between(image, image) == pytest.approx(0, abs=1e-6)
    assert between(image, 3 * image @ rotation(width)) == pytest.approx(0, abs=1e-6)
    assert between(image, (image @ rotation(width))[shuffled]) == pytest.approx(0, abs=1e-6)


def test_another_geometry_is_away() -> None:
    """Two clusters, a cloud, and both a little off."""
    cloud, sign = normal(80, 12), torch.arange(80).remainder(2)[:, None] * 2 - 1
    clusters = 0.3 * normal(80, 12, 1) + sign * torch.ones(12)
    assert between(cloud, clusters) > 0.5
    assert between(clusters, clusters + 0.03 * normal(80, 12, 2)) < 0.05
    assert between(cloud, cloud + 0.1 * normal(80, 12, 2)) < 0.1


def test_widths_do_not_matter() -> None:
    """The same samples in 6 and in 600 dimensions, most of them empty or copies."""
    image, text = normal(60, 6), normal(60, 9, 1)
    wide = torch.cat([image.repeat(1, 50), torch.zeros(60, 300)], 1)
    assert between(wide, text) == pytest.approx(between(image, text), abs=1e-6)


def test_distances() -> None:
    """Three rows at right angles and one opposite to the first; lengths do not count."""
    rows = torch.tensor([[2.0, 0, 0], [0, 1, 0], [0, 0, 5], [-1, 0, 0]])
    raw = np.array([[0, 1, 1, 2], [1, 0, 1, 1], [1, 1, 0, 1], [2, 1, 1, 0]])
    np.testing.assert_allclose(gw.distances(rows), raw / math.sqrt((5 * 2 * 1 + 2 * 4) / 16))


def test_no_order_of_few_samples_is_better() -> None:
    """Over all plans that take each sample to one other; with 6 samples there are 720."""
    for seed in range(5):
        one, other = gw.distances(normal(6, 3, seed)), gw.distances(normal(6, 3, 100 + seed))
        best = min(
            float(np.square(one - other[np.ix_(order, order)]).mean())
            for order in map(list, itertools.permutations(range(6)))
        )
        found, _ = gw.distance(one, other, 50)
        same = float(np.square(one - other).mean())
        assert math.sqrt(best) * 0.8 < found  # plans that split samples may lie below
        assert found <= math.sqrt(same) + 1e-9  # the second start is never lost


def test_distance_of_two_triangles_by_hand() -> None:
    """All corners of the one are 1 apart, of the other 2: every plan that splits nothing has squares of 1 in 6 of 9."""
    one = np.ones((3, 3)) - np.eye(3)
    assert gw.distance(one, 2 * one, 20)[0] == pytest.approx(math.sqrt(6 / 9))


def test_steps_are_counted_and_bounded() -> None:
    _, taken = gw.distance(gw.distances(normal(40, 5)), gw.distances(normal(40, 5, 1)), 3)
    assert len(taken) == gw.STARTS
    assert all(1 <= number <= 3 for number in taken)
    found = run("gw", toy(), samples=50, steps=3)
    most = 4 * gw.plan_flops(50, [3, 3])
    assert 4 * gw.plan_flops(50, [1, 1]) <= found.flops["plans"] <= most

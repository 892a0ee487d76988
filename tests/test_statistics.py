"""Intervals against hand-worked cases, a naive loop, and how often they cover the truth in simulations."""

from unittest.mock import patch

import numpy as np
import pytest

from hyma.ranking import statistics
from hyma.ranking.statistics import bootstrap_means, percentile_interval, t_interval


def test_t_interval_by_hand() -> None:
    # Mean 4, standard deviation 2, standard error 2 / √3; the table of t gives 4.303 for two degrees of freedom.
    mean, low, high = t_interval([2, 4, 6])
    assert mean == 4
    assert (low, high) == (pytest.approx(4 - 4.3027 * 2 / 3**0.5, abs=1e-4), pytest.approx(8.9683, abs=1e-4))


def test_t_interval_of_few_and_of_equals() -> None:
    assert t_interval([0.25]) == (0.25, None, None)
    assert t_interval([0.25, 0.25, 0.25]) == (0.25, 0.25, 0.25)
    with pytest.raises(ValueError, match="no values"):
        t_interval([])


def test_t_interval_covers_the_mean_of_five_seeds() -> None:
    rng = np.random.default_rng(0)
    bounds = [t_interval(rng.normal(3, 2, size=5).tolist())[1:] for _ in range(400)]
    covered = np.mean([low < 3 < high for low, high in bounds if low is not None and high is not None])
    assert 0.91 <= covered <= 0.985


def test_percentile_interval_by_hand() -> None:
    assert percentile_interval(np.arange(1001)) == (pytest.approx(25), pytest.approx(975))
    assert percentile_interval([0.5]) == (0.5, 0.5)


def test_bootstrap_covers_the_mean_of_bernoulli_items() -> None:
    rng = np.random.default_rng(1)
    items_PI = rng.random((400, 150)) < 0.6
    intervals = [percentile_interval(mean_R) for mean_R in bootstrap_means(items_PI, 800, seed=0).T]
    covered = np.mean([low <= 0.6 <= high for low, high in intervals])
    assert 0.91 <= covered <= 0.985


def test_bootstrap_means_spread_as_the_standard_error() -> None:
    items_I = np.random.default_rng(2).normal(5, 3, size=100)
    mean_R = bootstrap_means(items_I[None], 4000, seed=0)[:, 0]
    assert mean_R.mean() == pytest.approx(items_I.mean(), abs=0.03)
    assert mean_R.std() == pytest.approx(items_I.std() / 10, rel=0.05)


def test_all_pairs_see_the_same_resample() -> None:
    rng = np.random.default_rng(3)
    item_I = rng.random(50)
    other_I = rng.random(50)
    mean_RP = bootstrap_means(np.stack([item_I, other_I, item_I, item_I + 0.25]), 30, seed=7)
    assert mean_RP.shape == (30, 4)
    np.testing.assert_allclose(mean_RP[:, 2], mean_RP[:, 0], rtol=1e-12)
    np.testing.assert_allclose(mean_RP[:, 3] - mean_RP[:, 0], 0.25, rtol=1e-12)
    assert np.ptp(mean_RP[:, 1] - mean_RP[:, 0]) > 0.01
    # And so does another method, in a call of its own; another seed draws otherwise.
    np.testing.assert_allclose(bootstrap_means(other_I[None], 30, seed=7)[:, 0], mean_RP[:, 1], rtol=1e-12)
    assert not np.isclose(bootstrap_means(other_I[None], 30, seed=8)[:, 0], mean_RP[:, 1]).all()


@pytest.mark.parametrize("cells", [1, 40, 10**6])
def test_bootstrap_equals_a_loop_whatever_the_block(cells: int) -> None:
    items_PI = np.random.default_rng(4).random((3, 17)).astype(np.float32)
    with patch.object(statistics, "CELLS", cells):
        found = bootstrap_means(items_PI, 11, seed=5)
    rng = np.random.default_rng(5)
    draws = [rng.integers(17, size=17) for _ in range(11)]
    expected = [[np.mean([float(row[item]) for item in draw]) for row in items_PI] for draw in draws]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_nothing_to_draw_from_is_refused() -> None:
    with pytest.raises(ValueError, match="no items"):
        bootstrap_means(np.zeros((2, 0)), 10, seed=0)

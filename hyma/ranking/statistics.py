"""How sure a mean is: over seeds by Student's t, over the items of a benchmark by the bootstrap.

Letters: P pairs, I items, R resamples, B resamples at once.
"""

from collections.abc import Sequence

import numpy as np

LEVEL = 0.95
CELLS = 4_000_000
"""Counts held at once: 32 MB of float64."""


def t_interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Mean of independent repeats, and the bounds of its 95% interval by Student's t (Student 1908).

    Args:
        values: one number a seed, at least one.

    Returns:
        The mean, the lower and the upper bound; a single value has no bounds.

    Raises:
        ValueError: if there are no values.
    """
    if not len(values):
        raise ValueError("no values to take the mean of")
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    from scipy import stats  # slow to load

    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    half = error * float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1))
    return mean, mean - half, mean + half


def bootstrap_means(items_PI: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Each pair's mean over resamples of a benchmark's items, drawn with replacement (Efron 1979).

    A resample is the same for all pairs, and in all calls of the same `seed` and number of items: differences
    between pairs and between methods may be taken resample by resample.

    Args:
        items_PI: each pair's score of each item; at least one item.
        resamples: how many resamples R.
        seed: what the draws follow from.

    Returns:
        Means, float64 [R, P].

    Raises:
        ValueError: if there are no items.
    """
    items_IP = np.asarray(items_PI, np.float64).T
    items, rng = len(items_IP), np.random.default_rng(seed)
    if not items:
        raise ValueError("no items to draw from")
    mean_RP = np.empty((resamples, items_IP.shape[1]))
    block = max(1, CELLS // items)
    for start in range(0, resamples, block):
        rows = range(start, min(start + block, resamples))
        count_BI = np.empty((len(rows), items))
        for count_I in count_BI:  # drawn row by row, so that the size of a block changes no draw
            count_I[:] = np.bincount(rng.integers(items, size=items), minlength=items)
        mean_RP[start : rows.stop] = count_BI @ items_IP / items
    return mean_RP


def percentile_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The middle 95% of the values: of bootstrap means their percentile interval (Efron & Tibshirani 1993)."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

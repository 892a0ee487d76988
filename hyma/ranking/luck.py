"""By how much two runs may differ and still be the same: tolerances, from what seeds alone make of the scores.

The study of seeds measures them (`luck` in metrics/studies.json, copied to studies/luck.json for the main pipeline's
report to read). A tolerance is the repeatability limit of ISO 5725-1: two runs of the same differ by less with 95%
probability. What lies within is a *tie*.
"""

from collections.abc import Mapping, Sequence
from math import hypot, inf
from pathlib import Path
from typing import Any

import numpy as np

from hyma.common.files import read_json
from hyma.ranking import choice

Json = dict[str, Any]
FILE = Path("studies/luck.json")
LEVEL = 0.95
OUTSIDE = 1 - LEVEL
"""The share of the pairs that may differ by more, and two runs still agree."""


def repeatability(values_SQ: np.ndarray) -> float:
    """The largest difference between two repeats that luck makes in 95% of the cases: t · √2 · the standard deviation.

    Args:
        values_SQ: Q quantities in S repeats; they share one variance, as many degrees of freedom as Q · (S − 1).

    Raises:
        ValueError: if there are fewer than two repeats.
    """
    repeats, quantities = values_SQ.shape
    if repeats < 2:
        raise ValueError("no difference between fewer than two repeats")
    from scipy import stats  # slow to load

    variance = float(values_SQ.var(0, ddof=1).mean())
    return float(stats.t.ppf((1 + LEVEL) / 2, quantities * (repeats - 1)) * (2 * variance) ** 0.5)


def read(file: Path = FILE) -> Json:
    """What was studied here; empty where nothing was."""
    found: Json = read_json(file) if file.is_file() else {}
    return found


def fitting(luck: Json, pairs: Sequence[str], benchmarks: Sequence[str]) -> Json | None:
    """The luck that was studied, if it was on these pairs and benchmarks."""
    alike = set(luck.get("pairs", ())) == set(pairs) and set(luck.get("benchmarks", ())) == set(benchmarks)
    return luck if luck and alike else None


def tolerance(luck: Json | None, one: str, other: str | None = None) -> float | None:
    """By how much a pair's mean scores may differ between two runs of a method, or one of it and one of another."""
    found = [(luck or {"tolerance": {}})["tolerance"].get(method) for method in (one, other or one)]
    return None if None in found else hypot(*found) / 2**0.5


def tie(one: float | None, other: float | None, tolerance: float | None) -> bool:
    """Whether two scores are known to be no further apart than luck may put them."""
    return None not in (one, other, tolerance) and abs(one - other) <= tolerance  # type: ignore[operator]


def agree(before: Sequence[float], after: Sequence[float], tolerance: float) -> Json:
    """Whether two runs' scores of the same pairs agree, but for the one in twenty that luck may put further apart.

    Returns:
        ``tolerance``, ``pairs``, ``within`` (how many), ``largest`` difference, ``agree``.
    """
    apart = np.array(
        [0.0 if one == other else abs(one - other) for one, other in zip(before, after, strict=True)]
    )
    within = int((apart <= tolerance).sum())
    return {
        "tolerance": tolerance,
        "pairs": len(apart),
        "within": within,
        "largest": float(apart.max()) if np.isfinite(apart).all() else None,
        "agree": len(apart) - within <= round(OUTSIDE * len(apart)),
    }


def between(
    studied: Mapping[str, Json], order: Mapping[str, Json], pairs: Sequence[str], benchmarks: Sequence[str]
) -> Json | None:
    """Whether the first and the last run's scores agree, within what seeds alone make of them.

    Args:
        studied: run → the luck that was studied there, in the order of the comparison.
        order: method → pair → run → its mean score, ``score``.
        pairs: those that all runs have.
        benchmarks: those that all have.

    Returns:
        ``run``, whose studies say it, ``seeds`` (how many), ``methods``: method → see `agree`. None where no seeds were
        studied on these pairs and benchmarks: then the tolerance is not known.
    """
    known = [(run, own) for run, of in studied.items() if (own := fitting(of, pairs, benchmarks))]
    if not known:
        return None
    run, own = known[-1]
    ends, methods = (next(iter(studied)), list(studied)[-1]), {}
    for method, places in order.items():
        before, after = ([_number(of[end]["score"]) for of in places.values()] for end in ends)
        if (limit := tolerance(own, method)) is not None:
            methods[method] = agree(before, after, limit)
    return {"run": run, "seeds": own["seeds"], "methods": methods}


def _number(score: float | None) -> float:
    return -inf if score is None else score


def ties(ranking: Json, luck: Json) -> Json | None:
    """What is a tie with what a ranking puts first; None where luck was not studied on its pairs and benchmarks.

    Returns:
        ``seeds``, how many were studied; ``tolerance`` of a pair's mean score by the oracle, or the main method where
        there is none; ``pairs`` that tie with the winner by these scores; ``methods`` whose connector of the winner is
        a tie with the one chosen; ``connectors`` and ``order``: methods that tie with the one whose connectors are
        best, and with the one whose order is.
    """
    known = fitting(luck, choice.pairs(ranking), list(ranking["benchmarks"]))
    if known is None:
        return None
    winner, scores, judge = ranking["winner"], ranking["scores"], choice.reference(ranking)
    limit = tolerance(known, judge)
    found = {
        "seeds": known["seeds"],
        "tolerance": limit,
        "pairs": [
            pair
            for pair, own in scores[judge].items()
            if pair != winner["pair"] and tie(own["mean"], scores[judge][winner["pair"]]["mean"], limit)
        ],
        "methods": [
            method
            for method, own in scores.items()
            if method != winner["method"]
            and winner["pair"] in own
            and tie(own[winner["pair"]]["mean"], winner["score"], tolerance(known, winner["method"], method))
        ],
        "connectors": [],
        "order": [],
    }
    if ranking["oracle"]:
        means = {method: choice.mean_score(ranking, method)[0] for method in scores}
        orders = {
            method: own["spearman"]
            for method, own in ranking["overall"].items()
            if method != ranking["oracle"]
        }
        found["connectors"] = _level(means, choice.best_connectors(ranking), known["mean_score"])
        found["order"] = _level(orders, choice.best_order(ranking), known["spearman"])
    return found


def _level(values: Mapping[str, float | None], best: str | None, limit: float | None) -> list[str]:
    return [
        name for name, value in values.items() if best and name != best and tie(value, values[best], limit)
    ]

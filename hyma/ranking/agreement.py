"""How well one method's ranking of the pairs matches the oracle's.

Scores are mappings pair → number, higher is better; a method's pair at -inf failed and ranks below all others.
Pairs that a method scores alike are in no order: what depends on their order is given as its expectation
over all orders. Where a measure is undefined (the oracle's scores all equal, or a single pair) it is None.
"""

from collections.abc import Mapping
from statistics import mean, pstdev

import numpy as np

from hyma.common.errors import HymaError

CUTOFFS = (1, 5, 10)
Agreement = dict[str, float | str | None]


def agreement(oracle: Mapping[str, float], method: Mapping[str, float]) -> Agreement:
    """Compare a method's scores with the oracle's.

    Returns:
        ``pair`` (the method's pick; None if several share its top score), ``picks`` (how many do),
        ``oracle_score`` (the oracle's score of the pick, the mean over several), ``regret`` (the oracle's best
        score less that), ``regret_std`` (population standard deviation of the regret over the picks),
        ``relative_regret`` (as a share of the best), ``spearman``, ``kendall`` (τ-b), ``weighted_tau``
        (hyperbolic, the oracle's order weighs), ``ndcg@1/5/10``. The three correlations are 0 where the
        method scores all pairs alike: what random orders give on average.

    Raises:
        HymaError: if the method did not score every pair, or a score is no number (of the oracle's: or
            infinite).
    """
    missing = sorted(oracle.keys() - method.keys())
    if missing:
        raise HymaError(f"no score for pair {missing[0]} ({len(missing)} missing); run `dvc repro` again")
    pairs = sorted(oracle)
    truth = np.array([oracle[pair] for pair in pairs], float)
    scores = np.array([method[pair] for pair in pairs], float)
    _refuse_bad(pairs, ~np.isfinite(truth) | np.isnan(scores))
    tied = np.flatnonzero(scores == scores.max())
    # The exact mean of the statistics module: equal scores average to themselves, to the last bit.
    expected, best = mean(truth[tied].tolist()), float(truth.max())
    result: Agreement = pick({pair: method[pair] for pair in pairs}) | {
        "oracle_score": expected,
        "regret": best - expected,
        "regret_std": pstdev(truth[tied].tolist()),
        "relative_regret": (best - expected) / best if best > 0 else None,
    }
    return result | _correlations(truth, scores) | {f"ndcg@{k}": ndcg(truth, scores, k) for k in CUTOFFS}


def pick(method: Mapping[str, float]) -> Agreement:
    """``pair``, the one that a method puts first (None if several share its top score), and ``picks``, how many do."""
    best = max(method.values())
    tied = [pair for pair, score in method.items() if score == best]
    return {"pair": tied[0] if len(tied) == 1 else None, "picks": len(tied)}


def ndcg(truth: np.ndarray, scores: np.ndarray, k: int) -> float | None:
    """Normalised discounted cumulative gain of the top k.

    Gains are the oracle's scores stretched to 0..1, so that the worst pair is worth nothing; discounts are
    1/log2(rank + 1) (Järvelin & Kekäläinen 2002). Equal scores share the mean gain of their group, which
    gives the expectation over their orders (McSherry & Najork 2008).
    """
    spread = np.ptp(truth)
    if spread == 0:
        return None
    gain = (truth - truth.min()) / spread
    discount = 1 / np.log2(np.arange(2, min(k, len(gain)) + 2))
    place = _places(-scores)
    shared = np.bincount(place, gain) / np.bincount(place)
    found = shared[np.sort(place)][: len(discount)]
    ideal = np.sort(gain)[::-1][: len(discount)]
    return float((found * discount).sum() / (ideal * discount).sum())


def spearman(truth: np.ndarray, scores: np.ndarray) -> float | None:
    """Spearman's ρ; 0 where the scores are all alike, None where the true ones are, or there are none."""
    true_place, place = _places(truth), _places(scores)
    if len(truth) == 0 or true_place.max() == 0:
        return None
    if place.max() == 0:
        return 0.0
    from scipy import stats  # nearly a second: for those alone who compare

    return float(stats.spearmanr(true_place, place).statistic)


def _correlations(truth: np.ndarray, scores: np.ndarray) -> Agreement:
    """Rank correlations; of places, since infinite scores have no differences."""
    rho, place = spearman(truth, scores), _places(scores)
    if rho is None or place.max() == 0:
        return dict.fromkeys(("spearman", "kendall", "weighted_tau"), rho)
    from scipy import stats

    more = {
        "kendall": stats.kendalltau(truth, place),
        "weighted_tau": stats.weightedtau(truth, place, rank=None),
    }
    found: Agreement = {name: float(one.statistic) for name, one in more.items()}
    return {"spearman": rho} | found


def _places(scores: np.ndarray) -> np.ndarray:
    """0 for the lowest score, 1 for the next higher one, …; equal scores have one place."""
    return np.unique(scores, return_inverse=True)[1]


def _refuse_bad(pairs: list[str], bad: np.ndarray) -> None:
    if bad.any():
        raise HymaError(
            f"the score of pair {pairs[bad.argmax()]} is no number ({bad.sum()} such pairs); run `dvc repro` again"
        )

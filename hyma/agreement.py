"""How well one method's ranking of the pairs matches the oracle's.

Scores are mappings pair → number, higher is better. Where a measure is undefined (all pairs equal, or a
single pair) it is None.
"""

from collections.abc import Mapping

import numpy as np
from scipy import stats

from hyma.errors import HymaError

CUTOFFS = (1, 5, 10)
Agreement = dict[str, float | str | None]


def agreement(oracle: Mapping[str, float], method: Mapping[str, float]) -> Agreement:
    """Compare a method's scores with the oracle's.

    Returns:
        ``pair`` (the method's pick; of equals the first by name), ``oracle_score`` of the pick, ``regret``
        (the oracle's best score less that), ``relative_regret`` (as a share of the best), ``spearman``,
        ``kendall`` (τ-b), ``weighted_tau`` (hyperbolic, the oracle's order weighs), ``ndcg@1/5/10``.

    Raises:
        HymaError: if the method did not score every pair.
    """
    missing = sorted(oracle.keys() - method.keys())
    if missing:
        raise HymaError(f"no score for pair {missing[0]} ({len(missing)} missing); run `dvc repro` again")
    pairs = sorted(oracle)
    truth = np.array([oracle[pair] for pair in pairs])
    scores = np.array([method[pair] for pair in pairs])
    pick = int(scores.argmax())
    regret = float(truth.max() - truth[pick])
    result: Agreement = {
        "pair": pairs[pick],
        "oracle_score": float(truth[pick]),
        "regret": regret,
        "relative_regret": regret / float(truth.max()) if truth.max() > 0 else None,
        "spearman": None,
        "kendall": None,
        "weighted_tau": None,
    }
    if np.ptp(truth) > 0 and np.ptp(scores) > 0:
        result["spearman"] = float(stats.spearmanr(truth, scores).statistic)
        result["kendall"] = float(stats.kendalltau(truth, scores).statistic)
        result["weighted_tau"] = float(stats.weightedtau(truth, scores, rank=None).statistic)
    return result | {f"ndcg@{k}": ndcg(truth, scores, k) for k in CUTOFFS}


def ndcg(truth: np.ndarray, scores: np.ndarray, k: int) -> float | None:
    """Normalised discounted cumulative gain of the top k.

    Gains are the oracle's scores stretched to 0..1, so that the worst pair is worth nothing; discounts are
    1/log2(rank + 1) (Järvelin & Kekäläinen 2002). Equal scores keep their order.
    """
    spread = np.ptp(truth)
    if spread == 0:
        return None
    gain = (truth - truth.min()) / spread
    discount = 1 / np.log2(np.arange(2, min(k, len(gain)) + 2))
    order = np.argsort(-scores, kind="stable")[: len(discount)]
    ideal = np.sort(gain)[::-1][: len(discount)]
    return float((gain[order] * discount).sum() / (ideal * discount).sum())

"""An audit: a few pairs trained on their own say how far a ranking of all pairs can be trusted.

The *finals* are the pairs that the ranking puts first. The *sample* is drawn by lot over the others, one pair from each
stratum of neighbouring ranks. What the untrained pairs would have scored is imputed from the trained ones, many times
over (multiple imputation, Rubin 1987; that many predicted and few true scores are joined is the idea of
prediction-powered inference, Angelopoulos et al. 2023): true = a + b · predicted + residual, with a, b and the
residuals' variance drawn from their posterior under the usual flat prior (Gelman et al., Bayesian Data Analysis,
ch. 14). Seven pairs say little of how far the others scatter, and these do not all scatter alike: every imputation
multiplies the spread by a factor of its own, log-normal about 1. How often the intervals hold the truth is studied in
`hyma.studies.audit`.

Letters: P pairs, T of them trained, U not, R imputations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from hyma.common.errors import HymaError
from hyma.common.files import sha256

Json = dict[str, Any]
LEVEL = 0.9
IMPUTATIONS = 2000
SPREAD = 0.75
"""Standard deviation of the logarithm of the factor on the residuals' spread."""
FEWEST = 2


@dataclass(frozen=True)
class Drawn:
    """Which pairs an audit trains."""

    finals: list[str]
    sample: dict[str, float]
    """Pair → its weight: how many pairs of its stratum it stands for."""


def draw(predicted: Mapping[str, float], top: int, pairs: int, seed: int) -> Drawn:
    """Choose the finals and the sample.

    A pair's lot depends on its name and the seed alone: one more encoder changes few of the others' draws.

    Args:
        predicted: pair → score, higher is better; all that are to be ranked.
        top: how many finals.
        pairs: how many others.
        seed: of the lots.

    Raises:
        HymaError: if there are fewer than two finals, more than pairs, or no sample though there are other pairs.
    """
    if top < FEWEST <= len(predicted):
        raise HymaError(
            f"params.yaml: finals.top: {top} leaves nothing to compare; set it to at least {FEWEST}"
        )
    if top > len(predicted):
        raise HymaError(
            f"params.yaml: finals.top: {top} finals, but only {len(predicted)} pairs have a score; lower it, or leave "
            "it out"
        )
    ranked = sorted(predicted, key=lambda pair: (-predicted[pair], pair))
    finals, rest = ranked[:top], ranked[top:]
    if rest and not pairs:
        raise HymaError(
            "params.yaml: audit.pairs: 0 leaves the trust in the ranking unknown; raise it, or set oracle to none"
        )
    if pairs > len(rest):
        raise HymaError(
            f"params.yaml: audit.pairs: {pairs} pairs, but beside the {top} finals there are only {len(rest)}; lower "
            "it, or set oracle: full to train all"
        )
    lot = {pair: sha256(f"{seed}/{pair}") for pair in rest}
    groups = strata(rest, pairs)
    return Drawn(finals, {min(group, key=lot.__getitem__): float(len(group)) for group in groups})


def strata(ranked: Sequence[str], count: int) -> list[list[str]]:
    """Cut a ranking into `count` runs of neighbours whose lengths differ by one at most."""
    bounds = [round(len(ranked) * number / count) for number in range(count + 1)] if count else [0]
    return [list(ranked[start:stop]) for start, stop in pairwise(bounds)]


def estimate(predicted: Mapping[str, float], true: Mapping[str, float], seed: int, picked: str) -> Json:
    """Say how well predicted scores rank the pairs as true ones do, from the few that are known.

    Which ones are known follows from the predictions and from lots, and so says no more of the others.

    Args:
        predicted: pair → score of all pairs, 0 to 1; -inf where one failed.
        true: pair → score of those trained on their own, 0 to 1; -inf where one failed.
        seed: of the imputations.
        picked: the pair of these that was chosen, by other scores than the true ones.

    Returns:
        ``level``; ``spearman``, ``ndcg@5`` and ``regret`` (the best true score there is, less that of the pick), each
        with ``estimate`` (the median), ``low`` and ``high``, between which it lies with probability `level`, for the
        regret from 0 up to ``high``; ``chance_better``: that any untrained pair beats the pick; ``rival``: the
        untrained pair most likely to, with its ``chance``, or None; ``pairs`` and ``trained``, counts.
    """
    known = [pair for pair in predicted if np.isfinite(true.get(pair, -np.inf))]
    rest = [pair for pair in predicted if pair not in true and np.isfinite(predicted[pair])]
    order = [*known, *rest]
    score_P, true_T = np.array([predicted[pair] for pair in order]), np.array([true[pair] for pair in known])
    true_RP = np.repeat(true_T[None], IMPUTATIONS if rest else 1, 0)
    if rest:
        true_RP = np.hstack([true_RP, imputed(score_P, true_T, np.random.default_rng(seed))])
    worth = true[picked]
    rho_R, ndcg_R = correlations(score_P, true_RP), ndcgs(score_P, true_RP)
    better_RU = true_RP[:, len(known) :] > worth
    chance_U = better_RU.mean(0)
    rival = int(chance_U.argmax()) if rest and chance_U.max() > 0 else None
    return {
        "level": LEVEL,
        "pairs": len(predicted),
        "trained": len(known),
        "spearman": _interval(rho_R),
        "ndcg@5": _interval(ndcg_R),
        "regret": _upper(true_RP.max(1) - worth),
        "chance_better": float(better_RU.any(1).mean()) if rest else 0.0,
        "rival": None if rival is None else {"pair": rest[rival], "chance": float(chance_U[rival])},
    }


def imputed(score_P: np.ndarray, true_T: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw what the untrained pairs would score, [R, U]; the trained ones come first in `score_P`."""
    score_T, score_U = score_P[: len(true_T)], score_P[len(true_T) :]
    finite_T = np.isfinite(score_T)
    score_T, true_T = score_T[finite_T], true_T[finite_T]
    centre, spread = score_T.mean(), score_T.std() or 1.0
    design_T2 = np.stack([np.ones_like(score_T), (score_T - centre) / spread], 1)
    covariance = np.linalg.pinv(design_T2.T @ design_T2)
    line = covariance @ design_T2.T @ true_T
    residual_T, free = true_T - design_T2 @ line, len(true_T) - 2
    squares = residual_T @ residual_T
    if (
        free < 1
    ):  # a line through two points leaves nothing to see their scatter by: it may be as wide as all scores'
        squares, free = max(np.var(true_T), np.var(score_P[np.isfinite(score_P)])), 1
    sigma_R = np.sqrt(squares / rng.chisquare(free, IMPUTATIONS))
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(2))
    line_R2 = line + sigma_R[:, None] * (rng.normal(size=(IMPUTATIONS, 2)) @ root.T)
    scatter_RU = rng.normal(size=(IMPUTATIONS, len(score_U)))
    factor_R = np.exp(SPREAD * rng.normal(size=IMPUTATIONS))
    mean_RU = line_R2[:, :1] + line_R2[:, 1:] * ((score_U - centre) / spread)
    return np.clip(mean_RU + (sigma_R * factor_R)[:, None] * scatter_RU, 0.0, 1.0)


def correlations(score_P: np.ndarray, true_RP: np.ndarray) -> np.ndarray:
    """Spearman's ρ of a method's scores with each row of true ones, [R]; 0 where either has no order."""
    place_P, place_RP = _places(score_P[None])[0], _places(true_RP)
    place_P, place_RP = place_P - place_P.mean(), place_RP - place_RP.mean(1, keepdims=True)
    norm_R = np.sqrt((place_P**2).sum() * (place_RP**2).sum(1))
    return np.divide(place_RP @ place_P, norm_R, out=np.zeros(len(true_RP)), where=norm_R > 0)


def ndcgs(score_P: np.ndarray, true_RP: np.ndarray, k: int = 5) -> np.ndarray:
    """NDCG@k of a method's order by each row of true scores, [R]; as `hyma.ranking.agreement.ndcg` without ties."""
    low_R1, span_R1 = true_RP.min(1, keepdims=True), np.ptp(true_RP, axis=1)[:, None]
    gain_RP = np.divide(true_RP - low_R1, span_R1, out=np.ones_like(true_RP), where=span_R1 > 0)
    top = min(k, len(score_P))
    discount_K = 1 / np.log2(np.arange(2, top + 2))
    found_RK = gain_RP[:, np.argsort(-score_P, kind="stable")[:top]]
    ideal_RK = -np.sort(-gain_RP, axis=1)[:, :top]
    return np.asarray((found_RK @ discount_K) / (ideal_RK @ discount_K))


def _places(score_RP: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata  # slow to load

    return np.asarray(rankdata(score_RP, axis=1))


def _interval(values_R: np.ndarray) -> dict[str, float]:
    low, middle, high = np.quantile(values_R, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
    return {"estimate": float(middle), "low": float(low), "high": float(high)}


def _upper(values_R: np.ndarray) -> dict[str, float]:
    middle, high = np.quantile(values_R, [0.5, LEVEL])
    return {"estimate": float(middle), "low": 0.0, "high": float(high)}

"""Whether an audit can be trusted: on a whole grid, where the truth is known, its sample is drawn again and again."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from hyma.ranking import audit
from hyma.ranking.agreement import agreement
from hyma.ranking.choice import CLOSE
from hyma.ranking.params import finals, sampled

Json = dict[str, Any]
Scores = Mapping[str, float]
SLACK = 1e-9
"""Bounds hold what they meet up to rounding."""


def sizes(pairs: int) -> list[tuple[int, int]]:
    """The audits to try, (finals, sample): the default, a smaller one, and two larger ones, as far as pairs reach."""
    top, sample = finals(pairs), sampled(pairs)
    wanted = [(2, 3), (top, sample), (top, 2 * sample), (2 * top, 2 * sample)]
    return [size for size in dict.fromkeys(wanted) if sum(size) < pairs]


def study(
    predicted: Mapping[str, Scores],
    choosing: Scores,
    true: Scores,
    searches: Mapping[str, float],
    flops: Scores,
    redraws: int,
) -> Json:
    """Audit every method's ranking many times over.

    Args:
        predicted: method → pair → its mean score, on the halves that choose.
        choosing: pair → grid search's mean score there, by which the winner is picked; of all pairs.
        true: pair → grid search's mean score on the reported halves; of all pairs.
        searches: method → FLOPs of its own search.
        flops: pair → FLOPs of training it on its own.
        redraws: how often each audit's sample is drawn.

    Returns:
        ``pairs``, ``redraws``, ``level``, and ``methods``: method → ``spearman`` and ``ndcg@5`` (the truth) and
        ``audits``, a list of what `one_size` gives.
    """
    tried = sizes(len(true))
    bar = tqdm(total=len(predicted) * len(tried) * redraws, desc="audits", disable=None)
    methods = {}
    with bar:
        for method, scores in predicted.items():
            truth = agreement(true, scores)
            rows = []
            for size in tried:
                rows.append(one_size(scores, choosing, true, size, searches[method], flops, redraws, truth))
                bar.update(redraws)
            methods[method] = {key: truth[key] for key in ("spearman", "ndcg@5")} | {"audits": rows}
    return {"pairs": len(true), "redraws": redraws, "level": audit.LEVEL, "methods": methods}


def one_size(
    predicted: Scores,
    choosing: Scores,
    true: Scores,
    size: tuple[int, int],
    search: float,
    flops: Scores,
    redraws: int,
    truth: Mapping[str, Any],
) -> Json:
    """One size of audit, drawn many times.

    Returns:
        ``finals``, ``sample``; ``cost``, the search's and the trained pairs' FLOPs as a share of the whole grid's, the
        mean, and ``dearest``, the largest; ``close``, how often the pick is within 1% of the best pair; ``regret``, its
        mean; for ``spearman``, ``ndcg@5`` and ``regret`` how often the interval holds the truth (``…_held``) and how
        wide it is (``…_width``).
    """
    best, rows = max(true.values()), []
    for seed in range(redraws):
        drawn = audit.draw(predicted, *size, seed)
        known = {pair: true[pair] for pair in (*drawn.finals, *drawn.sample)}
        pick = max(sorted(known), key=choosing.__getitem__)
        found, regret = audit.estimate(predicted, known, seed, pick), best - true[pick]
        row = {
            "cost": (search + sum(flops[pair] for pair in known)) / sum(flops.values()),
            "close": regret <= CLOSE * best,
            "regret": regret,
        }
        for key, value in (("spearman", truth["spearman"]), ("ndcg@5", truth["ndcg@5"]), ("regret", regret)):
            low, high = found[key]["low"], found[key]["high"]
            row |= {f"{key}_held": low - SLACK <= (value or 0.0) <= high + SLACK, f"{key}_width": high - low}
        rows.append(row)
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    dearest = float(max(row["cost"] for row in rows))
    return {"finals": size[0], "sample": size[1], **means, "dearest": dearest}


def chosen(ranking: Json, names: Sequence[str]) -> dict[str, Scores]:
    """The mean scores, on the halves that choose, of those of these methods whose connectors all have one."""
    found: dict[str, Scores] = {}
    for name in names:
        scores = {pair: own["mean"] for pair, own in ranking["choose"].get(name, {}).items()}
        if scores and None not in scores.values():
            found[name] = scores
    return found

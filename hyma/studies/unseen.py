"""Pairs that a method never trained on: can it rank them, and stitch them?

Three ways of leaving pairs out: a part of all pairs, fold by fold; and, for each text encoder in turn, all its
pairs but one. Rivals that look at no pair's features at all predict the left-out scores from grid search's
scores of the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hyma.common.names import PairName
from hyma.ranking.agreement import agreement
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures
from hyma.studies.judge import Halves, Judge, mean_scores

Json = dict[str, Any]
Search = Callable[[TrainingFeatures], SearchResult]


def folds(images: Sequence[str], texts: Sequence[str], count: int) -> list[list[PairName]]:
    """Part all pairs into `count` folds, diagonal by diagonal: every encoder keeps pairs in every fold."""
    return [
        [
            (i, t)
            for row, i in enumerate(images)
            for column, t in enumerate(texts)
            if (row + column) % count == fold
        ]
        for fold in range(count)
    ]


def one_partner(images: Sequence[str], texts: Sequence[str]) -> dict[str, list[PairName]]:
    """For each text encoder: all its pairs but the one with the first image encoder."""
    return {text: [(image, text) for image in images[1:]] for text in texts}


def additive(
    oracle: Mapping[str, float], left_out: Sequence[PairName], pairs: Sequence[PairName]
) -> dict[str, float]:
    """Predict left-out scores as image effect + text effect, least squares on grid search's other scores."""
    images, texts = (list(dict.fromkeys(side)) for side in zip(*pairs, strict=True))
    design = np.array([[*(i == x for x in images), *(t == x for x in texts)] for i, t in pairs], float)
    seen = np.array([pair not in set(left_out) for pair in pairs])
    score_P = np.array([oracle["-".join(pair)] for pair in pairs])
    effects, *_ = np.linalg.lstsq(design[seen], score_P[seen], rcond=None)
    predicted = design @ effects
    return {
        "-".join(pair): float(value) for pair, value in zip(pairs, predicted, strict=True) if pair in left_out
    }


def study(
    features: TrainingFeatures,
    searches: Mapping[str, tuple[str, Search]],
    judge: Judge,
    oracle: Halves,
    parts: int,
) -> Json:
    """Run every method on every way of leaving pairs out.

    Args:
        features: of all encoders.
        searches: method → its label and how to run it on features with pairs left out.
        judge: the benchmarks.
        oracle: grid search's scores, trained on every pair; what is left out is held against the reported halves.
        parts: number of folds.

    Returns:
        ``folds`` and ``one_partner``: a list of {``name``, ``pairs``, ``methods``: method → agreement on the
        left-out pairs alone}; ``labels``.
    """
    images, texts = list(features.images), list(features.texts)
    cases = {
        "folds": {f"fold {n + 1}": left for n, left in enumerate(folds(images, texts, parts))},
        "one_partner": one_partner(images, texts),
    }
    content: Json = {"labels": {name: label for name, (label, _) in searches.items()}}
    content["labels"]["additive"] = "image effect + text effect of grid search's other scores"
    for kind, named in cases.items():
        content[kind] = [
            {"name": name, "pairs": len(left)} | {"methods": _case(features, searches, judge, oracle, left)}
            for name, left in named.items()
            if len(left) > 2
        ]
    return content


def _case(
    features: TrainingFeatures,
    searches: Mapping[str, tuple[str, Search]],
    judge: Judge,
    oracle: Halves,
    left: Sequence[PairName],
) -> Json:
    names = ["-".join(pair) for pair in left]
    truth = mean_scores(oracle.report)
    wanted = {name: truth[name] for name in names}
    found = {}
    for method, (_, search) in searches.items():
        result = search(replace(features, left_out=frozenset(left)))
        own = judge.scores({name: result.stitches[name] for name in names})
        worth = float(np.mean(list(mean_scores(own.report).values())))
        found[method] = _figures(wanted, mean_scores(own.choose)) | {"mean_score": worth}
    known = additive(mean_scores(oracle.choose), left, features.pairs)
    found["additive"] = _figures(wanted, known) | {"mean_score": None}
    return found


def _figures(oracle: Mapping[str, float], own: Mapping[str, float]) -> Json:
    agreed = agreement(oracle, own)
    return {key: agreed[key] for key in ("spearman", "ndcg@5", "regret", "relative_regret", "pair")} | {
        "oracle_mean": float(np.mean(list(oracle.values())))
    }

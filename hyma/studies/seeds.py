"""How much of a method's figures is luck: every method with several seeds, every benchmark resampled.

A method's agreement with grid search is bounded by grid search's agreement with itself: trained twice, it
does not rank the pairs alike either. That ceiling stands beside every figure.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hyma.ranking.agreement import agreement
from hyma.ranking.statistics import bootstrap_means, percentile_interval, t_interval
from hyma.stitching.result import SearchResult
from hyma.studies.judge import Judge, as_scores, compare

Json = dict[str, Any]
MEASURES = ("spearman", "spearman_benchmarks", "ndcg@5", "relative_regret", "mean_score")


def one_seed(
    results: Mapping[str, SearchResult], judge: Judge, oracle: str, pairs: Sequence[str], resamples: int
) -> Json:
    """Judge every method's result of one seed; the oracle's is among them.

    Returns:
        method → ``label``, ``seconds``, ``flops``, ``connectors`` (bool), ``scores`` (benchmark → pair → score) and
        ``bootstrap``: 95% intervals of the figures under resampling of the benchmarks' items.
    """
    items = {name: judge.items(result.stitches) for name, result in results.items() if result.stitches}
    resampled = {name: _resample(found, resamples) for name, found in items.items()}
    content: Json = {}
    for name, result in results.items():
        own = items.get(name)
        scores = as_scores(own, pairs) if own else dict.fromkeys(judge.evaluators, result.scores)
        drawn = resampled.get(name, np.tile([result.scores[pair] for pair in pairs], (resamples, 1)))
        content[name] = {
            "label": result.label,
            "seconds": result.seconds,
            "flops": sum(result.flops.values()),
            "connectors": own is not None,
            "scores": scores,
            "bootstrap": _bootstrap(resampled[oracle], drawn, pairs, own is not None),
        }
    return content


def _resample(items: Mapping[str, np.ndarray], resamples: int) -> np.ndarray:
    """Mean scores over the benchmarks [R, P], each benchmark's items drawn with replacement.

    The draws hang on the benchmark's name alone, so that all methods are judged on the same ones.
    """
    return np.mean(
        [bootstrap_means(found, resamples, zlib.crc32(name.encode())) for name, found in items.items()],
        axis=0,
    )


def _bootstrap(oracle_RP: np.ndarray, own_RP: np.ndarray, pairs: Sequence[str], connectors: bool) -> Json:
    found = [
        agreement(dict(zip(pairs, oracle_P, strict=True)), dict(zip(pairs, own_P, strict=True)))
        for oracle_P, own_P in zip(oracle_RP.tolist(), own_RP.tolist(), strict=True)
    ]
    content: Json = {}
    for key in ("spearman", "relative_regret"):
        values = np.array([row[key] for row in found if row[key] is not None], float)
        content[key] = list(percentile_interval(values)) if len(values) else None
    content["mean_score"] = list(percentile_interval(own_RP.mean(1))) if connectors else None
    return content


def summarise(runs: Sequence[Json], oracle: str) -> Json:
    """Put the seeds' results together.

    Each seed of a method is compared with every seed of the oracle (the oracle itself with the other seeds:
    the ceiling), and the mean taken; mean and 95% interval are over the method's seeds.
    """
    content: Json = {"seeds": len(runs), "ceiling": oracle, "methods": {}}
    for method in runs[0]:
        rows = [_against(runs, oracle, method, own) for own in range(len(runs))]
        measures = {key: _interval([row[key] for row in rows]) for key in MEASURES}
        if not runs[0][method]["connectors"]:
            measures["mean_score"] = None
        content["methods"][method] = {
            "label": runs[0][method]["label"],
            "flops": float(np.mean([run[method]["flops"] for run in runs])),
            "seconds": _interval([run[method]["seconds"] for run in runs]),
            "picks": [row["pick"] for row in rows],
            "bootstrap": runs[0][method]["bootstrap"],
        } | measures
    return content


def _against(runs: Sequence[Json], oracle: str, method: str, own: int) -> Json:
    others = [run for number, run in enumerate(runs) if method != oracle or number != own]
    scores = runs[own][method]["scores"]
    found = [compare(run[oracle]["scores"], scores) for run in others]
    result: Json = {}
    for key in MEASURES:
        values = [value for row in found if (value := row[key]) is not None]
        result[key] = float(np.mean(values)) if values else None
    means = {
        pair: float(np.mean([of[pair] for of in scores.values()])) for pair in next(iter(scores.values()))
    }
    best = max(means.values())
    first = [pair for pair, value in means.items() if value == best]
    return result | {"pick": first[0] if len(first) == 1 else None}


def _interval(values: Sequence[float | None]) -> Json | None:
    kept = [value for value in values if value is not None]
    if not kept:
        return None
    mean, low, high = t_interval(kept)
    return {"mean": mean, "low": low, "high": high, "values": kept}

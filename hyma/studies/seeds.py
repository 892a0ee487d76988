"""How much of a method's figures is luck: every method with several seeds, every benchmark resampled.

A method's agreement with grid search is bounded by grid search's agreement with itself: trained twice, it
does not rank the pairs alike either. That ceiling stands beside every figure.

Every seed parts the benchmarks into other halves, too. A method that picks by one half of a seed is held against other
seeds' grid search on the other half of the same parting: no item is on both sides.
"""

import zlib
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from hyma.evaluation.halves import HALVES, Half
from hyma.ranking.agreement import agreement, spearman
from hyma.ranking.luck import repeatability
from hyma.ranking.pairing import effects, table, whole
from hyma.ranking.statistics import bootstrap_means, percentile_interval, t_interval
from hyma.stitching.result import SearchResult
from hyma.studies.judge import Halves, Items, Judge, as_scores, compare, mean_scores

Json = dict[str, Any]
MEASURES = ("spearman", "spearman_benchmarks", "ndcg@5", "relative_regret", "mean_score")


def one_seed(
    results: Mapping[str, SearchResult],
    judge: Judge,
    oracle: str,
    pairs: Sequence[str],
    resamples: int,
    salt: int,
    salts: Sequence[int],
) -> Json:
    """Judge every method's result of one seed; the oracle's is among them.

    Args:
        results: method → what it found with this seed.
        judge: the benchmarks.
        oracle: whom methods are held against.
        pairs: all pairs.
        resamples: how often the items are drawn anew.
        salt: of this seed's halves.
        salts: of all seeds', by each of which the oracle is judged; the others by the first, too, to compare seeds.

    Returns:
        method → ``label``, ``seconds``, ``cpu_seconds``, ``flops``, ``connectors`` (bool), ``choose`` (benchmark → pair
        → score that it picks by), ``report`` (salt → the same of the reported half, by all salts that it was judged
        by; of methods without connectors none) and ``bootstrap``: 95% intervals of the figures under resampling of the
        benchmarks' items.
    """
    items = {
        name: judge.items(result.stitches, salts if name == oracle else sorted({salt, salts[0]}))
        for name, result in results.items()
        if result.stitches
    }
    truth_RP = _resample(items[oracle][salt]["report"], resamples, "report")
    content: Json = {}
    for name, result in results.items():
        if own := items.get(name):
            choose = as_scores(own[salt]["choose"], pairs)
            choose_RP, report_RP = (_resample(own[salt][half], resamples, half) for half in HALVES)
        else:
            choose = dict.fromkeys(judge.evaluators, result.scores)
            choose_RP, report_RP = np.tile([result.scores[pair] for pair in pairs], (resamples, 1)), None
        content[name] = {
            "label": result.label,
            "seconds": result.seconds,
            "cpu_seconds": result.cpu_seconds,
            "flops": sum(result.flops.values()),
            "connectors": own is not None,
            "choose": choose,
            "report": {str(key): as_scores(halves["report"], pairs) for key, halves in (own or {}).items()},
            "bootstrap": _bootstrap(truth_RP, choose_RP, report_RP, pairs),
        }
    return content


def _resample(items: Items, resamples: int, half: Half) -> np.ndarray:
    """Mean scores over the benchmarks [R, P], each benchmark's items drawn with replacement.

    The draws hang on the benchmark's name and the half alone, so that all methods are judged on the same ones.
    """
    return np.mean(
        [
            bootstrap_means(found, resamples, zlib.crc32(f"{name}/{half}".encode()))
            for name, found in items.items()
        ],
        axis=0,
    )


def _bootstrap(
    oracle_RP: np.ndarray, own_RP: np.ndarray, worth_RP: np.ndarray | None, pairs: Sequence[str]
) -> Json:
    found = [
        agreement(dict(zip(pairs, oracle_P, strict=True)), dict(zip(pairs, own_P, strict=True)))
        for oracle_P, own_P in zip(oracle_RP.tolist(), own_RP.tolist(), strict=True)
    ]
    content: Json = {}
    for key in ("spearman", "relative_regret"):
        values = np.array([row[key] for row in found if row[key] is not None], float)
        content[key] = list(percentile_interval(values)) if len(values) else None
    content["mean_score"] = None if worth_RP is None else list(percentile_interval(worth_RP.mean(1)))
    return content


def summarise(runs: Mapping[int, Json], oracle: str) -> Json:
    """Put the results together, seed (and salt) by seed.

    Each seed of a method is compared with every seed of the oracle (the oracle itself with the other seeds:
    the ceiling), and the mean taken; mean and 95% interval are over the method's seeds.
    """
    content: Json = {"seeds": len(runs), "ceiling": oracle, "methods": {}}
    first = next(iter(runs.values()))
    for method in first:
        rows = [_against(runs, oracle, method, own) for own in runs]
        measures = {key: _interval([row[key] for row in rows]) for key in MEASURES}
        if not first[method]["connectors"]:
            measures["mean_score"] = None
        content["methods"][method] = {
            "label": first[method]["label"],
            "flops": float(np.mean([run[method]["flops"] for run in runs.values()])),
            "seconds": _interval([run[method]["seconds"] for run in runs.values()]),
            "cpu_seconds": _interval([run[method]["cpu_seconds"] for run in runs.values()]),
            "picks": [row["pick"] for row in rows],
            "bootstrap": first[method]["bootstrap"],
        } | measures
    return content | {"luck": luck(runs, oracle, content["methods"])}


def luck(runs: Mapping[int, Json], oracle: str, methods: Mapping[str, Json]) -> Json:
    """What seeds alone make of the scores, all on the halves of the first seed.

    Args:
        runs: seed → what `one_seed` gave.
        oracle: whose interactions are compared.
        methods: method → its figures over the seeds, as `summarise` has them.

    Returns:
        ``seeds``, how many; ``pairs`` and ``benchmarks``; ``tolerance``: method → by how much a pair's mean score may
        differ between two runs; ``mean_score`` and ``spearman``: the same of a method's mean over all pairs, and of ρ;
        ``pairing``: see `_interaction`.
    """
    salt = str(next(iter(runs)))
    scores = {
        method: [mean_scores(run[method]["report"][salt]) for run in runs.values()]
        for method in methods
        if next(iter(runs.values()))[method]["connectors"]
    }
    (first, *_), names = scores[oracle], next(iter(runs.values()))[oracle]["choose"]
    figures = {
        key: np.array([own[key]["values"] for name, own in methods.items() if own[key] and name in scores]).T
        for key in ("mean_score", "spearman")
    }
    return {
        "seeds": len(runs),
        "pairs": list(first),
        "benchmarks": list(names),
        "tolerance": {
            method: repeatability(np.array([list(seed.values()) for seed in of]))
            for method, of in scores.items()
        },
        **{key: repeatability(values_SM) if values_SM.size else None for key, values_SM in figures.items()},
        "pairing": _interaction(scores[oracle]),
    }


def _interaction(scores: Sequence[Mapping[str, float]]) -> Json:
    """How much of the oracle's interaction between the encoders is there again with another seed.

    Returns:
        ``interaction``: its share of the variance over pairs; ``noise``: its variance between seeds, as a share of its
        own variance; ``spearman``: ρ of two seeds' interactions, the ceiling of all methods'.
    """
    kept = whole(scores)
    tables = [table(own, *kept) for own in scores]
    both_SIT = np.stack([effects(score_IT)[2] for score_IT in tables])
    variance = float((both_SIT**2).mean())
    rho = [spearman(one.ravel(), other.ravel()) for one, other in combinations(both_SIT, 2)]
    known = [value for value in rho if value is not None]
    return {
        "interaction": variance / total if (total := float(np.mean([own.var() for own in tables]))) else None,
        "noise": float(both_SIT.var(0, ddof=1).mean()) / variance if variance else None,
        "spearman": float(np.mean(known)) if known else None,
    }


def _against(runs: Mapping[int, Json], oracle: str, method: str, own: int) -> Json:
    """A method's run with the seed `own` against the oracle's runs, on the halves of that seed."""
    others = [run for seed, run in runs.items() if method != oracle or seed != own]
    scores, half = runs[own][method]["choose"], str(own)
    halves = Halves(scores, runs[own][method]["report"].get(half, scores))
    found = [compare(run[oracle]["report"][half], halves) for run in others]
    result: Json = {}
    for key in MEASURES:
        values = [value for row in found if (value := row[key]) is not None]
        result[key] = float(np.mean(values)) if values else None
    means = mean_scores(scores)
    best = max(means.values())
    first = [pair for pair, value in means.items() if value == best]
    return result | {"pick": first[0] if len(first) == 1 else None}


def _interval(values: Sequence[float | None]) -> Json | None:
    kept = [value for value in values if value is not None]
    if not kept:
        return None
    mean, low, high = t_interval(kept)
    return {"mean": mean, "low": low, "high": high, "values": kept}

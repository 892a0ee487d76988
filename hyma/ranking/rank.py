"""From every method's benchmark scores and costs to one ranking: the content of metrics/ranking.json."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from hyma.common.errors import HymaError
from hyma.common.names import MAIN, ORACLE
from hyma.ranking import audit
from hyma.ranking.agreement import Agreement, agreement, pick

Json = dict[str, Any]
Scores = dict[str, dict[str, float]]
"""Method → pair → score."""


def rank(
    benchmarks: Mapping[str, Json],
    flops: Json,
    records: Mapping[str, Json],
    probes: Json | None = None,
    trained: Json | None = None,
    seed: int = 0,
) -> Json:
    """Compare all methods, benchmark by benchmark and over all; with the oracle, where it trained every pair.

    A method with connectors is judged by their scores on the benchmarks, one without by its own scores of the
    pairs, the same for every benchmark. Pairs that failed rank below all others.

    Args:
        benchmarks: name → content of metrics/benchmarks/<name>.json; each names the protocol that ranks.
        flops: content of metrics/flops.json.
        records: method → its record (see `hyma.stitching.result.save`).
        probes: content of metrics/probes.json, if the encoders were probed.
        trained: content of metrics/finals.json: which pairs the oracle trained; all, unless given.
        seed: of what an audit draws.

    Returns:
        metrics/ranking.json: see the section "The seams" of the design, or its keys.

    Raises:
        HymaError: if a method lacks a pair.
    """
    trained = trained or {"oracle": "full"}
    full = trained["oracle"] == "full"
    own = {name: _scores(content) for name, content in benchmarks.items()}
    stitched = [method for method, record in records.items() if record["connectors"] != "none"]
    _refuse_missing(own, records, trained.get("pairs", []))
    scores = {name: _with_records(of, records) for name, of in own.items()}
    overall = {method: _mean_scores(scores, method) for method in records}
    whole = [method for method in records if full or method != ORACLE]
    truth = ORACLE if full else None
    compared = {
        name: {method: _compare(of, method, stitched, truth) for method in whole}
        for name, of in scores.items()
    }
    found = {
        "pairs": len(overall[MAIN if MAIN in overall else ORACLE]),
        "oracle": truth,
        "trained": trained,
        "audit": None,
        "since": None,
        "protocol": _protocol(benchmarks),
        "methods": {
            method: {key: record[key] for key in ("label", "connectors", "failed", "notes")}
            | {"trains": record["steps"] > 0}
            for method, record in records.items()
        },
        "benchmarks": {
            name: {"metric": content["metric"], "methods": compared[name]}
            for name, content in benchmarks.items()
        },
        "mean": {method: _mean([compared[name][method] for name in scores]) for method in whole},
        "overall": {method: _compare(overall, method, stitched, truth) for method in whole},
        "scores": {
            method: {
                pair: {"mean": _finite(overall[method][pair])}
                | {name: _finite(of[method][pair]) for name, of in scores.items()}
                for pair in overall[method]
            }
            for method in records
            if method in stitched
        },
        "own_scores": {
            method: record["scores"] for method, record in records.items() if method not in stitched
        },
        "unimodal": None if probes is None or not full else _unimodal(probes, overall[ORACLE]),
        "cost": _cost(flops, {method: record["seconds"] for method, record in records.items()}, full),
        "winner": _winner({method: overall[method] for method in overall if method in stitched}, trained),
    }
    if trained["oracle"] == "audit":
        found["audit"] = audit.estimate(overall[MAIN], overall[ORACLE], seed)
    return found


def _with_records(of: Scores, records: Mapping[str, Json]) -> Scores:
    """The scores of every method: of its connectors where it has them, else its own."""
    return {
        method: (record["scores"] if record["connectors"] == "none" else of[method])
        | dict.fromkeys(record["failed"], -math.inf)
        for method, record in records.items()
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def summary(ranking: Json) -> Json:
    """The few figures that experiments are compared by (metrics/summary.json), from the whole ranking.

    For each method but the oracle: the score of its pick over all benchmarks, its agreement with the oracle as
    the mean over the benchmarks (where that trained every pair), and how many times cheaper it is.
    """
    result: Json = {"winner": ranking["winner"]}
    for method, cost in ranking["cost"].items():
        if method == ORACLE:
            continue
        agreed = {key: ranking["mean"][method].get(key) for key in ("spearman", "ndcg@5", "relative_regret")}
        ratios = {"flops_ratio": cost["flops_ratio"], "seconds_ratio": cost["seconds_ratio"]}
        result[method] = {"score": ranking["overall"][method]["score"]} | agreed | ratios
        result[method] = {key: value for key, value in result[method].items() if value is not None}
    return result


def _scores(benchmark: Json) -> Scores:
    methods = benchmark["protocols"][benchmark["protocol"]]["methods"]
    return {
        method: {pair: values["score"] for pair, values in pairs.items()} for method, pairs in methods.items()
    }


def mean_scores(benchmarks: Collection[Json], method: str) -> dict[str, float]:
    """A method's scores of the pairs, averaged over benchmarks (contents of metrics/benchmarks/<name>.json).

    Pairs that failed have none.
    """
    found = [_scores(content)[method] for content in benchmarks]
    return {pair: float(np.mean([of[pair] for of in found])) for pair in found[0]}


def _refuse_missing(
    scores: Mapping[str, Scores], records: Mapping[str, Json], trained: Collection[str]
) -> None:
    """Every benchmark needs every stitching method's score of every pair that it looked at, but failed ones."""
    for name, of in scores.items():
        for method, record in records.items():
            if record["connectors"] == "none":
                continue
            looked = trained if method == ORACLE and trained else record["scores"]
            known = of.get(method, {})
            missing = [pair for pair in looked if pair not in known and pair not in record["failed"]]
            if missing:
                raise HymaError(
                    f"metrics/benchmarks/{name}.json: no score of {method} for pair {missing[0]} "
                    f"({len(missing)} missing); run `dvc repro` again"
                )


def _protocol(benchmarks: Mapping[str, Json]) -> str:
    """The protocol that ranks, where the protocols differ at all."""
    contents = sorted(benchmarks.values(), key=lambda content: -len(content["protocols"]))
    return str(contents[0]["protocol"])


def _mean_scores(scores: Mapping[str, Scores], method: str) -> dict[str, float]:
    """Each pair's score averaged over the benchmarks."""
    pairs = next(iter(scores.values()))[method]
    return {pair: float(np.mean([of[method][pair] for of in scores.values()])) for pair in pairs}


def _compare(scores: Scores, method: str, stitched: Collection[str], oracle: str | None) -> Agreement:
    own = scores[method]
    found = pick(own) if oracle is None else agreement(scores[oracle], own)
    # Of several first pairs the score is the same; a method without connectors has none.
    top = max(own.values() if oracle is None else (own[pair] for pair in scores[oracle]))
    return {"score": _finite(top) if method in stitched else None} | found


def _mean(rows: list[Agreement]) -> Agreement:
    """Each measure averaged over the benchmarks on which it is defined."""
    result: Agreement = {}
    for key in rows[0].keys() - {"pair", "picks", "regret_std"}:
        values = [value for row in rows if isinstance(value := row[key], int | float)]
        result[key] = float(np.mean(values)) if values else None
    return dict(sorted(result.items()))


def _cost(flops: Json, seconds: Mapping[str, float], full: bool) -> Json:
    """FLOPs and seconds of each method; the ratios say how many times cheaper than the whole grid it is.

    A method that computes nothing has no ratios. Where not all pairs were trained on their own, the whole grid's FLOPs
    are counted, and its seconds are unknown.
    """
    total = {method: entry["total"] for method, entry in flops["methods"].items()}
    whole = total[ORACLE] if full else flops["whole_grid"]["total"]
    return {
        method: {
            "flops": total[method],
            "seconds": seconds[method],
            "flops_ratio": whole / total[method] if total[method] else None,
            "seconds_ratio": seconds[ORACLE] / seconds[method] if total[method] and full else None,
            "parts": flops["methods"][method]["parts"],
        }
        for method in seconds
    }


def _unimodal(probes: Json, oracle: Mapping[str, float]) -> Json:
    """Spearman's ρ of each side's own strength with the oracle's scores, averaged over the other side."""
    sides = {"image": 0, "text": 1}
    result: Json = {}
    for side, position in sides.items():
        strength = probes[side]["scores"]
        reached = {
            slug: float(
                np.mean([score for pair, score in oracle.items() if pair.split("-")[position] == slug])
            )
            for slug in strength
        }
        rho = agreement(reached, strength)["spearman"]
        result[side] = probes[side] | {"spearman": rho, "pair_scores": reached}
    both = {pair: sum(_standing(probes[side]["scores"], pair.split("-")[at]) for side, at in sides.items())
            for pair in oracle}  # fmt: skip
    result["pair"] = {"spearman": agreement(oracle, both)["spearman"]}
    return result


def _standing(strength: Mapping[str, float], slug: str) -> float:
    """An encoder's strength in standard deviations from its side's mean."""
    values = np.array(list(strength.values()))
    return float((strength[slug] - values.mean()) / (values.std() or 1.0))


def _winner(overall: Scores, trained: Json) -> Json:
    """The pair to stitch, with the best of its connectors.

    Of an audit it is the best pair that was trained on its own; else the one that HYMA puts first over all benchmarks.
    """
    chooser = overall[ORACLE] if trained["oracle"] == "audit" else overall.get(MAIN, overall.get(ORACLE, {}))
    pair = max(sorted(chooser), key=chooser.__getitem__)
    scores = {method: of[pair] for method, of in overall.items() if pair in of}
    method = max(sorted(scores), key=scores.__getitem__)
    return {"pair": pair, "method": method, "score": scores[method]}

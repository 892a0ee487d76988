"""From every method's benchmark scores and costs to one ranking: the content of metrics/ranking.json."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hyma.common.names import MAIN, ORACLE
from hyma.ranking import audit, judged, signals
from hyma.ranking.costs import costs
from hyma.ranking.pairing import pairing
from hyma.ranking.params import By
from hyma.ranking.signals import Of, Scores, Signals, best_first
from hyma.ranking.unimodal import unimodal
from hyma.ranking.winner import connectors, winner

Json = dict[str, Any]


def rank(
    benchmarks: Mapping[str, Json],
    flops: Json,
    records: Mapping[str, Json],
    probes: Json | None = None,
    trained: Json | None = None,
    seed: int = 0,
    by: By = "choose",
    held_out: Scores | None = None,
) -> Json:
    """Compare all methods, benchmark by benchmark and over all; with the oracle, where it trained every pair.

    What is picked is picked by one half of every benchmark, or by the methods' own signals; all that is said of it is
    the other half's. Pairs that failed rank below all others.

    Args:
        benchmarks: name → content of metrics/benchmarks/<name>.json; each names the protocol that ranks.
        flops: content of metrics/flops.json.
        records: method → its record (see `hyma.stitching.result.save`).
        probes: content of metrics/probes.json, if the encoders were probed.
        trained: content of metrics/finals.json: which pairs the oracle trained; all, unless given.
        seed: of what an audit draws.
        by: what pairs and connectors are picked by.
        held_out: method → pair → recall on held-out captions; needed where that chooses.

    Returns:
        metrics/ranking.json: see the section "The seams" of the design, or its keys.

    Raises:
        HymaError: if a method lacks a pair.
    """
    trained = trained or {"oracle": "full"}
    full = trained["oracle"] == "full"
    found = signals.read(benchmarks, records, trained.get("pairs", []))
    whole = [method for method in records if full or method != ORACLE]
    truth = ORACLE if full else None
    compared, mean, overall = judged.picked(found, by, whole, truth)
    choosing = connectors(found, by, held_out)
    won = winner(found, by, choosing, trained["oracle"])
    return {
        "pairs": len(found.own[MAIN if MAIN in records else ORACLE]),
        "oracle": truth,
        "trained": trained,
        "by": by,
        "audit": _audit(found, by, won["pair"], seed) if trained["oracle"] == "audit" else None,
        "since": None,
        "protocol": _protocol(benchmarks),
        "methods": {method: _about(record) for method, record in records.items()},
        "benchmarks": {
            name: {"metric": content["metric"], "methods": compared[name]}
            for name, content in benchmarks.items()
        },
        "mean": mean,
        "overall": overall,
        "own": judged.alike(found, "held_out", whole, truth),
        "connectors": judged.alike(found, "choose", whole, truth),
        "order": {method: best_first(found.chosen(by, method)) for method in records},
        "scores": _by_pair(found, found.report),
        "choose": _by_pair(found, found.choose),
        "choosing": {method: _finite(of) for method, of in choosing.items()},
        "own_scores": {method: record["scores"] for method, record in records.items()},
        "unimodal": unimodal(probes, found.reported(ORACLE) or {}) if probes and full else None,
        "cost": costs(flops, records, full),
        "winner": won,
        "pairing": _pairing(found, by, whole, truth),
    }


def _pairing(found: Signals, by: By, methods: Sequence[str], oracle: str | None) -> Json | None:
    """What decides the reported scores, the oracle's or, where there is none, the main method's; and who knows it."""
    judge = oracle or MAIN
    if judge not in found.stitched:
        return None
    names: list[str | None] = [None, *found.report]
    truth = {name or "mean": found.reported(judge, name) or {} for name in names}
    own = {method: {name or "mean": found.chosen(by, method, name) for name in names} for method in methods}
    return pairing(judge, truth, own if oracle else {})


def _about(record: Json) -> Json:
    about = {key: record[key] for key in ("label", "connectors", "failed", "notes")}
    return about | {"trains": record["steps"] > 0}


def _audit(found: Signals, by: By, pair: str, seed: int) -> Json:
    return audit.estimate(found.chosen(by, MAIN), found.reported(ORACLE) or {}, seed, pair)


def _by_pair(found: Signals, scores: Mapping[str, Scores]) -> Json:
    """Method → pair → ``mean`` and benchmark → score; None where a pair failed."""
    result: Json = {}
    for method in found.stitched:
        columns = {"mean": signals.mean(scores, method)} | {name: of[method] for name, of in scores.items()}
        shown = {name: _finite(of) for name, of in columns.items()}
        result[method] = {pair: {name: of[pair] for name, of in shown.items()} for pair in shown["mean"]}
    return result


def _finite(scores: Of) -> dict[str, float | None]:
    return {pair: score if math.isfinite(score) else None for pair, score in scores.items()}


def _protocol(benchmarks: Mapping[str, Json]) -> str:
    """The protocol that ranks, where the protocols differ at all."""
    contents = sorted(benchmarks.values(), key=lambda content: -len(content["protocols"]))
    return str(contents[0]["protocol"])


def summary(ranking: Json) -> Json:
    """The few figures that experiments are compared by (metrics/summary.json), from the whole ranking.

    For each method but the oracle: the score of its pick over all benchmarks, its agreement with the oracle as
    the mean over the benchmarks (where that trained every pair), that of its own signal, and how many times cheaper it
    is. All scores are those of the reported halves.
    """
    result: Json = {"winner": ranking["winner"]}
    for method, cost in ranking["cost"].items():
        if method == ORACLE:
            continue
        agreed = {key: ranking["mean"][method].get(key) for key in ("spearman", "ndcg@5", "relative_regret")}
        agreed |= {"spearman_own": ranking["own"][method]["mean"].get("spearman")}
        ratios = {"flops_ratio": cost["flops_ratio"], "time_ratio": cost["time_ratio"]}
        result[method] = {"score": ranking["overall"][method]["score"]} | agreed | ratios
        result[method] = {key: value for key, value in result[method].items() if value is not None}
    return result

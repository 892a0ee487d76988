"""Which methods are worth their cost, from metrics/ranking.json. Cost is FLOPs, the oracle is never judged.

Where the oracle did not train every pair, methods have a cost and no worth.
"""

from collections.abc import Sequence
from typing import Any

from hyma.common.names import MAIN
from hyma.ranking import pairing

Json = dict[str, Any]
CLOSE = 0.01
"""A pick is good if its regret is at most this share of the best pair's score."""


def pairing_verdict(ranking: Json) -> str:
    """What decides the pairs' mean scores: see `hyma.ranking.pairing.verdict`."""
    return pairing.verdict(ranking["pairing"]["split"]["mean"])


def on_cpu(ranking: Json) -> bool:
    """Whether the searches ran on a CPU, so that CPU seconds say what they took."""
    return bool(ranking["cost"][reference(ranking)]["threads"])


def threads(ranking: Json) -> list[int]:
    """How many CPU threads the searches had: one number, unless some ran where there were more."""
    counts = {own["threads"] for own in ranking["cost"].values() if own["flops"] and own["threads"]}
    return sorted(counts)


def pareto(points: Sequence[tuple[float, ...]]) -> list[int]:
    """Numbers of the points that no other one dominates, the lower the better in every coordinate."""
    return [
        number for number, point in enumerate(points) if not any(dominates(other, point) for other in points)
    ]


def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether `one` is nowhere higher than `other` and somewhere lower."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def by_cost(ranking: Json) -> list[str]:
    """All methods, cheapest first; of equally cheap ones the one with the better pick, then order, first."""
    return sorted(ranking["cost"], key=lambda method: burden(ranking, method))


def burden(ranking: Json, method: str) -> tuple[float, float, float]:
    """FLOPs, regret and -ρ on the mean score: the lower the better. Where no order can be judged, ρ is 0."""
    spent, found = ranking["cost"][method]["flops"], ranking["overall"].get(method, {})
    if ranking["oracle"] is None:
        return spent, 0.0, 0.0
    return spent, found["regret"], -(found["spearman"] or 0.0)


def pairs(ranking: Json) -> list[str]:
    """All pairs, in the order of params.yaml."""
    return max((list(of) for of in ranking["scores"].values()), key=len)


def reference(ranking: Json) -> str:
    """Whose scores of all pairs a page goes by: the oracle's, or the main method's where that did not train all."""
    return str(ranking["oracle"] or MAIN)


def cheapest_good(ranking: Json, computing: bool = False) -> str | None:
    """The cheapest method with a good pick; of those that spend any FLOPs, if `computing`.

    Where none has, not even the oracle, it is the oracle; only where no pair scores above 0 there is none.
    """
    for method in by_cost(ranking):
        regret = ranking["overall"][method]["relative_regret"]
        spends = ranking["cost"][method]["flops"] > 0
        if regret is not None and regret <= CLOSE and (spends or not computing):
            return method
    oracle = str(ranking["oracle"])
    return None if ranking["overall"][oracle]["relative_regret"] is None else oracle


def ceiling(ranking: Json) -> float | None:
    """ρ of the oracle's order by the halves that choose with its order by the reported ones: what to expect at best."""
    found = ranking["connectors"][ranking["oracle"]]["overall"]["spearman"]
    return None if found is None else float(found)


def mean_score(ranking: Json, method: str) -> tuple[float | None, int]:
    """Mean score of a method's connectors, and of how many pairs it has them."""
    of_pairs = ranking["scores"].get(method, {}).values()
    found = [scores["mean"] for scores in of_pairs if scores["mean"] is not None]
    return (sum(found) / len(found) if found else None), len(found)


def best_connectors(ranking: Json) -> str | None:
    """Of the methods cheaper than the oracle with connectors of all pairs, the one whose score best on average."""
    limit = ranking["cost"][ranking["oracle"]]["flops"]
    whole = [
        method
        for method in by_cost(ranking)
        if ranking["cost"][method]["flops"] < limit and mean_score(ranking, method)[1] == ranking["pairs"]
    ]
    return max(whole, key=lambda method: mean_score(ranking, method)[0] or 0.0, default=None)


def best_order(ranking: Json) -> str | None:
    """The method, the oracle aside, whose order of the pairs is closest to the oracle's."""
    rho = {
        method: found
        for method in by_cost(ranking)
        if method != ranking["oracle"] and (found := ranking["overall"][method]["spearman"]) is not None
    }
    return max(rho, key=rho.__getitem__, default=None)


def dominated(ranking: Json) -> dict[str, str]:
    """Methods that are not worth it → one that is no dearer, no worse, and somewhere better.

    Worse and better are said of the pick's regret and of ρ on the mean score. Of several such methods the
    cheapest is named, though before all one that computes anything: what an answer cost elsewhere is not known.
    """
    burdens = {method: burden(ranking, method) for method in by_cost(ranking)}
    front = {list(burdens)[number] for number in pareto(list(burdens.values()))} | {ranking["oracle"]}
    better = {
        method: [other for other in burdens if dominates(burdens[other], own)]
        for method, own in burdens.items()
        if method not in front
    }
    return {
        method: min(found, key=lambda m: (not burdens[m][0], burdens[m])) for method, found in better.items()
    }

"""What changed between runs and how the ranking, the cost and the winner moved: the data of reports/compare.md."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hyma.common.errors import HymaError
from hyma.common.names import MAIN
from hyma.ranking import choice
from hyma.ranking.agreement import agreement, pick
from hyma.ranking.differences import changed_inputs, differences, outdated
from hyma.ranking.luck import between

Json = dict[str, Any]
Scores = dict[str, float]
"""Pair → score; -inf where the pair failed."""


@dataclass(frozen=True)
class Run:
    """One run of the pipeline: what it was told to do, and what came out."""

    name: str
    """As the user named the revision, or ``workspace``."""
    params: Json
    """Content of params.yaml."""
    ranking: Json
    """Content of metrics/ranking.json."""
    lock: Json
    """Content of dvc.lock; empty where there is none."""
    studies: Json = field(default_factory=dict)
    """Content of metrics/studies.json, every method with several seeds; empty where they were not run."""
    commit: str = ""
    date: str = ""
    subject: str = ""


def compare(runs: Sequence[Run]) -> Json:
    """Everything that differs, of two runs or more, judged on the pairs and benchmarks that all of them have.

    Returns:
        ``runs``: run → what it is and its own winner (whose score is None if not all runs have that pair);
        ``common``: pairs, benchmarks, the oracle (None unless it trained every pair in all runs), and the chooser,
        whose order names the winner;
        ``params``, ``inputs``: see `differences` and `changed_inputs`;
        ``methods``: method → label and, by run, its figures;
        ``order``: chooser and oracle → pair → run → rank and mean score;
        ``agreement``: chooser and oracle → Spearman's ρ of the first run's order with the last's;
        ``benchmarks``: name → run → the chooser's figures;
        ``luck``: see `luck`; ``tie``: see `hyma.ranking.luck.between`.

    Raises:
        HymaError: if the runs share no pair, no benchmark or no method.
    """
    rankings = {run.name: run.ranking for run in runs}
    pairs = _common("pairs", {name: choice.pairs(ranking) for name, ranking in rankings.items()})
    benchmarks = _common("benchmarks", {name: list(r["benchmarks"]) for name, r in rankings.items()})
    scored = _common("methods with connectors", {name: list(r["scores"]) for name, r in rankings.items()})
    oracle = _oracle(rankings, scored)
    chooser = MAIN if MAIN in scored or oracle is None else oracle
    found = {name: _Scores.of(ranking, pairs, benchmarks) for name, ranking in rankings.items()}
    ordered = {
        method: _order(
            {name: found[name].picking[method]["mean"] for name in rankings},
            {name: found[name].worth[method]["mean"] for name in rankings},
        )
        for method in dict.fromkeys((chooser, oracle))
        if method is not None
    }
    return {
        "runs": {run.name: _about(run, found[run.name]) for run in runs},
        "common": {"pairs": pairs, "benchmarks": benchmarks, "chooser": chooser, "oracle": oracle},
        "params": differences({run.name: run.params for run in runs}),
        "inputs": changed_inputs([run.lock for run in runs]),
        "methods": {
            method: {"label": _label(rankings, method), "runs": _figures(rankings, found, method, oracle)}
            for method in dict.fromkeys(method for of in found.values() for method in of.picking)
        },
        "order": ordered,
        "agreement": {method: _same_order(order) for method, order in ordered.items()},
        "benchmarks": {
            name: {run: _on(name, found[run], chooser, oracle, rankings[run]) for run in rankings}
            for name in benchmarks
        },
        "luck": luck(runs, pairs, benchmarks),
        "tie": between({run.name: run.studies.get("luck", {}) for run in runs}, ordered, pairs, benchmarks),
    }


def luck(runs: Sequence[Run], pairs: Sequence[str], benchmarks: Sequence[str]) -> Json | None:
    """How far figures vary with nothing but the seed, by the last run whose seeds were studied.

    Returns:
        ``run``, ``seeds`` (how many), ``methods``: method → ``spearman`` and ``all_pairs``, each its highest value
        less its lowest. None where no seeds were studied, or not all pairs and benchmarks are common.
    """
    alike = all(_sizes(run.ranking) == (len(pairs), len(benchmarks)) for run in runs)
    studied = [run for run in runs if run.studies.get("methods")]
    if not alike or not studied:
        return None
    studies = studied[-1].studies
    ranges = {
        method: {"spearman": _range(found, "spearman"), "all_pairs": _range(found, "mean_score")}
        for method, found in studies["methods"].items()
    }
    return {"run": studied[-1].name, "seeds": studies["seeds"], "methods": ranges}


def _sizes(ranking: Json) -> tuple[int, int]:
    return len(choice.pairs(ranking)), len(ranking["benchmarks"])


def _range(found: Json, key: str) -> float | None:
    values = (found.get(key) or {}).get("values") or []
    return max(values) - min(values) if len(values) > 1 else None


def _common(what: str, names: Mapping[str, list[str]]) -> list[str]:
    """What all runs have, in the first one's order."""
    first, *others = names.values()
    common = [name for name in first if all(name in other for other in others)]
    if not common:
        each = "; ".join(f"{run} has {_few(own)}" for run, own in names.items())
        raise HymaError(f"the runs share no {what}, so nothing can be compared: {each}")
    return common


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _oracle(rankings: Mapping[str, Json], scored: Sequence[str]) -> str | None:
    if any(ranking["oracle"] is None for ranking in rankings.values()):
        return None
    oracles = dict.fromkeys(str(ranking["oracle"]) for ranking in rankings.values())
    if len(oracles) > 1 or not oracles.keys() <= set(scored):
        raise HymaError(
            f"the runs were judged by different oracles ({', '.join(oracles)}) and cannot be compared"
        )
    return next(iter(oracles))


def _about(run: Run, scores: "_Scores") -> Json:
    ranking, winner = run.ranking, run.ranking["winner"]
    shared = winner["pair"] in scores.picking[choice.reference(ranking)]["mean"]
    of = scores.worth.get(winner["method"], {}).get("mean", {})
    score = _finite(of[winner["pair"]]) if winner["pair"] in of else winner["score"] if shared else None
    return {
        "commit": run.commit,
        "date": run.date,
        "subject": run.subject,
        "protocol": ranking["protocol"],
        "pairs": len(choice.pairs(ranking)),
        "benchmarks": list(ranking["benchmarks"]),
        "winner": winner | {"score": score},
        "outdated": outdated(run.params, run.lock),
    }


def _label(rankings: Mapping[str, Json], method: str) -> str:
    """A method's name for people; runs of long ago have none."""
    found = [ranking.get("methods", {}).get(method, {}).get("label") for ranking in rankings.values()]
    return str(next((name for name in reversed(found) if name), method))


@dataclass(frozen=True)
class _Scores:
    """A run's scores of the common pairs: method → benchmark or ``mean`` → pair → score."""

    picking: dict[str, dict[str, Scores]]
    """What each method picks by; grid search is left out where it did not train every pair."""
    worth: dict[str, dict[str, Scores]]
    """What its connectors score as reported, of methods that have any."""

    @classmethod
    def of(cls, ranking: Json, pairs: Sequence[str], benchmarks: Sequence[str]) -> "_Scores":
        """From the content of metrics/ranking.json; of runs without halves, picks are by what is reported."""

        def connectors(scores: Json) -> dict[str, Scores]:
            of = {name: {pair: _number(scores[pair][name]) for pair in pairs} for name in benchmarks}
            return of | {"mean": _mean_of(of, pairs)}

        methods = list(ranking["overall"])
        worth = {m: connectors(ranking["scores"][m]) for m in methods if m in ranking["scores"]}
        picking: dict[str, dict[str, Scores]] = {}
        for method in methods:
            if method in worth and ranking.get("by", "choose") == "choose":
                picking[method] = connectors((ranking.get("choose") or ranking["scores"])[method])
            else:
                failed, own = ranking["methods"][method]["failed"], ranking["own_scores"][method]
                alone = {pair: -math.inf if pair in failed else float(own[pair]) for pair in pairs}
                picking[method] = dict.fromkeys((*benchmarks, "mean"), alone)
        return cls(picking, worth)


def _mean_of(scores: Mapping[str, Scores], pairs: Sequence[str]) -> Scores:
    return {pair: float(np.mean([of[pair] for of in scores.values()])) for pair in pairs}


def _number(score: float | None) -> float:
    return -math.inf if score is None else score


def _finite(score: float) -> float | None:
    return score if math.isfinite(score) else None


def _figures(
    rankings: Mapping[str, Json], found: Mapping[str, _Scores], method: str, oracle: str | None
) -> Json:
    """By run: the method's pick, what it is worth, how well it orders the pairs, what it cost."""
    result = {}
    for run, ranking in rankings.items():
        if method in found[run].picking:
            cost, worth = ranking["cost"][method], found[run].worth.get(method)
            result[run] = _judged(found[run], method, "mean", oracle) | {
                "all_pairs": None if worth is None else _finite(float(np.mean(list(worth["mean"].values())))),
                "flops": cost["flops"],
                "seconds": cost["seconds"],
                "cpu_seconds": cost.get("cpu_seconds"),
            }
    return result


def _judged(scores: _Scores, method: str, where: str, oracle: str | None) -> Json:
    own, worth = scores.picking[method][where], scores.worth.get(method, {}).get(where)
    first = [pair for pair in own if own[pair] == max(own.values())]
    score = None if worth is None else _finite(float(np.mean([worth[pair] for pair in first])))
    if oracle is None:
        return pick(own) | {"score": score}
    judged = agreement(scores.worth[oracle][where], own)
    kept = {key: judged[key] for key in ("pair", "picks", "regret", "spearman")}
    return kept | {"score": score, "ndcg@5": judged["ndcg@5"]}


def _on(benchmark: str, scores: _Scores, chooser: str, oracle: str | None, ranking: Json) -> Json:
    judged = _judged(scores, chooser, benchmark, oracle)
    metric = {"metric": ranking["benchmarks"][benchmark]["metric"]}
    if oracle is None:
        return judged | metric
    return judged | {"best": max(scores.worth[oracle][benchmark].values())} | metric


def _order(picking: Mapping[str, Scores], worth: Mapping[str, Scores]) -> Json:
    """Pair → run → rank (1 is best, each rank once) and mean score; those that moved most come first."""
    ranks = {
        run: {pair: rank for rank, pair in enumerate(sorted(own, key=lambda p: (-own[p], p)), start=1)}
        for run, own in picking.items()
    }
    last = list(ranks)[-1]
    moved = {pair: {run: {"rank": ranks[run][pair], "score": _finite(worth[run][pair])} for run in ranks}
             for pair in ranks[last]}  # fmt: skip
    return dict(sorted(moved.items(), key=lambda item: (-spread(item[1]), item[1][last]["rank"])))


def spread(places: Json) -> int:
    """How many ranks lie between a pair's best place and its worst."""
    ranks = [place["rank"] for place in places.values()]
    return max(ranks) - min(ranks)


def _same_order(order: Json) -> float | None:
    first, *_, last = next(iter(order.values()))
    before, after = (
        {pair: -float(places[run]["rank"]) for pair, places in order.items()} for run in (first, last)
    )
    rho = agreement(before, after)["spearman"]
    return None if rho is None else float(rho)

"""The page reports/methods.md: which way of finding the pair is worth its cost."""

from collections.abc import Callable
from typing import Any

from hyma.ranking import choice
from hyma.report import beside, markdown, similarity
from hyma.report.inputs import label, picked
from hyma.wording.markdown import decimal, flops, points, seconds, table, times

Json = dict[str, Any]
OF_ORACLE = ("regret", "ρ, own signal", "ρ, connectors", "ρ, pairing", "NDCG@5", "× less time")
"""Columns that need every pair trained on its own."""
Figure = tuple[str, Any]
"""How a number reads, and the number."""


def page(ranking: Json, other: Json | None = None) -> str:
    """The whole page as markdown; `other` is the ranking of the experiment that this one is held against, if any."""
    return markdown.page(
        "methods",
        ranking,
        comparison=comparison(ranking),
        twice=twice(ranking) if ranking["oracle"] else "",
        cka=similarity.words(ranking),
        beside=beside.section(ranking, other or {}),
        methods=choice.by_cost(ranking),
        beaten=choice.dominated(ranking) if ranking["oracle"] else {},
    )


def advice(ranking: Json) -> str:
    """Three sentences: for the pick alone, for connectors of all pairs, for the whole order."""
    return markdown.page("advice", ranking).rstrip()


def how_to_read(ranking: Json) -> str:
    """What the columns of the comparison mean."""
    return markdown.page("how_to_read", ranking).rstrip()


def figures(ranking: Json, method: str) -> dict[str, Figure]:
    """A method's agreement with the oracle, if there is one, and its cost, by the heads of their columns."""
    total, spent = (ranking[part].get(method, {}) for part in ("overall", "cost"))
    own, stitched = (
        ranking[signal].get(method, {"overall": {}})["overall"] for signal in ("own", "connectors")
    )
    shown: dict[str, tuple[Callable[[Any], str], Any]] = {
        "score": (points, total.get("score")),
        "regret": (points, total.get("regret")),
        "ρ, own signal": (decimal, own.get("spearman")),
        "ρ, connectors": (decimal, stitched.get("spearman")),
        "ρ, pairing": (decimal, _pairing(ranking, method)),
        "NDCG@5": (decimal, total.get("ndcg@5")),
        "mean score, all pairs": (points, choice.mean_score(ranking, method)[0]),
        "FLOPs": (flops, spent["flops"]),
        "CPU seconds": (seconds, spent.get("cpu_seconds")),
        "seconds": (seconds, spent["seconds"]),
        "× fewer FLOPs": (times, spent["flops_ratio"]),
        "× less time": (times, spent.get("time_ratio")),
    }
    if ranking["oracle"] is None:
        shown = {name: own for name, own in shown.items() if name not in OF_ORACLE}
    return {name: (show(value), value) for name, (show, value) in shown.items()}


def _pairing(ranking: Json, method: str) -> float | None:
    """ρ of the interactions on the mean score."""
    of = (ranking.get("pairing") or {"methods": {}})["methods"].get(method)
    return of["mean"]["interaction"] if of else None


def comparison(ranking: Json) -> str:
    """One row a method, cheapest first."""
    rows, names = [], list(figures(ranking, choice.reference(ranking)))
    judged = [method for method in choice.by_cost(ranking) if method in ranking["overall"]]
    for number, method in enumerate(judged, start=1):
        about, found = ranking["methods"][method], ranking["overall"][method]
        cells = {name: text for name, (text, _) in figures(ranking, method).items()}
        if found["pair"] is None and "regret" in cells:
            cells["regret"] += f" ± {points(found['regret_std'])}"
        of = choice.mean_score(ranking, method)[1]
        if 0 < of < ranking["pairs"]:
            cells["mean score, all pairs"] += f" ({of} of {ranking['pairs']})"
        name = f"**{about['label']}** (the oracle)" if method == ranking["oracle"] else about["label"]
        trains = "yes" if about["trains"] else "no"
        rows.append([str(number), name, picked(found), about["connectors"], trains, *cells.values()])
    return table(["", "method", "its pick", "connectors", "trains", *names], rows, left=5)


def twice(ranking: Json) -> str:
    """One row a method, cheapest first: its pick and how well it ranks, by its own signal and by its connectors."""
    rows = []
    for method in choice.by_cost(ranking):
        cells = [label(ranking, method)]
        for signal in ("own", "connectors"):
            found = ranking[signal].get(method)
            cells += ["–"] * 5 if found is None else _agreed(found)
        rows.append(cells)
    figures = ("pick", "regret", "ρ", "ρ, by benchmark", "NDCG@5")
    header = [f"{signal}: {what}" for signal in ("own signal", "connectors") for what in figures]
    return table(["method", *header], rows, left=2)


def _agreed(found: Json) -> list[str]:
    total, mean = found["overall"], found["mean"]
    rho = (decimal(own["spearman"]) for own in (total, mean))
    return [picked(total), points(total["regret"]), *rho, decimal(total["ndcg@5"])]


def short(ranking: Json) -> str:
    """One row for each method that gives connectors, cheapest first: its pick, how well it ranks, its cost."""
    rows = []
    for method in sorted(ranking["scores"], key=lambda entry: ranking["cost"][entry]["flops"]):
        own = {name: text for name, (text, _) in figures(ranking, method).items()}
        kept = (
            "score",
            "regret",
            "ρ, own signal",
            "ρ, connectors",
            "NDCG@5",
            "FLOPs",
            "CPU seconds",
            "seconds",
        )
        cheaper = f"{own['× fewer FLOPs']} / {own['× less time']}"
        rows.append(
            [
                label(ranking, method),
                picked(ranking["overall"][method]),
                *(own[name] for name in kept),
                cheaper,
            ]
        )
    taken = ("FLOPs", "CPU seconds", "seconds", "times cheaper")
    agreed = ("score", "regret", "ρ, own signal", "ρ, connectors", "NDCG@5")
    return table(["method", "its pick", *agreed, *taken], rows, left=2)

"""The page reports/methods.md: which way of finding the pair is worth its cost."""

from collections.abc import Callable
from typing import Any

from hyma.ranking import choice
from hyma.report import markdown
from hyma.report.inputs import label, picked
from hyma.wording.markdown import decimal, flops, points, seconds, table, times

Json = dict[str, Any]
Figure = tuple[str, Any]
"""How a number reads, and the number."""


def page(ranking: Json) -> str:
    """The whole page as markdown."""
    return markdown.page(
        "methods",
        ranking,
        comparison=comparison(ranking),
        methods=choice.by_cost(ranking),
        beaten=choice.dominated(ranking),
    )


def advice(ranking: Json) -> str:
    """Three sentences: for the pick alone, for connectors of all pairs, for the whole order."""
    return markdown.page("advice", ranking).rstrip()


def how_to_read(ranking: Json) -> str:
    """What the columns of the comparison mean."""
    return markdown.page("how_to_read", ranking).rstrip()


def figures(ranking: Json, method: str) -> dict[str, Figure]:
    """A method's agreement with the oracle and its cost, by the heads of their columns."""
    total, mean, spent = (ranking[part][method] for part in ("overall", "mean", "cost"))
    shown: dict[str, tuple[Callable[[Any], str], Any]] = {
        "score": (points, total["score"]),
        "regret": (points, total["regret"]),
        "ρ, mean score": (decimal, total["spearman"]),
        "ρ, by benchmark": (decimal, mean["spearman"]),
        "NDCG@5": (decimal, mean["ndcg@5"]),
        "mean score, all pairs": (points, choice.mean_score(ranking, method)[0]),
        "FLOPs": (flops, spent["flops"]),
        "seconds": (seconds, spent["seconds"]),
        "× fewer FLOPs": (times, spent["flops_ratio"]),
        "× less time": (times, spent["seconds_ratio"]),
    }
    return {name: (show(value), value) for name, (show, value) in shown.items()}


def comparison(ranking: Json) -> str:
    """One row a method, cheapest first."""
    rows, names = [], list(figures(ranking, ranking["oracle"]))
    for number, method in enumerate(choice.by_cost(ranking), start=1):
        about, found = ranking["methods"][method], ranking["overall"][method]
        cells = {name: text for name, (text, _) in figures(ranking, method).items()}
        if found["pair"] is None:
            cells["regret"] += f" ± {points(found['regret_std'])}"
        of = choice.mean_score(ranking, method)[1]
        if 0 < of < ranking["pairs"]:
            cells["mean score, all pairs"] += f" ({of} of {ranking['pairs']})"
        name = f"**{about['label']}** (the oracle)" if method == ranking["oracle"] else about["label"]
        trains = "yes" if about["trains"] else "no"
        rows.append([str(number), name, picked(found), about["connectors"], trains, *cells.values()])
    return table(["", "method", "its pick", "connectors", "trains", *names], rows, left=5)


def short(ranking: Json) -> str:
    """One row for each method that gives connectors, cheapest first: its pick, how well it ranks, its cost."""
    rows = []
    for method in sorted(ranking["scores"], key=lambda entry: ranking["cost"][entry]["flops"]):
        own = {name: text for name, (text, _) in figures(ranking, method).items()}
        kept = ("score", "regret", "ρ, by benchmark", "NDCG@5", "FLOPs", "seconds")
        cheaper = f"{own['× fewer FLOPs']} / {own['× less time']}"
        rows.append(
            [
                label(ranking, method),
                picked(ranking["overall"][method]),
                *(own[name] for name in kept),
                cheaper,
            ]
        )
    header = ["method", "its pick", "score", "regret", "ρ", "NDCG@5", "FLOPs", "seconds", "times cheaper"]
    return table(header, rows, left=2)

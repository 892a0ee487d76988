"""The page reports/index.html: the last run at a glance, to click through and to hand on as one file."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyma.common.names import MAIN
from hyma.common.prepared import Prepared
from hyma.ranking import choice
from hyma.report import methods, ranking
from hyma.report.gallery import RIGHT, UNIT, Item, Judged, sample
from hyma.report.html import Cell, Column, Picture, figure, heated, render, thumbnail
from hyma.report.inputs import Inputs, label, of_two, picked
from hyma.wording.markdown import cheaper, decimal, flops, pair, points, seconds, times

Json = dict[str, Any]
EACH = 6
"""Right items of a benchmark in the gallery, and wrong ones."""
FIGURES = {
    "scatter": "Every pair, scored by both",
    "pairs": "Mean score of all pairs",
    "cost": "Cost against quality",
    "unimodal": "Uni-modal strength against pair score",
    "methods": "Regret and ρ against cost, all methods",
    "training": "Training curves",
}
"""The pictures of reports/figures by name, in the page's order, and what they show."""


@dataclass(frozen=True)
class Card:
    """An item of the gallery, with its picture."""

    benchmark: str
    item: Item
    picture: Picture | None


@dataclass(frozen=True)
class Shown:
    """A benchmark's part of the gallery."""

    name: str
    unit: str
    right_is: str
    right: int
    items: int
    cards: list[Card]


def page(found: Json, figures: Path, gallery: Sequence[Shown]) -> str:
    """The whole page as HTML.

    Args:
        found: content of metrics/ranking.json.
        figures: the folder of the reports' pictures; those that are missing are left out.
        gallery: items of every benchmark as the winner answers them.
    """
    two = of_two(Inputs(found, {}, {}, {}, {}, {}, {})).ranking
    winner = found["winner"]
    return render(
        "page.html.j2",
        title=f"Stitch {pair(winner['pair'])}",
        answer=ranking.answer(two),
        tiles=tiles(found),
        columns=pair_columns(found),
        bodies=pair_bodies(found),
        chosen=winner["method"],
        oracle=label(found, found["oracle"]),
        advice=methods.advice(found),
        method_columns=METHOD_COLUMNS,
        method_rows=[method_row(found, method) for method in choice.by_cost(found)],
        how_to_read=methods.HOW_TO_READ.format(oracle=label(found, found["oracle"])),
        figures=[
            figure(figures / f"{name}.png", text)
            for name, text in FIGURES.items()
            if (figures / f"{name}.png").is_file()
        ],
        winner={"pair": pair(winner["pair"]), "method": label(found, winner["method"])},
        gallery=gallery,
    )


def tiles(found: Json) -> list[tuple[str, str]]:
    """A few figures of the answer to see at a glance: (figure, what it is)."""
    winner, oracle = found["winner"], label(found, found["oracle"])
    shown = [(points(winner["score"]), f"points by {label(found, winner['method'])}")]
    if MAIN in found["cost"]:
        spent, whole = found["cost"][MAIN], found["overall"][MAIN]
        work, _, fewer = cheaper(spent["flops_ratio"], "fewer FLOPs", "more FLOPs").partition(" ")
        time, _, less = cheaper(spent["seconds_ratio"], "less time", "more time").partition(" ")
        shown += [
            (work, f"{fewer} than {oracle}"),
            (time, f"{less} than {oracle}"),
            (decimal(whole["spearman"]), f"ρ with {oracle}'s order of the pairs"),
            (points(whole["regret"]), "points of regret"),
        ]
    return shown


def _means(found: Json) -> list[str]:
    """The methods whose mean score every table of pairs has: the main one and the oracle."""
    return [method for method in dict.fromkeys((MAIN, found["oracle"])) if method in found["scores"]]


def pair_columns(found: Json) -> list[Column]:
    """The heads of the table of all pairs."""
    texts = [Column(name, number=False) for name in ("pair", "image encoder", "text encoder")]
    means = [f"mean by {label(found, method)}" for method in _means(found)]
    return texts + [Column(name) for name in (*means, "mean score", *found["benchmarks"])]


def pair_bodies(found: Json) -> list[Json]:
    """The table's rows once for every method with connectors: the last columns are that method's scores.

    All are in the order of the first method of the table, which is the one that the answer goes by.
    """
    scores = found["scores"][_means(found)[0]]
    worth = {name: -math.inf if own["mean"] is None else own["mean"] for name, own in scores.items()}
    order = sorted(scores, key=lambda name: (-worth[name], name))
    return [
        {"method": method, "label": label(found, method), "rows": _pair_rows(found, method, order)}
        for method in found["scores"]
    ]


def _pair_rows(found: Json, method: str, order: Sequence[str]) -> list[list[Cell]]:
    columns = [(other, "mean") for other in _means(found)]
    columns += [(method, name) for name in ("mean", *found["benchmarks"])]
    cells = []
    for owner, name in columns:
        values = [found["scores"][owner][entry][name] for entry in order]
        cells.append([Cell(points(v), v, h) for v, h in zip(values, heated(values), strict=True)])
    names = [[Cell(text) for text in (pair(entry), *entry.split("-"))] for entry in order]
    return [[*own, *(column[row] for column in cells)] for row, own in enumerate(names)]


METHOD_COLUMNS = [
    *(Column(name, number=False) for name in ("method", "its pick", "connectors")),
    *(Column(name) for name in ("score", "regret", "ρ, mean score", "ρ, by benchmark", "NDCG@5")),
    *(Column(name) for name in ("mean score, all pairs", "FLOPs", "seconds", "× fewer FLOPs", "× less time")),
]


def method_row(found: Json, method: str) -> list[Cell]:
    """A method's agreement and cost, as in reports/methods.md."""
    total, mean, spent = (found[part][method] for part in ("overall", "mean", "cost"))
    average = choice.mean_score(found, method)[0]
    name = f"{label(found, method)}{' (the oracle)' if method == found['oracle'] else ''}"
    texts = (name, picked(total), found["methods"][method]["connectors"])
    numbers = [
        (points(total["score"]), total["score"]),
        (points(total["regret"]), total["regret"]),
        (decimal(total["spearman"]), total["spearman"]),
        (decimal(mean["spearman"]), mean["spearman"]),
        (decimal(mean["ndcg@5"]), mean["ndcg@5"]),
        (points(average), average),
        (flops(spent["flops"]), spent["flops"]),
        (seconds(spent["seconds"]), spent["seconds"]),
        (times(spent["flops_ratio"]), spent["flops_ratio"]),
        (times(spent["seconds_ratio"]), spent["seconds_ratio"]),
    ]
    return [*(Cell(text) for text in texts), *(Cell(text, value) for text, value in numbers)]


def shown(name: str, data: Prepared, judged: Judged, seed: int) -> Shown:
    """A benchmark's part of the gallery: a balanced sample of what a pair gets right and wrong."""
    items = [judged.item(number) for number in sample(judged.right_I, EACH, seed)]
    return Shown(
        name,
        UNIT[data.meta.task],
        RIGHT[data.meta.task],
        int(judged.right_I.sum()),
        len(judged.right_I),
        [Card(name, item, picture(data, item)) for item in items],
    )


def picture(data: Prepared, item: Item) -> Picture | None:
    """An item's image, small; its id stands where it cannot be shown."""
    row = data.images.slice(item.image, 1).to_pylist()[0]
    return thumbnail(row["image"], row["id"])

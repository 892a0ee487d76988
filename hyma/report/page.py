"""The page reports/index.html: the last run at a glance, to click through and to hand on as one file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyma.common.names import MAIN, ORACLE
from hyma.common.prepared import Prepared
from hyma.ranking import choice
from hyma.report import methods, ranking
from hyma.report.gallery import RIGHT, UNIT, Item, Judged, sample
from hyma.report.html import Cell, Column, Picture, figure, heated, render, thumbnail
from hyma.report.inputs import Inputs, label, of_two, picked, time_words
from hyma.wording.markdown import cheaper, decimal, pair, points

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
        oracle=found["oracle"] and label(found, found["oracle"]),
        trained=trained(found),
        advice=methods.advice(found) if found["oracle"] else "",
        method_columns=method_columns(found),
        method_rows=[
            method_row(found, method) for method in choice.by_cost(found) if method in found["overall"]
        ],
        how_to_read=methods.how_to_read(found),
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
    winner = found["winner"]
    shown = [(points(winner["score"]), f"points by {label(found, winner['method'])}")]
    if found["oracle"] is None:
        return shown + _unjudged(found)
    oracle = label(found, found["oracle"])
    if MAIN in found["cost"]:
        spent, whole = found["cost"][MAIN], found["overall"][MAIN]
        work, _, fewer = cheaper(spent["flops_ratio"], "fewer FLOPs", "more FLOPs").partition(" ")
        time, _, less = cheaper(spent["time_ratio"], *time_words(found)).partition(" ")
        shown += [
            (work, f"{fewer} than {oracle}"),
            (time, f"{less} than {oracle}"),
            (decimal(whole["spearman"]), f"ρ with {oracle}'s order of the pairs"),
            (points(whole["regret"]), "points of regret"),
        ]
    return shown


def _unjudged(found: Json) -> list[tuple[str, str]]:
    """The figures of a run that did not train every pair."""
    spent, audit = found["cost"][MAIN], found.get("audit")
    whole = spent["flops"] * spent["flops_ratio"]
    paid = sum(found["cost"][method]["flops"] for method in (MAIN, ORACLE) if method in found["cost"])
    shown = [(cheaper(whole / paid, "", "").strip(), "fewer FLOPs than the whole grid, counted")]
    if audit:
        rho, level = audit["spearman"], f"{100 * audit['level']:.0f}%"
        shown += [
            (
                decimal(rho["estimate"], 2),
                f"ρ, estimated ({level}: {decimal(rho['low'], 2)} to {decimal(rho['high'], 2)})",
            ),
            (points(audit["regret"]["high"]), f"points of regret at most, with {level} certainty"),
            (f"{100 * audit['chance_better']:.0f}%", "chance that an untrained pair is better"),
        ]
    return shown


def trained(found: Json) -> str:
    """How many pairs were trained on their own; nothing where all were, or none."""
    if not found.get("audit"):
        return ""
    return f"Trained on their own were {len(found['trained']['pairs'])} of {found['pairs']} pairs."


def _means(found: Json) -> list[str]:
    """The methods whose mean score every table of pairs has: the main one and the oracle, an audit's, too."""
    return [method for method in (MAIN, ORACLE) if method in found["scores"]]


def pair_columns(found: Json) -> list[Column]:
    """The heads of the table of all pairs."""
    texts = [Column(name, number=False) for name in ("pair", "image encoder", "text encoder")]
    means = [f"mean by {label(found, method)}" for method in _means(found)]
    return texts + [Column(name) for name in (*means, "mean score", *found["benchmarks"])]


def pair_bodies(found: Json) -> list[Json]:
    """The table's rows once for every method with connectors: the last columns are that method's scores.

    All are in the order of the first method of the table, which is the one that the answer goes by.
    """
    order = found["order"][_means(found)[0]]
    return [
        {
            "method": method,
            "label": label(found, method),
            "rows": _pair_rows(found, method, [entry for entry in order if entry in found["scores"][method]]),
        }
        for method in found["scores"]
    ]


def _pair_rows(found: Json, method: str, order: Sequence[str]) -> list[list[Cell]]:
    columns = [(other, "mean") for other in _means(found)]
    columns += [(method, name) for name in ("mean", *found["benchmarks"])]
    cells = []
    for owner, name in columns:
        own = found["scores"][owner]
        values = [own[entry][name] if entry in own else None for entry in order]
        texts = [points(v) if entry in own else "" for entry, v in zip(order, values, strict=True)]
        cells.append([Cell(t, v, h) for t, v, h in zip(texts, values, heated(values), strict=True)])
    names = [[Cell(text) for text in (pair(entry), *entry.split("-"))] for entry in order]
    return [[*own, *(column[row] for column in cells)] for row, own in enumerate(names)]


METHOD_TEXTS = ("method", "its pick", "connectors")


def method_columns(found: Json) -> list[Column]:
    """The heads of the table of all methods."""
    numbers = map(Column, methods.figures(found, choice.reference(found)))
    return [*(Column(name, number=False) for name in METHOD_TEXTS), *numbers]


def method_row(found: Json, method: str) -> list[Cell]:
    """A method's agreement and cost, as in reports/methods.md."""
    name = f"{label(found, method)}{' (the oracle)' if method == found['oracle'] else ''}"
    texts = (name, picked(found["overall"][method]), found["methods"][method]["connectors"])
    return [*map(Cell, texts), *(Cell(*own) for own in methods.figures(found, method).values())]


def shown(name: str, data: Prepared, judged: Judged, seed: int) -> Shown:
    """A benchmark's part of the gallery: of the half that is reported, a balanced sample of right and wrong items."""
    items = [judged.item(number) for number in sample(judged, EACH, seed)]
    return Shown(
        name,
        UNIT[data.meta.task],
        RIGHT[data.meta.task],
        int(judged.right_I[judged.reported_I].sum()),
        int(judged.reported_I.sum()),
        [Card(name, item, picture(data, item)) for item in items],
    )


def picture(data: Prepared, item: Item) -> Picture | None:
    """An item's image, small; its id stands where it cannot be shown."""
    row = data.images.slice(item.image, 1).to_pylist()[0]
    return thumbnail(row["image"], row["id"])

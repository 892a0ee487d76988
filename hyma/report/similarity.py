"""What reports/methods.md says of CKA: whether chance explains its order, and what it does not see.

Only where CKA and calibrated CKA both ran, and the oracle trained every pair.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hyma.ranking.agreement import agreement
from hyma.report import figures, markdown
from hyma.report.inputs import label
from hyma.wording.markdown import decimal

Json = dict[str, Any]
Scores = Mapping[str, float]
RAW, CALIBRATED = "cka", "calibrated_cka"
DIMENSIONS = "effective dimensions"
"""The note of calibrated CKA that has them."""


@dataclass(frozen=True)
class Look:
    """Numbers by pair, of the pairs that have all of them."""

    raw: Scores
    calibrated: Scores
    oracle: Scores
    """Mean scores, as fractions."""
    dimension: Scores
    """The effective dimension of the pair's image encoder."""

    def rho(self, one: str, other: str) -> float | None:
        """Spearman's ρ of two of the four; None if one of them is the same for all pairs."""
        first, second = getattr(self, one), getattr(self, other)
        if len(set(first.values())) < 2 or len(set(second.values())) < 2:
            return None
        found = agreement(first, second)["spearman"]
        return None if found is None else float(found)


def look(ranking: Json) -> Look | None:
    """What there is to say; None unless both methods and the oracle scored the same three pairs or more."""
    raw, calibrated = (ranking["own_scores"].get(method) for method in (RAW, CALIBRATED))
    if raw is None or calibrated is None or ranking["oracle"] is None:
        return None
    dimensions = read_dimensions(ranking["methods"][CALIBRATED]["notes"].get(DIMENSIONS, ""))
    oracle = ranking["scores"][ranking["oracle"]]
    image_of = {pair: pair.split("-")[0] for pair in oracle}
    kept = [
        pair
        for pair, image in image_of.items()
        if image in dimensions
        and raw.get(pair) is not None
        and calibrated.get(pair) is not None
        and oracle[pair]["mean"] is not None
    ]
    if len(kept) < 3:
        return None
    return Look(
        {pair: raw[pair] for pair in kept},
        {pair: calibrated[pair] for pair in kept},
        {pair: oracle[pair]["mean"] for pair in kept},
        {pair: dimensions[image_of[pair]] for pair in kept},
    )


def read_dimensions(note: str) -> dict[str, float]:
    """Encoder → effective dimension, from the note "resnet 13.9, minilm 55.5"."""
    parts = [part.split(" ") for part in note.split(", ") if part]
    return {slug: float(number) for slug, number in parts}


def words(ranking: Json) -> str:
    """A paragraph; empty where there is nothing to say."""
    found = look(ranking)
    if found is None:
        return ""
    return markdown.page("cka", ranking, look=found, dimensions=sorted(found.dimension.values())).rstrip()


def draw(path: Path, ranking: Json) -> None:
    """CKA against calibrated CKA; the oracle's score against CKA, and against effective dimension."""
    found = look(ranking)
    if found is None:
        return
    judge = f"{label(ranking, ranking['oracle'])}: mean score (points)"
    percent = {pair: 100 * score for pair, score in found.oracle.items()}

    def fill(canvas: Figure) -> None:
        panels = canvas.subplots(1, 3)
        _panel(panels[0], found.raw, found.calibrated, found.rho("raw", "calibrated"))
        panels[0].axline((0, 0), slope=1, color="0.5", lw=1, ls="--", zorder=0)
        panels[0].set(xlabel="CKA", ylabel="calibrated CKA")
        _panel(panels[1], found.raw, percent, found.rho("raw", "oracle"))
        panels[1].set(xlabel="CKA", ylabel=judge)
        _panel(panels[2], found.dimension, percent, found.rho("dimension", "oracle"))
        panels[2].set(xlabel="image encoder's effective dimension", ylabel=judge)
        panels[2].legend(title="image encoder", loc="upper left", bbox_to_anchor=(1.01, 1.02), fontsize=9)

    figures.figure(path, 13, 4.2, fill)


def _panel(axes: Axes, across: Scores, along: Scores, rho: float | None) -> None:
    images = list(dict.fromkeys(pair.split("-")[0] for pair in across))
    for row, image in enumerate(images):
        own = [pair for pair in across if pair.split("-")[0] == image]
        axes.scatter(
            [across[pair] for pair in own], [along[pair] for pair in own], s=50, label=image,
            color=figures.COLOURS[row % len(figures.COLOURS)], marker=figures.MARKERS[row % len(figures.MARKERS)],
            edgecolor="white", linewidth=0.6,
        )  # fmt: skip
    axes.set_title(f"ρ = {decimal(rho, 2)}", loc="left")

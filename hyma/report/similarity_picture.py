"""The picture of CKA in reports/methods.md: against calibrated CKA, the oracle, and what it does not see."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hyma.report import figures
from hyma.report.inputs import label
from hyma.report.similarity import Json, Scores, look
from hyma.wording.markdown import decimal


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

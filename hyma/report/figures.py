"""The pictures of the report, one function each. Colours tell apart in print and for the colour-blind."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hyma.common.names import ORACLE
from hyma.ranking.choice import pairs
from hyma.ranking.convergence import held_out
from hyma.report.inputs import label

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
MARKERS = "osD^vP*Xph<>8"
LETTERS = 76
"""What fits below the columns of a heat map; with more its labels are turned."""
Json = dict[str, Any]
STYLE: Any = {
    "font.size": 11,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.axisbelow": True,
    "figure.dpi": 150,
}
THIN: Any = {"color": "0.65", "lw": 0.5, "alpha": 0.7}


def figure(path: Path, width: float, height: float, draw: Callable[[Figure], None]) -> None:
    """Let `draw` fill a figure of this size in inches, and save it; equal input gives equal bytes."""
    with mpl.rc_context(STYLE):
        canvas = Figure(figsize=(width, height), layout="constrained")
        draw(canvas)
        path.parent.mkdir(parents=True, exist_ok=True)
        canvas.savefig(path, metadata={"Software": None})


def _marks(pairs: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Colour of each text encoder, marker of each image encoder."""
    images = list(dict.fromkeys(pair.split("-")[0] for pair in pairs))
    texts = list(dict.fromkeys(pair.split("-")[1] for pair in pairs))
    return (
        {text: COLOURS[row % len(COLOURS)] for row, text in enumerate(texts)},
        {image: MARKERS[row % len(MARKERS)] for row, image in enumerate(images)},
    )


def _legend(axes: Axes, colour: Mapping[str, str], marker: Mapping[str, str]) -> None:
    texts = [Line2D([], [], marker="o", ls="", color=shade, label=text) for text, shade in colour.items()]
    images = [
        Line2D([], [], marker=shape, ls="", color="0.35", label=image) for image, shape in marker.items()
    ]
    first = axes.legend(handles=texts, title="text encoder", loc="upper left", bbox_to_anchor=(1.01, 1.0))
    axes.add_artist(first)
    axes.legend(handles=images, title="image encoder", loc="lower left", bbox_to_anchor=(1.01, -0.02))


def scatter(path: Path, ranking: Json, method: str) -> None:
    """A method's mean score of every pair that the oracle trained, against the oracle's."""
    oracle, own = ranking["scores"][ORACLE], ranking["scores"][method]
    kept = [pair for pair in oracle if own[pair]["mean"] is not None]
    colour, marker = _marks(list(oracle))

    def draw(canvas: Figure) -> None:
        axes = canvas.subplots()
        for pair in kept:
            image, text = pair.split("-")
            axes.scatter(
                100 * oracle[pair]["mean"], 100 * own[pair]["mean"], s=70,
                marker=marker[image], color=colour[text], edgecolor="white", linewidth=0.6,
            )  # fmt: skip
        ends = [100 * s[pair]["mean"] for s in (oracle, own) for pair in kept]
        span = (min(ends) - 1, max(ends) + 1)
        axes.plot(span, span, color="0.5", lw=1, ls="--", zorder=0)
        axes.annotate("equal", (span[1], span[1]), ha="right", va="bottom", color="0.4", rotation=0)
        axes.set(
            xlabel=f"{label(ranking, ORACLE)}: mean score (points)",
            ylabel=f"{label(ranking, method)}: mean score (points)",
        )
        which = "Every pair" if ranking["oracle"] else "The pairs trained on their own"
        axes.set_title(f"{which}, scored by both", loc="left")
        _legend(axes, colour, marker)

    figure(path, 8, 5.4, draw)


def cost_quality(path: Path, ranking: Json) -> None:
    """What each method's pick is worth against what finding it cost."""

    def draw(canvas: Figure) -> None:
        axes = canvas.subplots()
        for row, (method, cost) in enumerate(ranking["cost"].items()):
            reached = 100 * ranking["overall"][method]["oracle_score"]
            axes.scatter(cost["flops"], reached, s=110, color=COLOURS[row % len(COLOURS)], zorder=3)
            note = f"{label(ranking, method)}\n{cost['cpu_seconds']:.0f} s of CPU time"
            axes.annotate(
                note, (cost["flops"], reached), xytext=(10, -4), textcoords="offset points", va="top"
            )
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        axes.set_xlim(low / 1.5, high * 3)
        best = 100 * max(scores["mean"] for scores in ranking["scores"][ranking["oracle"]].values())
        axes.axhline(best, color="0.5", lw=1, ls="--")
        axes.annotate("best pair of all", (high * 2.8, best), ha="right", va="bottom", color="0.4")
        axes.set_ylim(0, best * 1.15)
        axes.set(
            xlabel="cost of the search (FLOPs, log scale)",
            ylabel=f"its pick, as {label(ranking, ranking['oracle'])} scores it (points)",
        )
        axes.set_title("Cost against quality: up and left is better", loc="left")

    figure(path, 7, 4.4, draw)


def unimodal(path: Path, ranking: Json) -> None:
    """Each encoder's strength on its own side against the pairs that it makes."""
    oracle = ranking["scores"][ranking["oracle"]]
    colour, marker = _marks(list(oracle))

    def draw(canvas: Figure) -> None:
        panels = canvas.subplots(1, 2, sharey=True)
        for axes, (side, position) in zip(panels, (("image", 0), ("text", 1)), strict=True):
            probe = ranking["unimodal"][side]
            for pair, scores in oracle.items():
                image, text = pair.split("-")
                strength = probe["scores"][pair.split("-")[position]]
                axes.scatter(
                    100 * strength, 100 * scores["mean"], s=55,
                    marker=marker[image], color=colour[text], edgecolor="white", linewidth=0.6,
                )  # fmt: skip
            rho = probe["spearman"]
            title = f"{side} side" + ("" if rho is None else f": ρ = {rho:.2f}")
            axes.set(xlabel=f"{probe['metric']}\non {probe['benchmark']} (points)", title=title)
        panels[0].set_ylabel("pair: mean score (points)")
        _legend(panels[1], colour, marker)

    figure(path, 9, 4.8, draw)


def training(
    path: Path, steps: Mapping[str, list[float]], grid: Mapping[str, Json], labels: tuple[str, str]
) -> None:
    """The main method's loss, accuracy and gradient norm by step; the oracle's losses, thin lines one a pair.

    Args:
        path: where to.
        steps: the main method's history.
        grid: pair → the oracle's record.
        labels: the names for people, the main method's and the oracle's.
    """

    def draw(canvas: Figure) -> None:
        panels = list(canvas.subplots(1, 4 if grid else 3))
        last = panels[-1]
        for record in grid.values():
            history = record["history"]
            panels[0].plot(history["step"], history["loss"], **THIN)
            last.plot(range(1, len(history["held_out_loss"]) + 1), history["held_out_loss"], **THIN)
        keys = (("loss", "loss"), ("accuracy", "accuracy in the batch"), ("grad_norm", "gradient norm"))
        for axes, (key, title) in zip(panels, keys, strict=False):
            axes.plot(steps["step"], steps[key], color=COLOURS[1], lw=1.2)
            axes.set(xlabel="step", title=title)
        panels[0].set_yscale("log")
        main = Line2D([], [], color=COLOURS[1], label=f"{labels[0]} (mean of its bm pairs)")
        if not grid:
            panels[0].legend(handles=[main], fontsize=8)
            return
        mean = held_out(grid)
        last.plot(range(1, len(mean) + 1), mean, color=COLOURS[0], lw=1.8, marker="o", ms=4)
        last.set(xlabel="epoch", title="held-out loss")
        thin = Line2D([], [], color="0.65", label=f"{labels[1]}, each pair")
        panels[0].legend(handles=[main, thin], fontsize=8)
        bold = Line2D([], [], color=COLOURS[0], marker="o", ms=4, label=f"{labels[1]}, mean")
        last.legend(handles=[bold, thin], fontsize=8)

    figure(path, 13, 3.4, draw)


def heatmap(path: Path, ranking: Json) -> None:
    """Mean score of all pairs, image encoders by text encoders: the oracle's and the main method's side by side."""
    images = list(dict.fromkeys(pair.split("-")[0] for pair in pairs(ranking)))
    texts = list(dict.fromkeys(pair.split("-")[1] for pair in pairs(ranking)))
    methods = [method for method in ranking["scores"] if method == ORACLE]
    methods += [method for method in ranking["scores"] if method != ORACLE]
    values = [
        100
        * np.array(
            [[ranking["scores"][method].get(f"{i}-{t}", {}).get("mean") for t in texts] for i in images],
            float,
        )
        for method in methods
    ]
    top = np.nanmax(values)

    def draw(canvas: Figure) -> None:
        panels = canvas.subplots(1, len(methods), sharey=True, squeeze=False)[0]
        for axes, method, grid in zip(panels, methods, values, strict=True):
            axes.imshow(grid, cmap="viridis", vmin=0, vmax=top, aspect="auto")
            long = max(map(len, texts)) * len(texts) > LETTERS / len(methods)
            axes.set_xticks(
                range(len(texts)), texts, rotation=30 if long else 0, ha="right" if long else "center"
            )
            axes.set_yticks(range(len(images)), images)
            axes.grid(visible=False)
            axes.set_title(label(ranking, method), loc="left")
            for (row, column), value in np.ndenumerate(grid):
                shade = "white" if value <= 0.6 * top else "black"
                known = f"{images[row]}-{texts[column]}" in ranking["scores"][method]
                text = f"{value:.1f}" if not np.isnan(value) else "failed" if known else ""
                axes.text(column, row, text, ha="center", va="center", color=shade)

    figure(path, 8, 0.8 + 0.42 * len(images), draw)

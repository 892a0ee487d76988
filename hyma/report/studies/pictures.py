"""The pictures of the studies."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from hyma.report.figures import COLOURS, figure
from hyma.report.studies.pages import by_flops

Json = dict[str, Any]


def seeds(path: Path, summary: Json) -> None:
    """ρ of every method, a dot a seed; the ceiling as a band."""
    shown = [found for found in by_flops(summary) if found["spearman"]]
    band = summary["methods"][summary["ceiling"]]["spearman"]["values"]

    def draw(canvas: Figure) -> None:
        axes = canvas.subplots()
        axes.axvspan(
            min(band), max(band), color=COLOURS[2], alpha=0.25, lw=0, label="grid search with itself"
        )
        for row, found in enumerate(shown):
            values = found["spearman"]["values"]
            axes.plot(values, [row] * len(values), "o", color=COLOURS[0], alpha=0.8, ms=6)
            axes.plot([np.mean(values)], [row], "|", color=COLOURS[1], ms=16, mew=2)
        axes.set_yticks(range(len(shown)), [found["label"] for found in shown])
        axes.set(xlabel="ρ with grid search, on the mean score (dots: seeds; bar: their mean)")
        axes.set_title("Cheapest method at the bottom, dearest on top", loc="left")
        axes.legend(loc="upper left")

    figure(path, 8, 0.9 + 0.32 * len(shown), draw)


def pairs_a_step(path: Path, found: Json) -> None:
    """ρ and mean score against FLOPs, a line for equal steps and one for equal data."""

    def draw(canvas: Figure) -> None:
        panels = canvas.subplots(1, 2)
        for axes, key, label, factor in (
            (panels[0], "spearman", "ρ with grid search, on the mean score", 1),
            (panels[1], "mean_score", "mean score of all pairs (points)", 100),
        ):
            for row, (kind, name) in enumerate((("steps", "equal steps"), ("data", "equal data a pair"))):
                spent = [entry["flops"] for entry in found[kind]]
                reached = [factor * (entry[key] or 0.0) for entry in found[kind]]
                axes.plot(spent, reached, "os"[row] + "-", color=COLOURS[row], label=name)
                for entry, x, y in zip(found[kind], spent, reached, strict=True):
                    axes.annotate(
                        str(entry["bm"]),
                        (x, y),
                        xytext=(4, 6 - 16 * row),
                        textcoords="offset points",
                        fontsize=9,
                    )
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.minorticks_off()
            axes.set(xlabel="cost of the search (FLOPs, log scale)", ylabel=label)
        # Nearly equal values should look nearly equal.
        panels[0].set_ylim(min(0.8, panels[0].get_ylim()[0]), 1.0)
        panels[1].set_ylim(0, None)
        panels[0].set_title("Numbers at the points: bm", loc="left")
        panels[1].legend(loc="lower right")

    figure(path, 9, 4, draw)

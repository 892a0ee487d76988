"""The picture of reports/compare.md: where every pair stands in every run, a line a pair."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hyma.ranking.movement import spread
from hyma.report import figures
from hyma.wording.markdown import pair, points

Json = dict[str, Any]
LIMIT = 60
"""Of more pairs, those are drawn that are among so many first in any run."""
MOVERS = 5
LEFT = ((-9, "right"), (-28, "right"), (-58, "right"))
RIGHT = ((22, "right"), (50, "right"), (58, "left"))
"""Where rank, score and name stand beside the end of a line: typographic points off it, and which way."""
PLAIN: Any = {"color": "0.72", "lw": 1.0, "zorder": 2}
MOVED: Any = {"color": "0.25", "lw": 1.6, "zorder": 3}


def slopes(path: Path, found: Json, method: str) -> None:
    """Draw `method`'s ranks, best at the top, one axis a run; winners in colour, the furthest movers dark.

    Args:
        path: where to.
        found: what `hyma.ranking.movement.compare` found.
        method: the one whose ranks are drawn.
    """
    runs, order = list(found["runs"]), drawn(found["order"][method])
    looks = _looks(found, order)
    lowest = max(place["rank"] for places in order.values() for place in places.values())

    def draw(canvas: Figure) -> None:
        axes = canvas.subplots()
        _frame(axes, found, runs, lowest)
        for name, places in order.items():
            _line(axes, name, [places[run] for run in runs], looks[name])
        label = found["methods"][method]["label"]
        canvas.suptitle(f"Rank and mean score (points) of every pair by {label}", x=0.015, ha="left", size=12)

    figures.figure(path, 4.6 + 2.4 * (len(runs) - 1), 1.3 + 0.25 * lowest, draw)


def drawn(order: Json) -> Json:
    """The pairs that the picture has room for."""
    return {
        name: places
        for name, places in order.items()
        if min(place["rank"] for place in places.values()) <= LIMIT
    }


def _looks(found: Json, order: Json) -> dict[str, Json]:
    """How each pair's line is drawn."""
    movers = [name for name, places in order.items() if spread(places) > 1][:MOVERS]
    winners = dict.fromkeys(about["winner"]["pair"] for about in found["runs"].values())
    colours = [figures.COLOURS[row] for row in (1, 0, 2, 3, 4, 5)]
    looks = {name: MOVED if name in movers else PLAIN for name in order}
    for row, name in enumerate(name for name in winners if name in order):
        looks[name] = {"color": colours[row % len(colours)], "lw": 3.0, "zorder": 4}
    return looks


def _frame(axes: Axes, found: Json, runs: Sequence[str], lowest: int) -> None:
    """The vertical axes, their names, and nothing else."""
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set(xlim=(-0.08, len(runs) - 0.92), ylim=(lowest + 0.7, 0.3))
    axes.vlines(range(len(runs)), 0.6, lowest + 0.4, color="0.85", lw=1, zorder=1)
    heads = [_head(run, found["runs"][run]) for run in runs]
    axes.set_xticks(range(len(runs)), heads)
    axes.tick_params(axis="x", top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.set_yticks([])


def _head(name: str, about: Json) -> str:
    """A run's name, cut if it is long, and below it its commit, unless it is that or the working tree."""
    short = name if len(name) <= 24 else f"{name[:22]}…"
    return short if name == about["commit"] or not about["date"] else f"{short}\n{about['commit']}"


def _line(axes: Axes, name: str, places: Sequence[Json], look: Json) -> None:
    ranks = [place["rank"] for place in places]
    axes.plot(range(len(ranks)), ranks, marker="o", ms=3 + look["lw"], solid_capstyle="round", **look)
    _write(axes, name, 0, places[0], look, LEFT)
    _write(axes, name, len(ranks) - 1, places[-1], look, RIGHT)


def _write(
    axes: Axes, name: str, at: int, place: Json, look: Json, columns: Sequence[tuple[int, str]]
) -> None:
    """A pair's rank, score and name beside the end of its line, in columns."""
    style: Any = {"color": "0.35"} if look is PLAIN else {"color": look["color"]}
    style["fontweight"] = "bold" if look["lw"] > MOVED["lw"] else "normal"
    texts = (str(place["rank"]), points(place["score"]), pair(name))
    for text, (offset, side) in zip(texts, columns, strict=True):
        axes.annotate(
            text, (at, place["rank"]), xytext=(offset, 0), textcoords="offset points", fontsize=9,
            ha=side, va="center", **style,
        )  # fmt: skip

"""The picture of reports/methods.md: what each method's pick and order are worth against what it cost."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hyma.common.names import MAIN
from hyma.ranking.choice import by_cost, pareto
from hyma.report import figures
from hyma.report.inputs import label
from hyma.wording.markdown import sentence

Json = dict[str, Any]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""
SHAPE = {"none": "o", "one-sided": "s", "two-sided": "D"}
NUMBER = (11.0, 10.0)
"""Room that a number takes, in typographic points."""
NEAR = 10.0
"""How far, across and along, a number stands from its point where there is room."""


def methods(path: Path, ranking: Json) -> None:
    """Regret of the pick, and ρ of the order, against FLOPs; points bear the numbers of the page's table."""
    spent = [ranking["cost"][method]["flops"] for method in by_cost(ranking)]
    found = [ranking["overall"][method] for method in by_cost(ranking)]
    regret = [100 * entry["regret"] for entry in found]
    spread = [100 * entry["regret_std"] if entry["pair"] is None else 0.0 for entry in found]
    rho = [entry["spearman"] for entry in found]

    def draw(canvas: Figure) -> None:
        pick, order = canvas.subplots(1, 2)
        _legends(canvas, order, ranking)
        write = [
            _panel(pick, ranking, spent, regret, 1, spread),
            _panel(order, ranking, spent, rho, -1, [0.0] * len(rho)),
        ]
        pick.set(ylabel="regret (points)")
        pick.set_title("The pick: lower and left is better", loc="left")
        order.set(ylabel="Spearman's ρ with the oracle's order")
        order.set_title("The order: higher and left is better", loc="left")
        canvas.draw_without_rendering()  # the layout must stand before numbers can be kept apart
        for numbers in write:
            numbers()

    figures.figure(path, 13, 5.4, draw)


def _panel(
    axes: Axes,
    ranking: Json,
    spent: Sequence[float],
    worth: Sequence[float | None],
    sign: int,
    spread: Sequence[float],
) -> Callable[[], None]:
    """Draw the points and their front (`sign` 1: lower is better), return what writes their numbers."""
    edge, place = _cost_axis(axes, spent)
    points = {
        number: (place(cost), value)
        for number, (cost, value) in enumerate(zip(spent, worth, strict=True), start=1)
        if value is not None
    }
    for (number, (x, y)), method in zip(points.items(), _kept(ranking, worth), strict=True):
        half = spread[number - 1]
        if half:
            axes.plot([x, x], [max(0.0, y - half), y + half], color="0.6", lw=1)
        top = 4 if method in (MAIN, ranking["oracle"]) else 3
        axes.scatter(x, y, s=52, zorder=top, linewidth=1.4, **_look(ranking, method))
    better = [(x, sign * y) for x, y in points.values()]
    front = [(x, sign * y) for x, y in sorted({better[row] for row in pareto(better)})]
    if front:
        front.append((edge, front[-1][1]))
        axes.plot(*zip(*front, strict=True), drawstyle="steps-post", color="0.55", lw=1.2, zorder=1)
    axes.margins(y=0.12)  # room for numbers
    return lambda: _number(axes, points, front)


def _kept(ranking: Json, worth: Sequence[float | None]) -> list[str]:
    return [method for method, value in zip(by_cost(ranking), worth, strict=True) if value is not None]


def _cost_axis(axes: Axes, spent: Sequence[float]) -> tuple[float, Callable[[float], float]]:
    """A log axis of FLOPs with a place for none at its left; return its right end and where a cost lies."""
    some = [cost for cost in spent if cost > 0]
    low, high = math.floor(math.log10(min(some))), math.ceil(math.log10(max(some)))
    ticks = list(range(low, high + 1, max(1, (high - low) // 5)))
    free = low - max(1.0, 0.12 * (high - low))
    start = free - 0.4 if min(spent) <= 0 else low - 0.3
    axes.set(
        xscale="log", xlim=(10**start, 10 ** (high + 0.3)), xlabel="cost of the search (FLOPs, log scale)"
    )
    axes.minorticks_off()
    places = {10.0**tick: f"$10^{{{tick}}}$" for tick in ticks}
    if min(spent) <= 0:
        places[10**free] = "none"
        axes.axvline(10 ** ((free + low) / 2), color="0.6", lw=1, ls=":")
    axes.set_xticks(list(places), list(places.values()))
    return 10 ** (high + 0.3), lambda cost: cost if cost > 0 else 10**free


def _look(ranking: Json, method: str) -> Json:
    """Shape: sides of the connectors; filled: trains; colour: the oracle, the main method, any other."""
    about = ranking["methods"][method]
    colour = {ranking["oracle"]: figures.COLOURS[0], MAIN: figures.COLOURS[1]}.get(method, "0.25")
    face = colour if about["trains"] else "white"
    return {"marker": SHAPE[about["connectors"]], "facecolor": face, "edgecolor": colour}


def _handle(look: Json, text: str) -> Line2D:
    return Line2D(
        [], [], ls="", marker=look["marker"], markerfacecolor=look["facecolor"],
        markeredgecolor=look["edgecolor"], markeredgewidth=1.4, label=text,
    )  # fmt: skip


def _legends(canvas: Figure, axes: Axes, ranking: Json) -> None:
    names = [
        _handle(_look(ranking, method), f"{number}  {label(ranking, method)}")
        for number, method in enumerate(by_cost(ranking), start=1)
    ]
    axes.legend(
        handles=names, loc="upper left", bbox_to_anchor=(1.02, 1.02), fontsize=9.5, title="cheapest first"
    )
    sides = {
        side: {"marker": shape, "facecolor": "white", "edgecolor": "0.25"} for side, shape in SHAPE.items()
    }
    key = [_handle(look, f"connectors: {side}" if side == "none" else side) for side, look in sides.items()]
    key += [
        _handle(sides["none"] | {"facecolor": "0.25"}, "filled: trains"),
        Line2D([], [], color="0.55", lw=1.2, label="Pareto front"),
        _handle(sides["none"] | {"marker": "_", "edgecolor": figures.COLOURS[0]}, "blue: the oracle"),
    ]
    if MAIN in ranking["cost"]:
        orange = {"marker": "_", "edgecolor": figures.COLOURS[1]}
        key.append(_handle(sides["none"] | orange, f"orange: {sentence(label(ranking, MAIN))}"))
    canvas.legend(handles=key, loc="outside lower center", ncols=len(key), fontsize=9, handletextpad=0.3)


def _number(axes: Axes, points: dict[int, Point], front: Sequence[Point]) -> None:
    """Write each point's number beside it, further off where there is no room, with a line back to the point."""
    scale = 72 / axes.figure.dpi

    def spot(point: Point) -> Point:
        x, y = axes.transData.transform(point) * scale
        return float(x), float(y)

    spots = {number: spot(point) for number, point in points.items()}
    taken = [(x - 4.5, y - 4.5, x + 4.5, y + 4.5) for x, y in spots.values()] + _steps([*map(spot, front)])
    for number, (x, y) in spots.items():
        right, up = offset_for((x, y), taken)
        taken.append(_box((x + right, y + up)))
        far = max(abs(right), abs(up)) > NEAR
        axes.annotate(
            str(number), points[number], xytext=(right, up), textcoords="offset points", fontsize=9,
            ha="center", va="center", arrowprops={"arrowstyle": "-", "color": "0.5", "lw": 0.6} if far else None,
        )  # fmt: skip


def _steps(spots: Sequence[Point]) -> list[Box]:
    """The thin boxes that a line of steps covers."""
    boxes = []
    for (x, y), (end, next_y) in pairwise(spots):
        boxes.append((x, y - 1, end, y + 1))
        boxes.append((end - 1, min(y, next_y), end + 1, max(y, next_y)))
    return boxes


def _box(middle: Point) -> Box:
    (x, y), (width, height) = middle, NUMBER
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def offset_for(spot: Point, taken: Sequence[Box]) -> Point:
    """The nearest place for a number around a point that overlaps no box, as (right, up).

    All in typographic points. Above at the right is tried first, sides last; then the same further off.
    """
    round_about = ((1, 1), (0, 1), (1, -1), (0, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0))
    for distance in (NEAR, 17.0, 24.0, 31.0, 38.0):
        for across, along in round_about:
            right, up = distance * across, distance * along
            left, bottom, end, top = _box((spot[0] + right, spot[1] + up))
            if all(left >= box[2] or end <= box[0] or bottom >= box[3] or top <= box[1] for box in taken):
                return right, up
    return NEAR, NEAR

"""The page reports/compare.md: what changed between runs, and how the winner, the ranking and the cost moved."""

from collections.abc import Callable
from typing import Any

from hyma.ranking.movement import spread
from hyma.report import markdown
from hyma.report.inputs import label, picked
from hyma.report.markdown import arrows, value
from hyma.wording.markdown import decimal, flops, pair, points, seconds, table, times

Json = dict[str, Any]
Show = Callable[[Any], str]
MOST = 12
"""How many changed files are named."""
FIGURES: dict[str, tuple[str, Show]] = {
    "pair": ("its pick", picked),
    "score": ("score", points),
    "all_pairs": ("mean score of all pairs", points),
    "regret": ("regret", points),
    "spearman": ("ρ", decimal),
    "ndcg@5": ("NDCG@5", decimal),
    "flops": ("FLOPs", flops),
    "cpu_seconds": ("CPU seconds", seconds),
    "seconds": ("seconds", seconds),
}
"""A method's figures: key → name, and how it is shown."""
TAKEN = ("flops", "cpu_seconds", "seconds")
"""Those that say what it took."""
OF_ORACLE = ("score", "all_pairs", *TAKEN)
"""Those that say anything of the oracle, which agrees with itself."""


NEED_ORACLE = ("regret", "spearman", "ndcg@5")
"""Those that need every pair trained on its own, in all runs."""


def _figures(found: Json) -> dict[str, tuple[str, Show]]:
    """The figures that there are."""
    if found["common"]["oracle"] is not None:
        return FIGURES
    return {key: shown for key, shown in FIGURES.items() if key not in NEED_ORACLE}


def page(found: Json) -> str:
    """The whole page as markdown, from what `hyma.ranking.movement.compare` found."""
    header, *rows = glance(found)
    return markdown.page(
        "compare",
        found,
        MOST=MOST,
        notes=notes(found),
        glance=table(header, rows),
        params=params(found),
        methods=methods(found),
        ranks={
            method: ranks(found, method) if method in pictured(found) else "" for method in found["order"]
        },
        **_changes(found),
    )


def answer(found: Json) -> str:
    """The first lines: the winner before and after, what the change is worth, whether it is more than luck."""
    return markdown.page("changes", found, **_changes(found)).rstrip()


def within(found: Json) -> str:
    """Whether the first run and the last agree within the tolerance, or how to get to know that."""
    return markdown.page("within", found).rstrip()


def notes(found: Json) -> list[str]:
    """What limits the comparison, a sentence or two each."""
    sizes = {key: {run: own[key] for run, own in found["runs"].items()} for key in ("pairs", "benchmarks")}
    sizes["benchmarks"] = {run: len(names) for run, names in sizes["benchmarks"].items()}
    text = markdown.page("limits", found, **sizes).rstrip()
    return text.split("\n\n") if text else []


def _changes(found: Json) -> Json:
    chooser = found["common"]["chooser"]
    winners: dict[str, list[str]] = {}
    for run, about in found["runs"].items():
        winners.setdefault(about["winner"]["pair"], []).append(run)
    return {
        "chooser": chooser,
        "winners": winners,
        "moved": [name for name, places in found["order"][chooser].items() if spread(places)],
        "all_pairs": [found["methods"][chooser]["runs"][run]["all_pairs"] for run in _ends(found)],
        "luck": _luck(found, chooser, "all_pairs"),
    }


def glance(found: Json) -> list[list[str]]:
    """The main figures of the chooser and the oracle, one column a run, as rows of a table."""
    won = [about["winner"] for about in found["runs"].values()]
    scores = [entry["score"] for entry in won]
    rows = [
        ["winner", *(pair(entry["pair"]) for entry in won), "", ""],
        ["score of its best connector", *map(points, scores), _change(scores[0], scores[-1], points), ""],
    ]
    chooser, oracle = found["common"]["chooser"], found["common"]["oracle"]
    if chooser != oracle:
        rows += [_row(found, chooser, key) for key in _figures(found)]
    if oracle is not None:
        rows += [_row(found, oracle, key) for key in OF_ORACLE]
    header = ["", *(f"`{run}`" for run in found["runs"]), "change", "luck"]
    return [row if found["luck"] else row[:-1] for row in (header, *rows)]


def _row(found: Json, method: str, key: str) -> list[str]:
    """A method's figure in every run, its change from the first to the last, and its luck."""
    own = found["methods"][method]["runs"]
    first, last = (own[run][key] for run in _ends(found))
    digits = decimal if key in ("spearman", "ndcg@5") else points
    changed = "" if key == "pair" else _ratio(first, last) if key in TAKEN else _change(first, last, digits)
    noise = _luck(found, method, key)
    values = [_shown(own[run], key) for run in found["runs"]]
    name = f"{label(found, method)}: {FIGURES[key][0]}"
    return [name, *values, changed, "" if noise is None else digits(noise)]


def _shown(figures: Json, key: str) -> str:
    return FIGURES[key][1](figures if key == "pair" else figures[key])


def params(found: Json) -> str:
    """The keys whose values differ, one column a run; nothing if none does."""
    runs = list(found["runs"])
    rows = [
        [f"`{key}`", *(value(values[run]) if run in values else "–" for run in runs)]
        for key, values in found["params"].items()
    ]
    return table(["key", *(f"`{run}`" for run in runs)], rows, left=1 + len(runs)) if rows else ""


def methods(found: Json) -> str:
    """Every method's figures, run by run."""
    rows, shown = [], _figures(found)
    for own in found["methods"].values():
        of = [own["runs"].get(run) for run in found["runs"]]
        cells = [arrows("–" if one is None else _shown(one, key) for one in of) for key in shown]
        rows.append([own["label"], *cells])
    return table(["method", *(name for name, _ in shown.values())], rows, left=2)


def pictured(found: Json) -> list[str]:
    """The methods whose order has a picture: the chooser's, and the oracle's if it moved."""
    chooser = found["common"]["chooser"]
    return [
        method
        for method, order in found["order"].items()
        if method == chooser or any(spread(places) for places in order.values())
    ]


def ranks(found: Json, method: str) -> str:
    """The table of one method's order, those that moved most first."""
    runs = list(found["runs"])
    header = ["pair", *(f"rank, `{run}`" for run in runs), "moved", *(f"score, `{run}`" for run in runs)]
    rows = []
    for name, places in found["order"][method].items():
        rank, score = ([places[run][key] for run in runs] for key in ("rank", "score"))
        up = rank[0] - rank[-1]
        moved = "–" if not up else f"▲ {up}" if up > 0 else f"▼ {-up}"
        rows.append([pair(name), *map(str, rank), moved, *map(points, score)])
    return table(header, rows)


def _ends(found: Json) -> tuple[str, str]:
    """The first run and the last."""
    names = list(found["runs"])
    return names[0], names[-1]


def _luck(found: Json, method: str, key: str) -> float | None:
    """By how much seeds alone change a figure, where that was studied."""
    methods = found["luck"]["methods"] if found["luck"] else {}
    noise: float | None = methods.get(method, {}).get(key)
    return noise


def _change(first: float | None, last: float | None, show: Show) -> str:
    """The difference from the first run to the last; nothing if none is to be seen."""
    if first is None or last is None or show(first) == show(last):
        return ""
    return f"{'+' if last > first else '−'}{show(abs(last - first))}"


def _ratio(first: float | None, last: float | None) -> str:
    if not first or not last or times(max(first, last) / min(first, last)) == "1.0×":
        return ""
    return f"{times(first / last)} less" if last < first else f"{times(last / first)} more"

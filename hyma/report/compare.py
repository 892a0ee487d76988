"""The page reports/compare.md: what changed between runs, and how the winner, the ranking and the cost moved."""

from collections.abc import Callable
from typing import Any

from hyma.report.movement import spread
from hyma.report.verdict import answer, arrows, by_luck, ends, label, notes, value
from hyma.wording.markdown import decimal, flops, pair, points, seconds, sentence, table, times

Json = dict[str, Any]
Show = Callable[[Any], str]
MOST = 12
"""How many changed files are named."""


def _picked(entry: Json) -> str:
    return f"any of {entry['picks']} alike" if entry["pair"] is None else pair(entry["pair"])


def _of(key: str, show: Show) -> Show:
    return lambda entry: show(entry[key])


FIGURES: dict[str, tuple[str, Show]] = {
    "pair": ("its pick", _picked),
    "score": ("score", _of("score", points)),
    "all_pairs": ("mean score of all pairs", _of("all_pairs", points)),
    "regret": ("regret", _of("regret", points)),
    "spearman": ("ρ", _of("spearman", decimal)),
    "ndcg@5": ("NDCG@5", _of("ndcg@5", decimal)),
    "flops": ("FLOPs", _of("flops", flops)),
    "seconds": ("seconds", _of("seconds", seconds)),
}
"""A method's figures: key → name, and how it is shown."""
OF_ORACLE = ("score", "all_pairs", "flops", "seconds")
"""Those that say anything of the oracle, which agrees with itself."""


def page(found: Json) -> str:
    """The whole page as markdown, from what `hyma.report.movement.compare` found."""
    parts = [
        "# What changed, and did it matter",
        answer(found),
        "\n>\n".join(f"> **Mind.** {note}" for note in notes(found)),
        _table(glance(found)),
        luck(found),
        "## What changed in params.yaml",
        params(found),
        inputs(found),
        "## The runs",
        runs(found),
        "## All methods",
        methods(found),
        "## Ranks of the pairs",
        *(ranks(found, method) for method in found["order"]),
        f"## {sentence(label(found, found['common']['chooser']))} on each benchmark",
        benchmarks(found),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


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
        rows += [_row(found, chooser, key) for key in FIGURES]
    rows += [_row(found, oracle, key) for key in OF_ORACLE]
    header = ["", *(f"`{run}`" for run in found["runs"]), "change", "luck"]
    return [row if found["luck"] else row[:-1] for row in (header, *rows)]


def _table(rows: list[list[str]]) -> str:
    return table(rows[0], rows[1:])


def luck(found: Json) -> str:
    """What the last column is, where seeds were studied."""
    if not found["luck"]:
        return ""
    seeds, run = found["luck"]["seeds"], found["luck"]["run"]
    return (
        f"*Change* is from the first run to the last. *Luck* is by how much {seeds} seeds of one experiment differ, as "
        f"the studies of `{run}` have it (`reports/seeds.md`): a change that is no larger need not mean anything."
    )


def _row(found: Json, method: str, key: str) -> list[str]:
    """A method's figure in every run, its change from the first to the last, and its luck."""
    name, show = FIGURES[key]
    own = found["methods"][method]["runs"]
    first, last = (own[run][key] for run in ends(found))
    digits = decimal if key in ("spearman", "ndcg@5") else points
    if key in ("flops", "seconds"):
        changed = _ratio(first, last)
    else:
        changed = "" if key == "pair" else _change(first, last, digits)
    noise = by_luck(found, method, key)
    values = [show(own[run]) for run in found["runs"]]
    return [f"{label(found, method)}: {name}", *values, changed, "" if noise is None else digits(noise)]


def params(found: Json) -> str:
    """The keys whose values differ, one column a run."""
    if not found["params"]:
        return "Nothing: the values are the same in all runs."
    rows = [
        [f"`{key}`", *(value(values[run]) if run in values else "–" for run in found["runs"])]
        for key, values in found["params"].items()
    ]
    return table(["key", *(f"`{run}`" for run in found["runs"])], rows, left=1 + len(found["runs"]))


def inputs(found: Json) -> str:
    """Code and data that differ, if any do."""
    paths = found["inputs"]
    if not paths:
        return ""
    more = f", and {len(paths) - MOST} more" if len(paths) > MOST else ""
    named = ", ".join(f"`{path}`" for path in paths[:MOST])
    return f"Code or data that the pipeline reads differ too, by dvc.lock: {named}{more}."


def runs(found: Json) -> str:
    """What is compared."""
    rows = [
        [
            f"`{run}`",
            f"`{own['commit']}`",
            own["date"] or "–",
            own["subject"],
            own["protocol"],
            pair(own["winner"]["pair"]),
            str(own["pairs"]),
            str(len(own["benchmarks"])),
        ]
        for run, own in found["runs"].items()
    ]
    header = ["run", "commit", "date", "subject", "protocol", "winner", "pairs", "benchmarks"]
    return table(header, rows, left=6)


def methods(found: Json) -> str:
    """Every method's figures, run by run."""
    rows = [
        [own["label"], *(_cell(found, method, show) for _, show in FIGURES.values())]
        for method, own in found["methods"].items()
    ]
    oracle = label(found, found["common"]["oracle"])
    note = (
        "An arrow (→) leads from run to run, in the order of the tables above; a figure without one is the same in "
        "all, and – means that the method did not run. Scores are points of a hundred on the mean over the benchmarks; "
        f"*regret* is how far the pick lies below the best pair, both as {oracle} of the same run scores them; *ρ* and "
        f"*NDCG@5* say how well the order of the pairs matches {oracle}'s. Seconds depend on the machine and on what "
        "else it did; FLOPs do not."
    )
    return f"{table(['method', *(name for name, _ in FIGURES.values())], rows, left=2)}\n\n{note}"


def _cell(found: Json, method: str, show: Show) -> str:
    own = found["methods"][method]["runs"]
    return arrows(show(own[run]) if run in own else "–" for run in found["runs"])


def pictured(found: Json) -> list[str]:
    """The methods whose order has a picture: the chooser's, and the oracle's if it moved."""
    chooser = found["common"]["chooser"]
    return [
        method
        for method, order in found["order"].items()
        if method == chooser or any(spread(places) for places in order.values())
    ]


def ranks(found: Json, method: str) -> str:
    """The picture and the table of one method's order, those that moved most first."""
    own, names = label(found, method), list(found["runs"])
    if method not in pictured(found):
        return f"{sentence(own)} orders the pairs alike in all runs."
    header = [
        "pair",
        *(f"rank, `{name}`" for name in names),
        "moved",
        *(f"score, `{name}`" for name in names),
    ]
    rows = [
        [
            pair(name),
            *(str(places[run]["rank"]) for run in names),
            _steps(places),
            *(points(places[run]["score"]) for run in names),
        ]
        for name, places in found["order"][method].items()
    ]
    return (
        f"### By {own}\n\n![Rank of every pair by {own}, run by run](compare/{method}.png)\n\n"
        "In colour: the winners; dark: the pairs that moved most. The table has those first; ▲ is towards the first "
        f"rank, from the first run to the last.\n\n{table(header, rows)}"
    )


def benchmarks(found: Json) -> str:
    """The chooser's pick, score, regret and ρ on each benchmark."""
    shown = [_picked, *(_of(key, points) for key in ("score", "regret", "best")), _of("spearman", decimal)]
    rows = [
        [
            name,
            arrows(entry["metric"] for entry in own.values()),
            *(arrows(map(show, own.values())) for show in shown),
        ]
        for name, own in found["benchmarks"].items()
    ]
    oracle = label(found, found["common"]["oracle"])
    header = ["benchmark", "metric", "its pick", "score", "regret", f"best pair by {oracle}", "ρ"]
    return table(header, rows, left=3)


def _change(first: float | None, last: float | None, show: Show) -> str:
    """The difference from the first run to the last; nothing if none is to be seen."""
    if first is None or last is None or show(first) == show(last):
        return ""
    return f"{'+' if last > first else '−'}{show(abs(last - first))}"


def _ratio(first: float, last: float) -> str:
    if not first or not last or times(max(first, last) / min(first, last)) == "1.0×":
        return ""
    return f"{times(first / last)} less" if last < first else f"{times(last / first)} more"


def _steps(places: Json) -> str:
    first, *_, last = places.values()
    up = first["rank"] - last["rank"]
    return "–" if not up else f"▲ {up}" if up > 0 else f"▼ {-up}"

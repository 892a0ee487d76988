"""What reports/compare.md says first: what the change did, whether it mattered, what limits the comparison."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hyma.report.movement import spread
from hyma.wording.markdown import decimal, pair, points, sentence

Json = dict[str, Any]


def answer(found: Json) -> str:
    """The first lines: the winner before and after, what the change is worth, whether it is more than luck."""
    return " ".join(part for part in (winner(found), moved(found), beyond_luck(found)) if part)


def winner(found: Json) -> str:
    """Which pair wins in which run, and what the difference is worth to the oracle."""
    won_by: dict[str, list[str]] = {}
    for run, about in found["runs"].items():
        won_by.setdefault(about["winner"]["pair"], []).append(f"`{run}`")
    if len(won_by) == 1:
        scores = arrows(points(about["winner"]["score"]) for about in found["runs"].values())
        return f"**The winner stays {pair(next(iter(won_by)))}**; its best connector scores {scores} points."
    each = ", ".join(f"{pair(name)} ({', '.join(runs)})" for name, runs in won_by.items())
    return f"**The winner changes: {each}.** {worth(found, list(won_by))}"


def worth(found: Json, winners: Sequence[str]) -> str:
    """What the winners score as the oracle trains them, run by run."""
    oracle = found["common"]["oracle"]
    order = found["order"][oracle]
    missing = [won for won in winners if won not in order]
    if missing:
        return f"What the change is worth cannot be said: not all runs have {pair(missing[0])}."
    scores = {won: [place["score"] for place in order[won].values()] for won in winners}
    each = "; ".join(f"{pair(won)} {arrows(map(points, own))}" for won, own in scores.items())
    text = f"{sentence(label(found, oracle))} scores them, in points: {each}."
    first, last = (found["runs"][run]["winner"]["pair"] for run in ends(found))
    if first == last:
        return text
    gain = scores[last][-1] - scores[first][-1]
    size = points(abs(gain))
    if size == "0.0":
        return f"{text} In the last run both are worth the same, so the change does not matter."
    return f"{text} In the last run the new winner is worth {size} {'more' if gain > 0 else 'less'} than the first."


def moved(found: Json) -> str:
    """How many pairs changed their rank by the chooser, and which moved most."""
    chooser = found["common"]["chooser"]
    order, own = found["order"][chooser], label(found, chooser)
    some = [name for name, places in order.items() if spread(places)]
    if not some:
        return f"{sentence(own)} orders all {len(order)} pairs as before."
    most = arrows(str(place["rank"]) for place in order[some[0]].values())
    rho = found["agreement"][chooser]
    alike = "" if rho is None else f"; the first run's order and the last's agree at ρ = {decimal(rho)}"
    return (
        f"{sentence(own)} ranks {len(some)} of {len(order)} pairs differently, {pair(some[0])} most of all "
        f"(rank {most}){alike}."
    )


def beyond_luck(found: Json) -> str:
    """Whether the chooser's connectors became better or worse by more than another seed would make them."""
    chooser = found["common"]["chooser"]
    first, last = (found["methods"][chooser]["runs"][run]["all_pairs"] for run in ends(found))
    if first is None or last is None or points(first) == points(last):
        return ""
    gain = last - first
    more = "more" if gain > 0 else "less"
    text = f"Over all pairs its connectors score {points(abs(gain))} points {more} on average"
    noise = by_luck(found, chooser, "all_pairs")
    if noise is None:
        return f"{text}."
    return (
        f"{text}, {'more' if abs(gain) > noise else 'no more'} than seeds alone make of it ({points(noise)})."
    )


def by_luck(found: Json, method: str, key: str) -> float | None:
    """By how much seeds alone change a figure, where that was studied."""
    methods = found["luck"]["methods"] if found["luck"] else {}
    noise: float | None = methods.get(method, {}).get(key)
    return noise


def notes(found: Json) -> list[str]:
    """What limits the comparison, a sentence or two each."""
    about, common = found["runs"], found["common"]
    stale = [_stale(run, own["outdated"]) for run, own in about.items() if own["outdated"]]
    shared = [
        *_shared("pairs", {run: own["pairs"] for run, own in about.items()}, common["pairs"]),
        *_shared(
            "benchmarks", {run: len(own["benchmarks"]) for run, own in about.items()}, common["benchmarks"]
        ),
    ]
    protocols = arrows(own["protocol"] for own in about.values())
    differ = len({own["protocol"] for own in about.values()}) > 1
    measure = (
        f"The runs evaluate by different protocols ({protocols}): their scores are not the same measure."
    )
    return stale + shared + ([measure] if differ else [])


def _stale(run: str, outdated: Json) -> str:
    (key, values), *more = outdated.items()
    ran, now = (value(values[when], 40) if when in values else "absent" for when in ("ran", "now"))
    others = f", and {len(more)} more" if more else ""
    return (
        f"The ranking of `{run}` is older than its params.yaml: it was made with `{key}` {ran}, now {now}{others}. "
        "`dvc repro` brings it up to date."
    )


def _shared(what: str, sizes: Mapping[str, int], common: Sequence[str]) -> list[str]:
    if all(size == len(common) for size in sizes.values()):
        return []
    each = ", ".join(f"{size} in `{run}`" for run, size in sizes.items())
    cost = " FLOPs and seconds are each run's for all its pairs." if what == "pairs" else ""
    return [
        f"The runs do not have the same {what} ({each}): scores, ranks and regrets are on the {len(common)} that all "
        f"have.{cost}"
    ]


def label(found: Json, method: str) -> str:
    """A method's name for people."""
    return str(found["methods"][method]["label"])


def ends(found: Json) -> tuple[str, str]:
    """The first run and the last."""
    names = list(found["runs"])
    return names[0], names[-1]


def arrows(texts: Iterable[str]) -> str:
    """Values from run to run; one that is the same in all is written once."""
    values = list(texts)
    return values[0] if len(set(values)) == 1 else " → ".join(values)


def value(content: Any, longest: int = 120) -> str:
    """A value of params.yaml in one line, as YAML writes it, cut at so many characters."""
    text = _flow(content)
    return text if len(text) <= longest else f"{text[:longest]}…"


def _flow(content: Any) -> str:
    if isinstance(content, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in content.items()) + "}"
    if isinstance(content, list):
        return "[" + ", ".join(map(_flow, content)) + "]"
    if content is None or isinstance(content, bool):
        return {None: "null", True: "true", False: "false"}[content]
    short = f"{content:g}" if isinstance(content, float) else ""
    return short if short and float(short) == content else str(content)

"""The page reports/first.md: the provisional order of the pairs, by what needs no training."""

from collections.abc import Mapping
from typing import Any

from hyma.ranking.agreement import pick
from hyma.report import markdown
from hyma.report.inputs import picked
from hyma.wording.markdown import pair, points, table

Json = dict[str, Any]


def page(records: Mapping[str, Json]) -> str:
    """The whole page as markdown.

    Args:
        records: method → its record (see `hyma.stitching.result.save`), of the methods that train nothing.
    """
    told = {name: record for name, record in records.items() if len(set(record["scores"].values())) > 1}
    # Closed forms stitch, and score pairs as training does; the others only say how alike two encoders are.
    judges = {name: own for name, own in told.items() if own["connectors"] != "none"} or told
    places = {name: ranks(own) for name, own in told.items()}
    order = provisional({name: places[name] for name in judges})
    closed = [name for name in judges if judges[name]["connectors"] != "none"]
    header = ["", "pair", *(f"{told[name]['label']}: recall@5" for name in closed)]
    header += [f"{told[name]['label']}: place" for name in told if name not in closed]
    rows = [
        [
            str(number),
            pair(entry),
            *(points(told[name]["scores"].get(entry)) for name in closed),
            *(str(places[name].get(entry, "failed")) for name in told if name not in closed),
        ]
        for number, entry in enumerate(order, start=1)
    ]
    return markdown.page(
        "first",
        {"order": order},
        judges=[own["label"] for own in judges.values()],
        picks={own["label"]: picked(pick(own["scores"])) for own in told.values()},
        seconds=sum(own["cpu_seconds"] for own in records.values()),
        table=table(header, rows, left=2) if order else "",
    )


def ranks(record: Json) -> dict[str, int]:
    """Pair → its place by a method's own scores, 1 is best; equal scores share one, failed pairs have none."""
    scores = {name: score for name, score in record["scores"].items() if name not in record["failed"]}
    values = sorted(scores.values(), reverse=True)
    return {name: values.index(score) + 1 for name, score in scores.items()}


def provisional(places: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The pairs by the mean of their places, best first; a pair that failed somewhere has the last place there."""
    pairs = list(dict.fromkeys(name for of in places.values() for name in of))
    mean = {name: sum(of.get(name, len(pairs)) for of in places.values()) / len(places) for name in pairs}
    return sorted(pairs, key=lambda name: (mean[name], name))

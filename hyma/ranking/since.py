"""What another encoder changed: a ranking against the last one of other encoders in the same folder."""

from typing import Any

from hyma.common.names import MAIN

Json = dict[str, Any]


def outline(ranking: Json) -> Json:
    """What is remembered of a ranking: its pairs, best first, the benchmarks, the winner, the finals."""
    return {
        "order": ranking["order"][MAIN],
        "benchmarks": list(ranking["benchmarks"]),
        "winner": ranking["winner"]["pair"],
        "finals": ranking["trained"].get("finals", []),
    }


def remember(state: Json, now: Json) -> Json:
    """The state after a run: ``last``, its outline, and ``before``, the last one of other pairs."""
    last = state.get("last")
    other = last is not None and set(last["order"]) != set(now["order"])
    return {"last": now, "before": last if other else state.get("before")}


def changes(state: Json) -> Json | None:
    """What moved from ``before`` to ``last``; None where nothing was before, or nothing is common.

    Returns:
        ``new`` and ``gone`` pairs; ``places`` of the new ones among all; the ``winner`` and the ``finals`` before;
        ``moved``: how many of the pairs that both have stand otherwise among these.
    """
    before, now = state.get("before"), state["last"]
    if before is None or before["benchmarks"] != now["benchmarks"]:
        return None
    common = [pair for pair in now["order"] if pair in before["order"]]
    if not common:
        return None
    as_before = [pair for pair in before["order"] if pair in common]
    new = [pair for pair in now["order"] if pair not in before["order"]]
    return {
        "new": new,
        "gone": [pair for pair in before["order"] if pair not in now["order"]],
        "places": [now["order"].index(pair) + 1 for pair in new],
        "winner": before["winner"],
        "finals": before["finals"],
        "moved": sum(one != other for one, other in zip(common, as_before, strict=True)),
        "common": len(common),
    }

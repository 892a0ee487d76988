"""Where each search method leaves its record and its connectors. Reading records needs no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hyma.common import sealed
from hyma.common.files import read_json

Record = dict[str, Any]
"""What `hyma.stitching.result.save` writes as json: a SearchResult without its connectors."""
MODELS, METRICS = Path("models"), Path("metrics")
ALWAYS = ("grid", "hyma", "refine")
"""Methods with stages of their own; ``unimodal`` is the fourth."""


WHOLE = MODELS / "grid/whole.json"
"""What grid search of all pairs costs, counted: ``pairs`` and ``flops`` by part."""


def known(
    methods: Sequence[str], recorded: Sequence[str], oracle: bool = True, refined: bool = True
) -> list[str]:
    """All methods of an experiment, the oracle first.

    Args:
        methods: those that are switched on.
        recorded: rankings that somebody was asked for.
        oracle: whether any pair is trained as grid search does.
        refined: whether HYMA's best pairs are trained further.
    """
    own = {"grid": oracle, "hyma": True, "refine": refined}
    return [*(name for name, runs in own.items() if runs), *methods, *recorded, "unimodal"]


def folder(method: str) -> Path:
    """Where a method's record and connectors lie."""
    if method in ALWAYS:
        return MODELS / method
    if method == "unimodal":
        return MODELS / "search" / method
    places = [MODELS / "search" / kind / method for kind in ("recorded", "untrained", "trained")]
    return next((place for place in places if place.is_dir()), places[-1])


def of_pair(pair: str, suffix: str = "json") -> Path:
    """Where grid search leaves what it found for a pair."""
    return folder("grid") / f"{pair}.{suffix}"


def files(method: str, pairs: Sequence[str]) -> list[Path]:
    """The files that hold a method's connectors of these pairs."""
    if method == "grid":
        return [of_pair(pair, "safetensors") for pair in pairs]
    return [folder(method) / "result.safetensors"]


def read(method: str, pairs: Sequence[str]) -> Record:
    """The record of one method; grid search's is put together from its pairs'."""
    if method == "grid":
        return merge([sealed.read(of_pair(pair)) for pair in pairs])
    record: Record = sealed.read(folder(method) / "result.json")
    return record


def read_all(methods: Sequence[str], pairs: Sequence[str], trained: Sequence[str]) -> dict[str, Record]:
    """The records of these methods; grid search's, of the pairs that were `trained` on their own."""
    return {name: read(name, trained if name == "grid" else pairs) for name in methods}


def benchmark(name: str) -> Record:
    """What was measured on a benchmark: the searches' scores, and those of the pairs trained on their own.

    Raises:
        HymaError: if either file is missing.
    """
    found, own = (read_json(METRICS / part / f"{name}.json") for part in ("benchmarks", "grid"))
    for protocol, measured in found["protocols"].items():
        measured["methods"] = own["protocols"][protocol]["methods"] | measured["methods"]
    whole: Record = found
    return whole


def merge(records: Sequence[Record]) -> Record:
    """Join records of different pairs (grid search's, one a pair) into one: costs and steps add up."""
    joined = records[0] | {"history": {}}
    for key in ("scores", "failed"):
        joined[key] = {pair: value for record in records for pair, value in record[key].items()}
    for key in ("seconds", "cpu_seconds", "steps"):
        joined[key] = sum(record[key] for record in records)
    joined["threads"] = max(record["threads"] for record in records)
    joined["flops"] = added([record["flops"] for record in records])
    return joined


def added(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The sums of costs, part by part."""
    total: dict[str, float] = {}
    for entry in parts:
        for name, value in entry.items():
            total[name] = total.get(name, 0.0) + value
    return total

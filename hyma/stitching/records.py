"""Where each search method leaves its record and its connectors. Reading records needs no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hyma.common.files import read_json

Record = dict[str, Any]
"""What `hyma.stitching.result.save` writes as json: a SearchResult without its connectors."""
MODELS = Path("models")
ALWAYS = ("grid", "hyma", "refine")
"""Methods with stages of their own, which every experiment has; ``unimodal`` is the fourth."""


def known(methods: Sequence[str], recorded: Sequence[str]) -> list[str]:
    """All methods of an experiment, the oracle first, given the lists in section ``search``."""
    return [*ALWAYS, *methods, *recorded, "unimodal"]


def folder(method: str) -> Path:
    """Where a method's record and connectors lie."""
    if method in ALWAYS:
        return MODELS / method
    if method == "unimodal":
        return MODELS / "search" / method
    recorded = MODELS / "search/recorded" / method
    return recorded if recorded.is_dir() else MODELS / "search/methods" / method


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
        return merge([read_json(of_pair(pair)) for pair in pairs])
    record: Record = read_json(folder(method) / "result.json")
    return record


def merge(records: Sequence[Record]) -> Record:
    """Join records of different pairs (grid search's, one a pair) into one: costs and steps add up."""
    joined = records[0] | {"history": {}}
    for key in ("scores", "failed"):
        joined[key] = {pair: value for record in records for pair, value in record[key].items()}
    for key in ("seconds", "steps"):
        joined[key] = sum(record[key] for record in records)
    joined["flops"] = added([record["flops"] for record in records])
    return joined


def added(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The sums of costs, part by part."""
    total: dict[str, float] = {}
    for entry in parts:
        for name, value in entry.items():
            total[name] = total.get(name, 0.0) + value
    return total

"""Where each search method leaves its record and its connectors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hyma.common import params
from hyma.common.files import read_json
from hyma.methods.shared.switch import RecordedParams
from hyma.stitching.connectors import Stitch
from hyma.stitching.result import Record, load_stitches, merge_records

MODELS = Path("models")
ALWAYS = ("grid", "hyma", "refine")
"""Methods with stages of their own, which every experiment has; ``unimodal`` is the fourth."""


def methods() -> list[str]:
    """All methods of the experiment, the oracle first; reads ``search.methods`` and ``search.recorded``."""
    recorded = params.read("search.recorded", dict[str, RecordedParams])
    return [*ALWAYS, *params.read("search.methods", list[str]), *recorded, "unimodal"]


def read(method: str, pairs: Sequence[str]) -> Record:
    """The record of one method; grid search's is put together from its pairs'."""
    if method == "grid":
        return merge_records([read_json(MODELS / f"grid/{pair}.json") for pair in pairs])
    return read_json(folder(method) / "result.json")


def folder(method: str) -> Path:
    """Where a method's record and connectors lie."""
    return MODELS / method if method in ALWAYS else MODELS / "search" / method


def stitches(records: Mapping[str, Any], pairs: Sequence[str]) -> dict[str, dict[str, Stitch]]:
    """The connectors of every method that has them; pairs that failed have none."""
    found = {}
    for method, record in records.items():
        if record["connectors"] == "none":
            continue
        kept = [pair for pair in pairs if pair not in record["failed"]]
        files = (
            [MODELS / f"grid/{pair}.safetensors" for pair in kept]
            if method == "grid"
            else [folder(method) / "result.safetensors"]
        )
        found[method] = load_stitches(files, kept)
    return found

"""What every search method returns, and how it lies on disk: a json file beside one of connectors.

Torch is loaded where there are connectors: a method that reads an answer, or scores from json, needs none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyma.common import sealed
from hyma.common.errors import HymaError
from hyma.common.timing import Spent
from hyma.stitching import records
from hyma.stitching.records import Record, added

if TYPE_CHECKING:
    from hyma.stitching.connectors import Stitch


@dataclass
class SearchResult:
    """A search method's answer; pairs are named ``<image slug>-<text slug>``."""

    label: str
    """The method's name for people."""
    scores: dict[str, float]
    """The method's own score of each pair, higher is better; comparable within the method only."""
    seconds: float = 0.0
    """Wall-clock time of the search alone, features already in memory."""
    flops: dict[str, float] = field(default_factory=dict)
    """What the search cost in floating-point operations, by part."""
    stitches: "dict[str, Stitch]" = field(default_factory=dict)
    """Each pair's connector; empty for a method that only scores."""
    failed: dict[str, str] = field(default_factory=dict)
    """Pairs that got no score, and why; they rank below all others."""
    steps: int = 0
    """Optimizer steps taken, over all pairs; 0 for a method that trains nothing."""
    notes: dict[str, str] = field(default_factory=dict)
    """What a reader should know of this run: samples used, regularisation chosen, who was asked."""
    history: dict[str, list[float]] = field(default_factory=dict)
    """Per step: ``step``, ``loss``, ``accuracy``, ``grad_norm``, ``lr``."""
    pair_accuracy: list[tuple[int, str, float]] = field(default_factory=list)
    """(step, pair, accuracy in the batch) for every pair of every step."""
    gradients: dict[str, dict[str, float]] = field(default_factory=dict)
    """Encoder → how its gradient behaved: see `hyma.search.hyma_search.gradient_statistics`."""
    cpu_seconds: float = 0.0
    """CPU time of the search alone: that of all its threads, added up."""
    threads: int = 0
    """How many threads it computed with; 0 on a GPU, and where nothing was computed."""


def timed(result: SearchResult, spent: Spent, threads: int) -> SearchResult:
    """The result with what its search took."""
    return replace(result, seconds=spent.seconds, cpu_seconds=spent.cpu_seconds, threads=threads)


def save(result: SearchResult, folder: Path, name: str = "result") -> None:
    """Write the connectors, then the record: all else, and ``connectors`` (none, one-sided or two-sided).

    `pair_accuracy` is left out: it is a log, for the caller to write where people look at it. No timing goes
    into the file of connectors.
    """
    if result.stitches:
        from hyma.stitching import connectors

        connectors.save(folder / f"{name}.safetensors", result.stitches)
    sealed.write(folder / f"{name}.json", as_record(result))


def as_record(result: SearchResult) -> Record:
    """All but the connectors and the log: what `save` writes as json."""
    record = {entry.name: getattr(result, entry.name) for entry in fields(result)}
    del record["stitches"], record["pair_accuracy"]
    return record | {"connectors": _sides(result)}


def _sides(result: SearchResult) -> str:
    if not result.stitches:
        return "none"
    two = any(stitch.image_connector for stitch in result.stitches.values())
    return "two-sided" if two else "one-sided"


def load_stitches(files: Iterable[Path], pairs: Sequence[str]) -> "dict[str, Stitch]":
    """Read the connectors of `pairs` from the files that hold them.

    Raises:
        HymaError: if a pair is in none of them.
    """
    from hyma.stitching import connectors

    found = {pair: stitch for file in files for pair, stitch in connectors.load(file).items()}
    missing = [pair for pair in pairs if pair not in found]
    if missing:
        raise HymaError(f"no connector for pair {missing[0]} ({len(missing)} missing); run `dvc repro`")
    return {pair: found[pair] for pair in pairs}


def merge(results: Iterable[SearchResult]) -> SearchResult:
    """Join results on different pairs into one, as `records.merge` does; histories stay with single ones."""
    first, *others = results
    if not others:
        return first
    joined = replace(first, scores={}, stitches={}, failed={}, history={}, pair_accuracy=[])
    for result in (first, *others):
        joined.scores.update(result.scores)
        joined.stitches.update(result.stitches)
        joined.failed.update(result.failed)
    joined.seconds = sum(result.seconds for result in (first, *others))
    joined.cpu_seconds = sum(result.cpu_seconds for result in (first, *others))
    joined.threads = max(result.threads for result in (first, *others))
    joined.steps = sum(result.steps for result in (first, *others))
    joined.flops = added([result.flops for result in (first, *others)])
    return joined


def stitched(method: str, record: Mapping[str, Any], pairs: Sequence[str]) -> "dict[str, Stitch]":
    """A method's connectors of the pairs that did not fail; none of a method that only scores.

    Args:
        method: its name.
        record: what `hyma.stitching.records.read` gave of it.
        pairs: as they are written.

    Raises:
        HymaError: if one is missing.
    """
    if record["connectors"] == "none":
        return {}
    kept = [pair for pair in pairs if pair not in record["failed"]]
    return load_stitches(records.files(method, kept), kept)

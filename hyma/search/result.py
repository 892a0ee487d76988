"""What every search method returns, and how it lies on disk: a json file beside one of connectors."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hyma import connectors
from hyma.connectors import Stitch
from hyma.errors import HymaError
from hyma.files import read_json, write_json


@dataclass
class SearchResult:
    """A search method's answer; pairs are named ``<image slug>-<text slug>``."""

    method: str
    scores: dict[str, float]
    """The method's own score of each pair, higher is better; comparable within the method only."""
    seconds: float
    """Wall-clock time of the search alone, features already in memory."""
    stitches: dict[str, Stitch] = field(default_factory=dict)
    """Each pair's connector; empty for a method that only scores."""
    steps: int = 0
    """Optimizer steps taken, over all pairs."""
    history: dict[str, list[float]] = field(default_factory=dict)
    """Per step: ``step``, ``loss``, ``accuracy``, ``grad_norm``, ``lr``."""
    pair_accuracy: list[tuple[int, str, float]] = field(default_factory=list)
    """(step, pair, accuracy in the batch) for every pair of every step."""


def save(result: SearchResult, folder: Path, name: str = "result") -> None:
    """Write the connectors, then the rest; no timing goes into the file of connectors.

    `pair_accuracy` is left out: it is a log, for the caller to write where people look at it.
    """
    if result.stitches:
        connectors.save(folder / f"{name}.safetensors", result.stitches)
    content: dict[str, Any] = asdict(
        SearchResult(result.method, result.scores, result.seconds, {}, result.steps, result.history)
    )
    del content["stitches"], content["pair_accuracy"]
    write_json(folder / f"{name}.json", content)


def load_stitches(files: Iterable[Path], pairs: Sequence[str]) -> dict[str, Stitch]:
    """Read the connectors of `pairs` from the files that hold them.

    Raises:
        HymaError: if a pair is in none of them.
    """
    found = {pair: stitch for file in files for pair, stitch in connectors.load(file).items()}
    missing = [pair for pair in pairs if pair not in found]
    if missing:
        raise HymaError(f"no connector for pair {missing[0]} ({len(missing)} missing); run `dvc repro`")
    return {pair: found[pair] for pair in pairs}


def read_record(path: Path) -> SearchResult:
    """Read a result without its connectors."""
    return SearchResult(**read_json(path))


def merge(records: Iterable[SearchResult]) -> SearchResult:
    """Join results on different pairs (grid search's, one a pair) into one: seconds and steps add up.

    Histories stay with a single record only: the steps of different pairs make no common curve.
    """
    first, *others = records
    if not others:
        return first
    joined = SearchResult(first.method, dict(first.scores), first.seconds, dict(first.stitches), first.steps)
    for record in others:
        joined.scores.update(record.scores)
        joined.stitches.update(record.stitches)
        joined.seconds += record.seconds
        joined.steps += record.steps
    return joined

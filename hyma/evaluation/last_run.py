"""Reading back what a run has left: a pair's connector, and its embeddings of a benchmark."""

from pathlib import Path
from typing import Any

import numpy as np

from hyma.common.errors import HymaError
from hyma.common.files import read_json
from hyma.evaluation.assess import embed_image, embed_text
from hyma.evaluation.benchmark import Benchmark
from hyma.evaluation.evaluator import Evaluator
from hyma.stitching import records, result
from hyma.stitching.connectors import Stitch


def ranking() -> dict[str, Any]:
    """The content of metrics/ranking.json.

    Raises:
        HymaError: if nothing has run in this folder.
    """
    file = Path("metrics/ranking.json")
    if not file.is_file():
        raise HymaError(f"{file}: file not found; run `dvc repro` in the project's folder first")
    found: dict[str, Any] = read_json(file)
    return found


def stitch(method: str, pair: str) -> Stitch:
    """The connector that a method has for a pair.

    Raises:
        HymaError: if there is none, or it cannot be read.
    """
    try:
        record = records.read(method, [pair])
    except HymaError as error:
        raise HymaError(f"{error}; run `dvc repro` (or `dvc pull`) first") from None
    found = result.stitched(method, record, [pair])
    if pair not in found:
        reason = record["failed"].get(pair, "the method only scores pairs")
        raise HymaError(f"{method} has no connector of {pair} ({reason}); choose another --method")
    return found[pair]


def benchmark(slug: str) -> tuple[Benchmark, Evaluator]:
    """A prepared benchmark in that run's halves, with its evaluator under the protocol that ranked.

    Raises:
        HymaError: if either is missing.
    """
    measured = read_json(Path(f"metrics/benchmarks/{slug}.json"))
    bench = Benchmark(slug, measured["salt"])
    return bench, bench.evaluators[measured["protocol"]]


def embeddings(bench: Benchmark, pair: str, own: Stitch) -> tuple[np.ndarray, np.ndarray]:
    """A pair's embeddings of all images [N, D] and all texts [M, D] of a benchmark, unit vectors.

    Raises:
        HymaError: if the features are missing or belong to other data.
    """
    image, text = pair.split("-")
    return (
        embed_image(own, bench.features("image", image, own.spec.d_image)),
        embed_text(own, bench.features("text", text, own.spec.d_text)),
    )

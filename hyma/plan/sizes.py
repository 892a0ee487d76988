"""Sizes on disk, in bytes: data sets, features, connectors, and what DVC keeps of them."""

from pathlib import Path
from typing import Any

from hyma.plan.encoders import Encoder
from hyma.plan.experiment import Experiment
from hyma.plan.published import SETS
from hyma.plan.rows import Rows
from hyma.plan.work import Work

FLOAT = 4
"""Bytes of a float32."""
ID = 30
"""Bytes of a row's id, about: beside its feature."""
FULL = {"hyma_two_sided", "grid_large", "cgs", "autopair"}
"""Methods that hand over connectors as large as grid search's."""
LINEAR = {"ridge", "procrustes", "cca", "gcca"}
"""Methods that hand over linear ones, at most as large as a map from one side to the other."""


def look(
    experiment: Experiment, encoders: dict[str, Encoder], rows: dict[str, Rows | None], work: Work | None
) -> dict[str, Any]:
    """Sizes by part; None where one is unknown, and it is left out of the sum."""
    own = {slug: features(encoder, rows) for slug, encoder in encoders.items()}
    kept = None if work is None else connectors(work)
    return {
        "data": [_data_set(experiment, place, found) for place, found in rows.items()],
        "features": own,
        "connectors": kept,
        "made": None if kept is None else kept + sum(size or 0.0 for size in own.values()),
    }


def _data_set(experiment: Experiment, place: str, rows: Rows | None) -> dict[str, Any]:
    part, slug = place.split("/")
    source = (experiment.training if part == "training" else experiment.benchmarks)[slug]
    counts = {"images": None, "texts": None, "questions": None, "origin": "unknown"}
    if rows is not None:
        counts = {key: getattr(rows, key) for key in counts}
    published = SETS.get(source.format) if rows is not None and rows.origin == "published" else None
    there = Path(source.path).exists()
    return {
        "where": f"{part}.{slug}",
        "format": source.format,
        **counts,
        "download": published.size if published and not there else 0.0,
    }


def features(encoder: Encoder, rows: dict[str, Rows | None]) -> float | None:
    """Bytes of an encoder's features of all data sets; None if its width or a data set's rows are unknown."""
    counts = [None if own is None else encoder.rows(own) for own in rows.values()]
    if encoder.dim is None or None in counts:
        return None
    return float(sum(count * (FLOAT * encoder.dim + ID) for count in counts if count is not None))


def connectors(work: Work) -> float:
    """Bytes of the connectors that all methods hand over."""
    methods = set(work.experiment.search.methods)
    full = 3 + len(methods & FULL)  # grid, hyma and refine always run
    linear = len(methods & LINEAR)
    total = 0
    for spec in work.specs.values():
        total += full * sum(out * into + out for out, into in spec.layers)
        total += linear * spec.d_text * spec.d_image
    return float(FLOAT * total)

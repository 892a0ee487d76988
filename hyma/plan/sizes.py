"""Sizes on disk, in bytes: data sets, features, connectors, and what DVC keeps of them."""

from pathlib import Path
from typing import Any

from hyma.plan.encoders import Encoder
from hyma.plan.experiment import Experiment
from hyma.plan.published import SETS
from hyma.plan.rows import Rows
from hyma.stitching.shapes import Shapes

FLOAT = 4
"""Bytes of a float32."""
ID = 30
"""Bytes of a row's id, about: beside its feature."""
ALWAYS = 3
"""Methods with connectors that every experiment has: grid, hyma, refine."""
FULL = {"hyma_two_sided", "grid_large", "cgs", "autopair"}
"""Methods that hand over connectors as large as grid search's."""
LINEAR = {"ridge", "procrustes", "cca", "gcca"}
"""Methods that hand over linear ones, at most as large as a map from one side to the other."""


def look(
    experiment: Experiment, encoders: dict[str, Encoder], rows: dict[str, Rows | None], shapes: Shapes | None
) -> dict[str, Any]:
    """Sizes by part; None where one is unknown, and it is left out of the sum."""
    own = {slug: features(encoder, rows) for slug, encoder in encoders.items()}
    kept = None if shapes is None else float(FLOAT * connector_weights(experiment, shapes)[1])
    return {
        "data": [_data_set(experiment, place, found) for place, found in rows.items()],
        "features": own,
        "connectors": kept,
        "made": None if kept is None else kept + sum(size or 0.0 for size in own.values()),
    }


def _data_set(experiment: Experiment, place: str, rows: Rows | None) -> dict[str, Any]:
    part, slug = place.split("/")
    source = getattr(experiment, part)[slug]
    counts = {"images": None, "texts": None, "questions": None, "origin": "unknown"}
    if rows is not None:
        counts = {key: getattr(rows, key) for key in counts}
    fetched = counts["origin"] == "published" and not Path(source.path).exists()
    download = SETS[source.format].size if fetched else 0.0
    return {"where": f"{part}.{slug}", "format": source.format, **counts, "download": download}


def features(encoder: Encoder, rows: dict[str, Rows | None]) -> float | None:
    """Bytes of an encoder's features of all data sets; None if its width or a data set's rows are unknown."""
    counts = [None if own is None else encoder.rows(own) for own in rows.values()]
    if encoder.facts is None or None in counts:
        return None
    return float(sum(count or 0 for count in counts) * (FLOAT * encoder.facts.dim + ID))


def connector_weights(experiment: Experiment, shapes: Shapes) -> tuple[int, int]:
    """How many connectors all methods hand over together, and how many weights these have."""
    methods = set(experiment.search.methods)
    always = ALWAYS - (experiment.oracle == "none") - (experiment.refine is None)
    full, linear = always + len(methods & FULL), len(methods & LINEAR)
    specs = shapes.specs(shapes.pairs).values()
    weights = full * sum(out * into + out for spec in specs for out, into in spec.layers)
    weights += linear * sum(spec.d_text * spec.d_image for spec in specs)
    return (full + linear) * len(specs), weights

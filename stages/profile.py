"""Gather what the search methods cost in FLOPs: python -m stages.profile. Writes metrics/flops.json.

Grid search is counted here, from shapes alone; the other methods counted themselves as they ran.
"""

from pathlib import Path

import numpy as np

from hyma.common import params, prepared
from hyma.common.features import Features
from hyma.common.files import write_json
from hyma.common.run import run
from hyma.stitching import flops, records
from hyma.stitching.connectors import ConnectorSpec
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.training_set import split


def main() -> None:
    """Count for every method, and for the feature extraction that all share."""
    (name,) = params.names("training")
    images, texts = params.names("image_encoders"), params.names("text_encoders")
    opened = {slug: Features(Path(f"features/training/{slug}/{name}.arrow")) for slug in images + texts}
    connector, seed = params.read("connector", ConnectorParams), params.read("seed", int)
    specs = {
        (i, t): ConnectorSpec(connector.kind, opened[t].info.dim, opened[i].info.dim, connector.hidden)
        for i in images
        for t in texts
    }
    rows = prepared.read(Path("data/prepared/training") / name).texts["image"].to_numpy().astype(np.int64)
    samples = len(split(rows, connector.holdout, seed)[0])
    grid = params.read("grid", GridParams)
    steps, batch = flops.steps(samples, grid.batch, grid.epochs), min(grid.batch, samples)
    parts = {"grid": flops.grid(specs, batch, steps)}
    pairs = ["-".join(pair) for pair in specs]
    for method in records.methods():
        parts.setdefault(method, records.read(method, pairs)["flops"])
    counted = {method: {"total": sum(found.values()), "parts": found} for method, found in parts.items()}
    extraction = {
        slug: {
            "modality": "image" if slug in images else "text",
            "per_sample": features.info.flops_per_row,
            "samples": len(features),
            "total": features.info.flops_per_row * len(features),
        }
        for slug, features in opened.items()
    }
    write_json(Path("metrics/flops.json"), {"methods": counted, "extraction": extraction})


if __name__ == "__main__":
    run(main)

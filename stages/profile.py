"""Count what the search methods cost in FLOPs: python -m stages.profile. Writes metrics/flops.json."""

from pathlib import Path

import numpy as np

from hyma import flops, params, prepared
from hyma.connectors import ConnectorSpec
from hyma.features import Features
from hyma.files import write_json
from hyma.hypernetwork import build
from hyma.search.data import split
from hyma.search.params import ConnectorParams, GridParams, HymaParams
from stages._run import run


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
    grid, hyma = params.read("grid", GridParams), params.read("hyma", HymaParams)
    network = build(hyma.decoder, specs, hyma.code_dim, hyma.widths)
    counted = {}
    for method, own in (("grid", grid), ("hyma", hyma)):
        steps, batch = flops.steps(samples, own.batch, own.epochs), min(own.batch, samples)
        parts = (
            flops.grid(specs, batch, steps)
            if method == "grid"
            else flops.hypernetwork_search(network, specs, batch, steps, hyma.bm)
        )
        counted[method] = {"total": sum(parts.values()), "parts": parts, "steps": steps, "batch": batch}
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

"""Settings of the search methods for features of any size: what works where nobody has tuned anything.

The pipeline takes all settings from params.yaml. Features in memory come without one, and there may be fifty rows
of them or a million: batches and epochs follow from that.
"""

import math
from typing import Any

from hyma.stitching import flops, grid
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

Settings = dict[str, Any]
HELD_OUT = 100
"""Images that scores should rest on, if there are enough."""
BATCHES, SMALLEST = 8, 32
"""Batches an epoch should have, and the rows below which a batch has too few negatives to learn from."""
STEPS = 60
"""Steps below which training has not settled, even from the closed form's start."""
PAIRS = 27
"""Pairs a step beyond which memory matters more than speed."""

TUNED: dict[str, Settings] = {
    "hyma": {"batch": 112, "epochs": 3, "lr": 0.015, "beta2": 0.99},
    "hyma_two_sided": {"batch": 112, "epochs": 3, "lr": 0.015, "beta2": 0.99},
    "grid": {"batch": 512, "epochs": 10, "weight_decay": 0.01},
    "grid_large": {"batch": 2048, "epochs": 3, "lr": 0.02, "beta2": 0.99, "weight_decay": 0.01},
    "cross": {"batch": 256, "epochs": 5, "weight_decay": 0.01},
    "cgs": {"batch": 112, "weight_decay": 0.01},
    "autopair": {"batch": 256},
    "refine": {"batch": 256},
}
"""For plenty of rows; a method that is not here does well with the defaults of its section."""


def connector(images: int) -> Settings:
    """Section ``connector`` for as many images, 24 at least: of few, a larger share is held out."""
    holdout = min(0.25, max(0.05, HELD_OUT / images))
    return {"hidden": 256, "normalise": "standardise", "logit_scale": 50.0, "holdout": holdout}


def settings(name: str, features: TrainingFeatures, connector: ConnectorParams) -> Settings:
    """A method's section for these features; keys that are not in it have their own defaults."""
    rows, pairs = len(features.train), len(features.seen)
    found = dict(TUNED.get(name, {}))
    if "batch" in found and name != "grid_large":
        found["batch"] = min(found["batch"], max(SMALLEST, rows // BATCHES))
    if "epochs" in found:
        found["epochs"] = max(found["epochs"], math.ceil(STEPS / flops.steps(rows, found["batch"], 1)))
    if name in ("hyma", "hyma_two_sided"):
        found["bm"] = min(PAIRS, pairs)
    if name == "cgs":
        found["samples"] = _shown_by_hyma(features, connector)
    if name in ("autopair", "refine"):
        oracle = GridParams(**settings("grid", features, connector))
        share = {"autopair": 1 / 8, "refine": 1 / 20}[name]
        found["flops"] = share * sum(grid.cost(Shapes.of(features, connector, 0), oracle).values())
    return found


def _shown_by_hyma(features: TrainingFeatures, connector: ConnectorParams) -> int:
    """Captions that HYMA shows each pair, repeats counted."""
    own, rows = settings("hyma", features, connector), len(features.train)
    steps = flops.steps(rows, own["batch"], own["epochs"])
    return max(rows, steps * min(own["batch"], rows) * own["bm"] // len(features.seen))

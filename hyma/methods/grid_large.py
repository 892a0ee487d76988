"""Grid search in large batches: fewer steps, each against many more negatives."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from hyma.common.params import Rule
from hyma.stitching import flops, grid
from hyma.stitching.params import ConnectorParams, GridParams, batch_of
from hyma.stitching.result import SearchResult, merge
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "grid search, large batches"
TRAINS = True


class Params(GridParams):
    """Section ``search.grid_large``."""

    batch: int = Field(16384, ge=2, description="samples a step; all there are, where there are fewer")
    RULES: ClassVar[Mapping[str, Rule]] = {**GridParams.RULES, "batch": batch_of(16384)}


def cost(shapes: Shapes, params: Params) -> flops.Parts:
    """FLOPs of a search, exactly."""
    return grid.cost(shapes, params, shapes.seen)


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Train every pair as grid search does.

    Raises:
        HymaError: if a loss is not finite.
    """
    rows = len(features.train)
    batch = min(params.batch, rows)
    steps = flops.steps(rows, batch, params.epochs)
    found = merge(grid.train_pairs(features, params, connector, seed, features.seen, LABEL))
    return replace(
        found,
        failed=grid.left_out(features),
        flops=cost(Shapes.of(features, connector, seed), params),
        notes={"batch": str(batch), "steps a pair": str(steps)},
    )

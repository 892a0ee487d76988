"""Grid search in large batches: fewer steps, each against many more negatives."""

from dataclasses import replace

from pydantic import Field

from hyma.stitching import flops
from hyma.stitching.grid import train_pairs
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures

LABEL = "grid search, large batches"


class Params(GridParams):
    """Section ``search.grid_large``."""

    batch: int = Field(16384, ge=2, description="samples a step; all there are, where there are fewer")


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Train every pair as grid search does.

    Raises:
        HymaError: if a loss is not finite.
    """
    rows = len(features.train)
    batch = min(params.batch, rows)
    steps = flops.steps(rows, batch, params.epochs)
    found = train_pairs(features, params, connector, seed, LABEL)
    return replace(
        found,
        flops=flops.grid({pair: features.spec(pair, connector) for pair in features.seen}, batch, steps),
        notes={"batch": str(batch), "steps a pair": str(steps)},
    )

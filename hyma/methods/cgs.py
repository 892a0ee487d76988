"""Grid search on a stated data budget a pair: the paper's constrained grid search (section 5.4)."""

from dataclasses import replace

from pydantic import Field

from hyma.common.errors import HymaError
from hyma.stitching import flops
from hyma.stitching.grid import StepParams, left_out, train_pairs
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult, merge
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "constrained grid search (C-GS)"


class Params(StepParams):
    """Section ``search.cgs``."""

    batch: int = Field(128, ge=2, description="samples a step")
    samples: int = Field(ge=1, description="captions that each pair may see in training, repeats counted")


def cost(shapes: Shapes, params: Params) -> flops.Parts:
    """FLOPs of a search, exactly."""
    batch = min(params.batch, shapes.train)
    return flops.grid(shapes.specs(shapes.seen), batch, params.samples // batch)


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Train every pair on as many whole batches as its budget of captions holds.

    Raises:
        HymaError: if the budget holds no batch, or a loss is not finite.
    """
    batch = min(params.batch, len(features.train))
    steps = params.samples // batch
    if not steps:
        raise HymaError(
            f"params.yaml: search.cgs.samples: {params.samples} is less than one batch of {batch}; "
            f"raise it to at least {batch}"
        )
    found = merge(train_pairs(features, params, connector, seed, features.seen, LABEL, steps=steps))
    return replace(
        found,
        failed=left_out(features),
        flops=cost(Shapes.of(features, connector, seed), params),
        notes={"batch": str(batch), "steps a pair": str(steps), "captions a pair": str(steps * batch)},
    )

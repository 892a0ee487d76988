"""Grid search on a stated data budget a pair: the paper's constrained grid search (section 5.4)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from hyma.common.errors import HymaError
from hyma.common.params import Rule, by_rule
from hyma.search.params import HymaParams
from hyma.stitching import flops
from hyma.stitching.grid import StepParams, left_out, train_pairs
from hyma.stitching.params import ConnectorParams, batch_of
from hyma.stitching.result import SearchResult, merge
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "constrained grid search (C-GS)"
TRAINS = True


class Params(StepParams):
    """Section ``search.cgs``."""

    batch: int = Field(112, ge=2, description="samples a step")
    weight_decay: float = Field(0.01, allow_inf_nan=False, ge=0)
    samples: int = Field(
        30_000, ge=1, description="captions that each pair may see in training, repeats counted; auto: HYMA's"
    )
    RULES: ClassVar[Mapping[str, Rule]] = {"batch": batch_of(112), "samples": lambda sizes, _: shown(sizes)}


def shown(sizes: Shapes) -> int:
    """How many captions HYMA shows each pair by its own rules, repeats counted; once all there are, at least."""
    hyma = HymaParams(**by_rule(HymaParams, {}, sizes))
    steps = flops.steps(sizes.train, hyma.batch, hyma.epochs)
    return max(sizes.train, steps * min(hyma.batch, sizes.train) * hyma.bm // len(sizes.seen))


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

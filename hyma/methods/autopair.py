"""AutoPair: train all pairs a little, drop the worse, go on with the rest (successive halving).

Jamieson & Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization". A rung is
one round of training and dropping.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from hyma.common.errors import HymaError
from hyma.common.names import PairName
from hyma.common.params import Rule
from hyma.search.params import share_of_grid
from hyma.stitching import flops
from hyma.stitching.grid import StepParams, left_out, train_pairs
from hyma.stitching.normalised import Normalised
from hyma.stitching.params import ConnectorParams, batch_of
from hyma.stitching.result import SearchResult, merge
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "AutoPair (successive halving)"
TRAINS = True
Costs = dict[PairName, flops.Parts]
"""A pair → what one step on it costs, by part."""


class Params(StepParams):
    """Section ``search.autopair``."""

    batch: int = Field(256, ge=2, description="samples a step")
    weight_decay: float = Field(0.0, allow_inf_nan=False, ge=0)
    flops: float = Field(
        5e11,
        gt=0,
        allow_inf_nan=False,
        description="budget of the whole search, all rungs together; auto: an eighth of grid search's",
    )
    keep: float = Field(0.5, gt=0, lt=1, description="share of the pairs that a rung keeps, rounded down")
    RULES: ClassVar[Mapping[str, Rule]] = {"batch": batch_of(256), "flops": share_of_grid(8)}


def cost(shapes: Shapes, params: Params) -> flops.Parts:
    """The most that a search spends, in FLOPs: which pairs survive, and what is left over, only the search knows."""
    del shapes
    return {"the budget": params.flops}


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Share the budget equally among the rungs, and a rung's share, in steps, among its pairs.

    What a rung's share leaves over goes to the next one; what the last leaves over (less than one step on
    each of its pairs) is not spent. A score is the number of the last rung that trained the pair, from 0, plus
    its held-out recall@5 there: pairs that were dropped earlier rank below those dropped later. Among ties
    those stay that were ahead before; at first, by lot. Every rung warms up anew and sees the samples in
    another order.

    Raises:
        HymaError: if the budget affords no step a pair in the first rung, or a loss is not finite.
    """
    batch = min(params.batch, len(features.train))
    costs = {pair: flops.grid({pair: features.spec(pair, connector)}, batch, 1) for pair in features.seen}
    sizes = rung_sizes(len(costs), params.keep)
    _check(params, _cost(costs, features.seen), len(sizes))
    data = Normalised(features, connector)
    found: dict[PairName, SearchResult] = {}
    schedule: list[int] = []
    best_first = [features.seen[number] for number in np.random.default_rng(seed).permutation(len(costs))]
    for rung, size in enumerate(sizes):
        survivors = best_first[:size]
        # Never 0 steps: no rung has less to spend than the first, nor more pairs to spend it on.
        budget = int(params.flops) * (rung + 1) // len(sizes) - int(sum(_spent(costs, found).values()))
        schedule.append(budget // _cost(costs, survivors))
        starts = {pair: found[pair].stitches["-".join(pair)].connector for pair in survivors if pair in found}
        trained = train_pairs(
            *(features, params, connector, seed + rung, survivors, LABEL),
            steps=schedule[-1],
            starts=starts,
            data=data,
        )
        for pair, result in zip(survivors, trained, strict=True):
            found[pair] = _added(found.get(pair), result, rung)
        best_first = sorted(survivors, key=lambda pair: found[pair].scores["-".join(pair)], reverse=True)
    return replace(
        merge(found[pair] for pair in features.seen),
        flops=_spent(costs, found),
        failed=left_out(features),
        notes={"pairs a rung": _listed(sizes), "steps a pair, by rung": _listed(schedule)},
    )


def rung_sizes(pairs: int, keep: float) -> list[int]:
    """How many pairs each rung trains: all, then the share kept, until only one would be left."""
    sizes = [pairs]
    while (kept := int(sizes[-1] * keep)) > 1:
        sizes.append(kept)
    return sizes


def _check(params: Params, step: int, rungs: int) -> None:
    if int(params.flops) // rungs < step:
        raise HymaError(
            f"params.yaml: search.autopair.flops: {int(params.flops)} affords no step a pair in the first of {rungs} "
            f"rungs; raise it to at least {rungs * step}"
        )


def _cost(costs: Costs, pairs: Sequence[PairName]) -> int:
    """FLOPs of one step on each of `pairs`; whole numbers, so that a budget is divided without rounding."""
    return sum(int(sum(costs[pair].values())) for pair in pairs)


def _spent(costs: Costs, found: dict[PairName, SearchResult]) -> flops.Parts:
    """FLOPs of all steps so far."""
    return {
        part: sum((costs[pair][part] * result.steps for pair, result in found.items()), 0.0)
        for part in flops.PARTS
    }


def _added(before: SearchResult | None, trained: SearchResult, rung: int) -> SearchResult:
    """A pair's result after this rung: its score counts the rungs, its steps those of earlier ones too."""
    scores = {name: rung + recall for name, recall in trained.scores.items()}
    return replace(trained, scores=scores, steps=trained.steps + (before.steps if before else 0))


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))

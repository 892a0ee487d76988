"""HYMA and then some: the best of its pairs are trained further, on a stated budget, starting from its connectors."""

import math
from dataclasses import replace

from hyma.common.errors import HymaError
from hyma.common.names import PairName
from hyma.search.params import RefineParams
from hyma.stitching import flops
from hyma.stitching.connectors import Stitch
from hyma.stitching.flops import Parts
from hyma.stitching.grid import train_pairs
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.records import Record
from hyma.stitching.result import SearchResult, merge
from hyma.stitching.training_set import TrainingFeatures

LABEL = "HYMA, best pairs refined"
BEFORE = "the search before"
"""The part of its cost that is not its own."""


def cost(params: RefineParams, before: Parts) -> Parts:
    """The most that a search spends, in FLOPs, after one that cost `before`: which pairs are best, only that knows."""
    return {BEFORE: sum(before.values()), "refinement": params.flops}


def search(
    features: TrainingFeatures,
    params: RefineParams,
    connector: ConnectorParams,
    seed: int,
    record: Record,
    stitches: dict[str, Stitch],
) -> SearchResult:
    """Train the `params.top` best pairs of a finished search further; all others stay as they are.

    Cost is that of the finished search and what the refinement adds.

    Args:
        features: the training features.
        params: section ``refine``.
        connector: section ``connector``.
        seed: of the order of samples.
        record: the finished search's record.
        stitches: its connectors, one-sided.

    Raises:
        HymaError: if the budget does not reach for one step a pair.
    """
    named = {"-".join(pair): pair for pair in features.pairs}
    best = sorted(named, key=lambda name: -record["scores"][name])[: params.top]
    batch = min(params.batch, len(features.train))
    cost = {name: _step(features, named[name], connector, batch) for name in best}
    round_of_all = sum(sum(parts.values()) for parts in cost.values())
    steps = int(params.flops // round_of_all)
    if not steps:
        raise HymaError(
            f"params.yaml: refine.flops: {params.flops:g} is too small for one step of {len(best)} pairs; "
            f"raise it to at least {math.ceil(round_of_all)}, or lower refine.top"
        )
    settings = GridParams(epochs=1, **params.model_dump(exclude={"top", "flops"}))
    starts = {named[name]: stitches[name].connector for name in best}
    refined = merge(
        train_pairs(features, settings, connector, seed, list(starts), LABEL, steps=steps, starts=starts)
    )
    spent = {part: steps * sum(parts[part] for parts in cost.values()) for part in flops.PARTS}
    return replace(
        refined,
        label=LABEL,
        scores=record["scores"] | refined.scores,
        stitches=stitches | refined.stitches,
        seconds=record["seconds"] + refined.seconds,
        cpu_seconds=record["cpu_seconds"] + refined.cpu_seconds,
        steps=record["steps"] + refined.steps,
        flops={BEFORE: sum(record["flops"].values())} | spent,
        notes={"refined": ", ".join(best), "steps a pair": str(steps)},
    )


def _step(features: TrainingFeatures, pair: PairName, connector: ConnectorParams, batch: int) -> Parts:
    spec = features.spec(pair, connector)
    size = sum(out * into + out for out, into in spec.layers)
    return flops.pair_step(spec, batch) | {"optimizer": flops.optimizer(size)}

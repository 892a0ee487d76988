"""How much of HYMA's efficiency is only seeing less data, and how much comes of learning the pairs together?

All on one data budget, what HYMA shows each pair: grid search on a random part of the captions, grid search
stopped early, HYMA on each pair alone (its own closed form, factors and optimizer: nothing shared), HYMA full.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from hyma.common.names import PairName
from hyma.search import hyma_search
from hyma.search.params import HymaParams
from hyma.stitching import flops, grid
from hyma.stitching.connectors import ConnectorSpec
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import SearchResult, merge
from hyma.stitching.training_set import TrainingFeatures
from hyma.studies.judge import Halves, Judge, compare

Json = dict[str, Any]


def study(
    features: TrainingFeatures,
    hyma: HymaParams,
    full: GridParams,
    connector: ConnectorParams,
    seed: int,
    judge: Judge,
    oracle: Halves,
) -> Json:
    """Run all rivals on the budget, and grid search without one.

    Returns:
        ``budget`` (captions that each pair sees, repeats counted), ``rows``: a list of {name, captions (different
        ones), seen, flops, seconds, cpu_seconds, figures}, and ``batches``: what grid search costs by batch size,
        counted.
    """
    samples, pairs = len(features.train), len(features.pairs)
    steps = flops.steps(samples, hyma.batch, hyma.epochs)
    budget = steps * min(hyma.batch, samples) * hyma.bm // pairs
    specs = {pair: features.spec(pair, connector) for pair in features.pairs}
    rows = [
        {
            "name": name,
            "captions": captions,
            "seen": seen,
            "flops": spent,
            "seconds": result.seconds,
            "cpu_seconds": result.cpu_seconds,
        }
        | compare(oracle.report, judge.scores(result.stitches))
        for name, captions, seen, spent, result in _runs(features, hyma, full, connector, seed, budget, specs)
    ]
    return {"budget": budget, "rows": rows, "batches": batches(specs, samples, full.epochs)}


Run = tuple[str, int, int, float, SearchResult]


def _runs(
    features: TrainingFeatures,
    hyma: HymaParams,
    full: GridParams,
    connector: ConnectorParams,
    seed: int,
    budget: int,
    specs: dict[PairName, ConnectorSpec],
) -> Iterator[Run]:
    samples = len(features.train)
    result = grid.search(features, full, connector, seed)
    steps, batch = flops.steps(samples, full.batch, full.epochs), min(full.batch, samples)
    yield (
        "grid search, all data",
        samples,
        steps * batch,
        sum(flops.grid(specs, batch, steps).values()),
        result,
    )

    part = min(samples, max(2, budget // full.epochs))
    pruned = replace(features, train=_part(features, part, seed))
    batch = min(hyma.batch, part)
    settings = full.model_copy(update={"batch": batch})
    steps = flops.steps(part, batch, full.epochs)
    spent = sum(flops.grid(specs, batch, steps).values())
    yield (
        "grid search, random part",
        part,
        steps * batch,
        spent,
        grid.search(pruned, settings, connector, seed),
    )

    batch = min(hyma.batch, samples)
    settings = full.model_copy(update={"batch": batch, "epochs": max(1, round(budget / samples))})
    steps = flops.steps(samples, batch, settings.epochs)
    spent = sum(flops.grid(specs, batch, steps).values())
    yield (
        "grid search, stopped early",
        samples,
        steps * batch,
        spent,
        grid.search(features, settings, connector, seed),
    )

    alone = hyma.model_copy(update={"bm": 1, "epochs": max(1, round(budget / samples))})
    result = merge(
        hyma_search.search(_alone(features, pair), alone, connector, seed) for pair in features.pairs
    )
    yield "HYMA, each pair alone", samples, budget, sum(result.flops.values()), result

    result = hyma_search.search(features, hyma, connector, seed)
    yield "HYMA, all pairs together", samples, budget, sum(result.flops.values()), result


def _part(features: TrainingFeatures, count: int, seed: int) -> torch.Tensor:
    order = torch.randperm(len(features.train), generator=torch.Generator().manual_seed(seed))
    return features.train[order[:count].to(features.train.device)]


def _alone(features: TrainingFeatures, pair: PairName) -> TrainingFeatures:
    image, text = pair
    return replace(features, images={image: features.images[image]}, texts={text: features.texts[text]})


def batches(
    specs: dict[PairName, ConnectorSpec],
    samples: int,
    epochs: int,
    sizes: tuple[int, ...] = (512, 2048, 4096, 16384),
) -> list[Json]:
    """FLOPs of grid search by batch size at equal epochs: the loss grows with the batch, the rest does not."""
    found: list[Json] = []
    for size in sizes:
        batch, steps = min(size, samples), flops.steps(samples, size, epochs)
        parts = flops.grid(specs, batch, steps)
        found.append({"batch": batch, "steps": steps, "flops": sum(parts.values()), "loss": parts["InfoNCE"]})
        if size >= samples:
            break
    return found

"""Grid search: train every pair's connector on its own. The oracle that other methods are held against.

`training` also serves the methods that train connectors pair by pair on another budget.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch

from hyma.common import parallel
from hyma.common.names import PairName
from hyma.common.timing import Stopwatch
from hyma.stitching import flops
from hyma.stitching.connectors import Connector, initialise
from hyma.stitching.normalised import Normalised
from hyma.stitching.pair_losses import pair_losses
from hyma.stitching.params import ConnectorParams, GridParams, TrainingParams
from hyma.stitching.result import SearchResult, merge, timed
from hyma.stitching.shapes import Shapes
from hyma.stitching.trainer import train
from hyma.stitching.training_set import TrainingFeatures

LABEL = "grid search"


class StepParams(GridParams):
    """As grid search's, but of a method that counts steps: it has no key ``epochs``."""

    epochs: ClassVar[int] = 1  # type: ignore[misc]  # takes the key away; nobody reads it where steps are given


def search(
    features: TrainingFeatures,
    params: GridParams,
    connector: ConnectorParams,
    seed: int,
    pairs: Sequence[PairName] | None = None,
) -> SearchResult:
    """Train the connectors of `pairs` (all, unless given), side by side where there is no GPU.

    Raises:
        HymaError: if a loss is not finite.
    """
    own = features.pairs if pairs is None else pairs
    each = searching(features, params, connector, seed, own)
    return merge(parallel.side_by_side(each, own, features.train.device))


def searching(
    features: TrainingFeatures,
    params: GridParams,
    connector: ConnectorParams,
    seed: int,
    pairs: Sequence[PairName],
) -> Callable[[PairName], SearchResult]:
    """What finds the connector of one of `pairs`; see `training`."""
    train, shapes = training(features, params, connector, seed, pairs), Shapes.of(features, connector, seed)
    return lambda pair: replace(train(pair), flops=cost(shapes, params, [pair]))


def cost(shapes: Shapes, params: TrainingParams, pairs: Sequence[PairName] | None = None) -> flops.Parts:
    """FLOPs of training `pairs` (all, unless given) for ``params.epochs``."""
    own = shapes.specs(shapes.pairs if pairs is None else pairs)
    steps = flops.steps(shapes.train, params.batch, params.epochs)
    return flops.grid(own, min(params.batch, shapes.train), steps)


def train_pairs(
    features: TrainingFeatures,
    params: TrainingParams,
    connector: ConnectorParams,
    seed: int,
    pairs: Sequence[PairName],
    label: str,
    **changes: Any,
) -> list[SearchResult]:
    """Train `pairs` side by side where there is no GPU; arguments as of `training`.

    Raises:
        HymaError: if a loss is not finite.
    """
    each = training(features, params, connector, seed, pairs, label, **changes)
    return parallel.side_by_side(each, pairs, features.train.device)


def training(
    features: TrainingFeatures,
    params: TrainingParams,
    connector: ConnectorParams,
    seed: int,
    pairs: Sequence[PairName],
    label: str = LABEL,
    steps: int | None = None,
    starts: Mapping[PairName, Connector] | None = None,
    data: Normalised | None = None,
) -> Callable[[PairName], SearchResult]:
    """What trains one of `pairs` by `train_pair`; their encoders are normalised here, once for all.

    The seconds of each pair are its share of the machine's, the CPU seconds its share of the process's, so that their
    sums are what the search took.
    """
    watch, threads = Stopwatch(), parallel.threads(features.train.device)
    with watch.running() as shared:
        normalised = data or Normalised(_of(features, pairs), connector)

    def train_one(pair: PairName) -> SearchResult:
        start = starts.get(pair) if starts else None
        with watch.running() as spent:
            found = train_pair(features, params, connector, seed, pair, steps, start, normalised, label)
        spent.seconds += shared.seconds / len(pairs)
        spent.cpu_seconds += shared.cpu_seconds / len(pairs)
        return timed(found, spent, threads)

    return train_one


def left_out(features: TrainingFeatures) -> dict[str, str]:
    """The pairs that a method cannot score that trains them one by one, and why."""
    reason = "left out of training: a method that trains each pair by itself has no connector for it"
    return {"-".join(pair): reason for pair in features.pairs if pair in features.left_out}


def train_pair(
    features: TrainingFeatures,
    params: TrainingParams,
    connector: ConnectorParams,
    seed: int,
    pair: PairName,
    steps: int | None = None,
    start: Connector | None = None,
    data: Normalised | None = None,
    label: str = LABEL,
) -> SearchResult:
    """Train one pair's connector; what that takes is for the caller to time.

    Args:
        features: of all encoders, or of this pair's at least.
        params: optimizer and batches.
        connector: what is trained.
        seed: the pair's own seed, of its samples' order and its first weights, comes from this and its name.
        pair: which one.
        steps: how many, instead of ``params.epochs``.
        start: weights to go on from, which stay as they are; new ones, unless given.
        data: `features` normalised, if the caller has them so.
        label: the method's name for people.

    Raises:
        HymaError: if the loss is not finite.
    """
    name = "-".join(pair)
    own_seed = zlib.crc32(f"{seed}/{name}".encode())
    normalised = data or Normalised(_of(features, [pair]), connector)
    spec = features.spec(pair, connector)
    start = start or initialise(spec, torch.Generator().manual_seed(own_seed))
    weights = {
        key: torch.nn.Parameter(weight.detach().to(features.train.device, copy=True))
        for key, weight in start.items()
    }
    history = train(
        lambda rows, _, backward: pair_losses(
            [dict(weights)], [pair], rows, normalised, connector.logit_scale, backward
        ),
        list(weights.values()),
        [pair],
        1,
        features.train,
        params,
        own_seed,
        f"{label} {name}",
        lambda: normalised.held_out_loss(pair, dict(weights), connector.logit_scale),
        steps,
    )
    found = SearchResult(label, {name: normalised.score(pair, dict(weights))})
    stitches = {name: normalised.stitch(pair, spec, dict(weights))}
    return replace(found, stitches=stitches, steps=len(history.rows), history=history.columns())


def _of(features: TrainingFeatures, pairs: Sequence[PairName]) -> TrainingFeatures:
    """The features of the encoders of `pairs` only, so that no others are normalised for them."""
    return replace(
        features,
        images={image: features.images[image] for image, _ in pairs},
        texts={text: features.texts[text] for _, text in pairs},
        left_out=frozenset(),
    )

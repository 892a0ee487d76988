"""HYMA's search: one hypernetwork is trained on all pairs and predicts every connector."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from hyma.common import parallel
from hyma.common.errors import HymaError
from hyma.common.names import PairName
from hyma.common.timing import Stopwatch
from hyma.search import flops as network_flops
from hyma.search.closed_form import Whitening, shared_space
from hyma.search.network import (
    DenseHypernetwork,
    FactorisedHypernetwork,
    Hypernetwork,
    equaliser,
    split_hidden,
)
from hyma.search.params import HymaParams
from hyma.stitching import flops
from hyma.stitching.connectors import Connector, ConnectorSpec
from hyma.stitching.normalised import Normalised
from hyma.stitching.pair_losses import pair_losses
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult, timed
from hyma.stitching.shapes import Shapes
from hyma.stitching.table import Table, mapped
from hyma.stitching.trainer import Backward, Step, train
from hyma.stitching.training_set import TrainingFeatures

LABEL = "HYMA"


def cost(shapes: Shapes, params: HymaParams, two_sided: bool = False) -> flops.Parts:
    """FLOPs of a search, exactly: the hypernetwork's shapes decide them."""
    specs = _specs(shapes, two_sided)
    return _cost(network_flops.outline(specs, shapes, params), specs, shapes, params)


def _cost(
    network: Hypernetwork, specs: dict[PairName, ConnectorSpec], shapes: Shapes, params: HymaParams
) -> flops.Parts:
    """FLOPs of training this network and of writing all connectors out."""
    batch, steps = min(params.batch, shapes.train), flops.steps(shapes.train, params.batch, params.epochs)
    if isinstance(network, DenseHypernetwork):
        seen = {pair: specs[pair] for pair in shapes.seen}
        return network_flops.dense_search(network, seen, batch, steps, params.bm)
    start = network_flops.factorised_start(
        network, shapes.drawn(params.samples), shapes.image_rows, shapes.text_rows
    )
    return start | network_flops.factorised_training(network, batch, steps, params.bm, len(shapes.seen))


def _specs(shapes: Shapes, two_sided: bool) -> dict[PairName, ConnectorSpec]:
    """The connectors of all pairs."""
    specs = shapes.specs(shapes.pairs)
    if two_sided:
        return {pair: replace(spec, shared=split_hidden(spec)[0]) for pair, spec in specs.items()}
    return specs


def search(
    features: TrainingFeatures,
    params: HymaParams,
    connector: ConnectorParams,
    seed: int,
    two_sided: bool = False,
) -> SearchResult:
    """Train the hypernetwork and predict, score and return all pairs' connectors.

    Args:
        features: pairs left out are predicted and scored like the others.
        params: section ``hyma``.
        connector: section ``connector``.
        seed: of the first weights and of the order of samples and pairs.
        two_sided: map images into the shared space too (factorised decoder only).

    Raises:
        HymaError: if bm exceeds the number of pairs, or the loss is not finite.
    """
    if params.bm > len(features.seen):
        raise HymaError(
            f"params.yaml: hyma.bm: {params.bm} pairs a step, but there are only {len(features.seen)} pairs"
        )
    shapes = Shapes.of(features, connector, seed)
    watch = Stopwatch()
    spent = watch.start()
    data, specs = Normalised(features, connector), _specs(shapes, two_sided)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        build = _dense if params.decoder == "dense" else _factorised
        network, step_on = build(data, specs, params, connector.logit_scale, seed)
    norms: list[Tensor] = []
    numbers = torch.tensor([features.pairs.index(pair) for pair in features.seen])
    history = train(
        lambda rows, chosen, backward: step_on(rows, numbers[chosen], backward),
        list(network.parameters()),
        features.seen,
        params.bm,
        features.train,
        params,
        seed,
        LABEL,
        observe=lambda: norms.append(network.gradient_norms()),
    )
    result = SearchResult(LABEL, {}, steps=len(history.rows), history=history.columns())
    result.pair_accuracy = history.pair_accuracy
    after = norms[round(len(norms) * params.warmup) :] or norms
    result.gradients = gradient_statistics(torch.stack(after), [*features.images, *features.texts])
    _predict(network, data, specs, result)
    watch.stop(spent)
    result.flops = _cost(network, specs, shapes, params)  # the meta device would import PyTorch's compiler
    return timed(result, spent, parallel.threads(features.train.device))


@torch.no_grad()
def _predict(
    network: Hypernetwork, data: Normalised, specs: dict[PairName, ConnectorSpec], result: SearchResult
) -> None:
    """Put every pair's connector, and its score, into the result."""
    for row, pair in enumerate(data.features.pairs):
        (weights,) = network(torch.tensor([row]))
        image = None
        if isinstance(network, FactorisedHypernetwork):
            image = network.image_connector(row // len(data.features.texts))
        result.scores["-".join(pair)] = data.score(pair, weights, image)
        result.stitches["-".join(pair)] = data.stitch(pair, specs[pair], weights, image)


def gradient_statistics(norm_SE: Tensor, encoders: Sequence[str]) -> dict[str, dict[str, float]]:
    """How the gradient of each encoder's own parameters behaved over the steps in which it took part.

    Args:
        norm_SE: its length at each of S steps, for E encoders; 0 where it took no part, not finite where it
            overflowed in fp16: such a step is skipped, here as in training.
        encoders: their slugs.

    Returns:
        ``mean`` length, relative ``variance`` (the variance over the square of the mean) and ``peak`` (the largest
        length over the median); for an encoder that never took part, nothing.
    """
    found = {}
    for slug, norm_S in zip(encoders, norm_SE.double().cpu().T, strict=True):
        taken = norm_S[(norm_S > 0) & norm_S.isfinite()]
        if len(taken):
            variance, mean = torch.var_mean(taken, correction=0)
            numbers = mean, variance / mean**2, taken.max() / taken.median()
            found[slug] = dict(zip(("mean", "variance", "peak"), map(float, numbers), strict=True))
    return found


def _dense(
    data: Normalised, specs: dict[PairName, ConnectorSpec], params: HymaParams, scale: float, seed: int
) -> tuple[Hypernetwork, Step]:
    del seed
    pairs = list(specs)
    network = DenseHypernetwork(specs, params.code_dim, params.widths).to(data.features.train.device)

    def step_on(rows: Tensor, chosen: Tensor, backward: Backward) -> tuple[Tensor, Tensor]:
        predicted = network(chosen)
        # The gradient stops at the connectors, group by group, and goes on through the hypernetwork once.
        leaves = [_leaves(connector) for connector in predicted]
        own = [pairs[number] for number in chosen.tolist()]
        found = pair_losses(leaves, own, rows, data, scale, backward)
        if params.balance:
            _equalise(leaves)
        torch.autograd.backward(_flat(predicted), [leaf.grad for leaf in _flat(leaves)])
        return found

    return network, step_on


def _equalise(leaves: list[Connector]) -> None:
    """Bring the gradients of the pairs' connectors to one length."""
    grads = [
        [weight.grad for weight in connector.values() if weight.grad is not None] for connector in leaves
    ]
    norms = [torch.cat([grad.flatten() for grad in of_pair]).norm() for of_pair in grads]
    for of_pair, factor in zip(grads, equaliser(torch.stack(norms)), strict=True):
        for grad in of_pair:
            grad *= factor


def _leaves(connector: Connector) -> Connector:
    return {name: weight.detach().requires_grad_() for name, weight in connector.items()}


def _flat(connectors: list[Connector]) -> list[Tensor]:
    return [weight for connector in connectors for weight in connector.values()]


def _factorised(
    data: Normalised, specs: dict[PairName, ConnectorSpec], params: HymaParams, scale: float, seed: int
) -> tuple[Hypernetwork, Step]:
    """Whiten every encoder on a sample, find the shared space, and train from there, in components."""
    features = data.features
    image_rows, text_rows = features.sample(params.samples, seed)
    image_white = [
        Whitening.fit(unit_ND[image_rows], params.shrinkage, params.components)
        for unit_ND in data.image.values()
    ]
    text_white = [
        Whitening.fit(text_MD[text_rows], params.shrinkage, params.components)
        for text_MD in data.text.values()
    ]
    start = shared_space(
        [white(unit_ND[image_rows]) for white, unit_ND in zip(image_white, data.image.values(), strict=True)],
        [white(text_MD[text_rows]) for white, text_MD in zip(text_white, data.text.values(), strict=True)],
        split_hidden(next(iter(specs.values())))[0],
        [(list(features.images).index(i), list(features.texts).index(t)) for i, t in features.left_out],
    )
    network = FactorisedHypernetwork(specs, image_white, text_white, start).to(features.train.device)
    # One-sided connectors take cosines with the image itself: its unit vector in the new basis, not centred.
    centred = network.spec.shared is not None
    images = [
        _components(unit_ND, white, centred)
        for unit_ND, white in zip(data.image.values(), image_white, strict=True)
    ]
    texts = [mapped(text_MD, white) for text_MD, white in zip(data.text.values(), text_white, strict=True)]

    def step_on(rows: Tensor, chosen: Tensor, backward: Backward) -> tuple[Tensor, Tensor]:
        image_rows, (image_P, text_P) = features.image_of_text_M[rows], network.places(chosen)
        losses, accuracies = network.contrast(
            {number: images[number][image_rows] for number in set(image_P)},
            {number: texts[number][rows] for number in set(text_P)},
            chosen,
            scale,
            params.balance,
            features.alike(rows),
        )
        backward(losses.mean())
        return losses.detach(), accuracies

    return network, step_on


def _components(unit_ND: Table, white: Whitening, centred: bool) -> Table:
    return mapped(unit_ND, white if centred else lambda unit_BD: unit_BD @ white.map_DR)

"""HYMA's search: one hypernetwork is trained on all pairs and predicts every connector."""

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from hyma import flops
from hyma.closed_form import Whitening, shared_space
from hyma.connectors import ConnectorSpec
from hyma.errors import HymaError
from hyma.hypernetwork import DenseHypernetwork, FactorisedHypernetwork, Hypernetwork, PairName, split_hidden
from hyma.search.data import TrainingFeatures
from hyma.search.params import ConnectorParams, HymaParams
from hyma.search.result import SearchResult
from hyma.search.training import Normalised, contrast, train

LABEL = "HYMA"
Losses = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


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
    start = time.perf_counter()
    data = Normalised(features, connector)
    specs = {pair: features.spec(pair, connector) for pair in features.pairs}
    if two_sided:
        specs = {pair: replace(spec, shared=split_hidden(spec)[0]) for pair, spec in specs.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        build = _dense if params.decoder == "dense" else _factorised
        network, losses = build(data, specs, params, connector.logit_scale, seed)
    numbers = torch.tensor([features.pairs.index(pair) for pair in features.seen])
    history = train(
        lambda rows, chosen: losses(rows, numbers[chosen]),
        list(network.parameters()),
        features.seen,
        params.bm,
        features.train,
        params,
        seed,
        LABEL,
    )
    result = SearchResult(LABEL, {}, 0.0, steps=len(history.rows), history=history.columns())
    result.pair_accuracy = history.pair_accuracy
    with torch.no_grad():
        for row, pair in enumerate(features.pairs):
            (weights,) = network(torch.tensor([row]))
            image = None
            if isinstance(network, FactorisedHypernetwork):
                image = network.image_connector(row // len(features.texts))
            result.scores["-".join(pair)] = data.score(pair, weights, image)
            result.stitches["-".join(pair)] = data.stitch(pair, specs[pair], weights, image)
    result.seconds = time.perf_counter() - start
    result.flops = _flops(features, network, specs, params)
    return result


def _flops(
    features: TrainingFeatures,
    network: Hypernetwork,
    specs: dict[PairName, ConnectorSpec],
    params: HymaParams,
) -> flops.Parts:
    samples = len(features.train)
    batch, steps = min(params.batch, samples), flops.steps(samples, params.batch, params.epochs)
    seen = {pair: specs[pair] for pair in features.seen}
    if isinstance(network, DenseHypernetwork):
        return flops.dense_search(network, seen, batch, steps, params.bm)
    images, sample = len(next(iter(features.images.values()))), len(features.sample(params.samples, 0)[0])
    start = flops.factorised_start(network, sample, images, len(features.image_of_text_M))
    return start | flops.factorised_training(network, batch, steps, params.bm, len(seen))


def _dense(
    data: Normalised, specs: dict[PairName, ConnectorSpec], params: HymaParams, scale: float, seed: int
) -> tuple[Hypernetwork, Losses]:
    del seed
    pairs = list(specs)
    network = DenseHypernetwork(specs, params.code_dim, params.widths).to(data.features.train.device)

    def losses(rows: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        return contrast(network(chosen), [pairs[number] for number in chosen.tolist()], rows, data, scale)

    return network, losses


def _factorised(
    data: Normalised, specs: dict[PairName, ConnectorSpec], params: HymaParams, scale: float, seed: int
) -> tuple[Hypernetwork, Losses]:
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
    images = [
        white(unit_ND) if network.spec.shared else unit_ND @ white.map_DR
        for unit_ND, white in zip(data.image.values(), image_white, strict=True)
    ]
    texts = [white(text_MD) for text_MD, white in zip(data.text.values(), text_white, strict=True)]

    def losses(rows: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        image_rows = features.image_of_text_M[rows]
        return network.contrast(
            [image_NR[image_rows] for image_NR in images], [text_MR[rows] for text_MR in texts], chosen, scale
        )

    return network, losses

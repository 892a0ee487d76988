"""HYMA's search: one hypernetwork is trained on all pairs and predicts every connector."""

import time

import torch

from hyma.errors import HymaError
from hyma.hypernetwork import build
from hyma.search.data import TrainingFeatures
from hyma.search.params import ConnectorParams, HymaParams
from hyma.search.result import SearchResult
from hyma.search.training import Normalised, train


def search(
    features: TrainingFeatures, params: HymaParams, connector: ConnectorParams, seed: int
) -> SearchResult:
    """Train the hypernetwork and predict, score and return all pairs' connectors.

    Raises:
        HymaError: if bm exceeds the number of pairs, or the loss is not finite.
    """
    pairs = features.pairs
    if params.bm > len(pairs):
        raise HymaError(
            f"params.yaml: hyma.bm: {params.bm} pairs a step, but there are only {len(pairs)} pairs"
        )
    start = time.perf_counter()
    data = Normalised(features, connector)
    specs = {pair: features.spec(pair, connector) for pair in pairs}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(params.decoder, specs, params.code_dim, params.widths)
    network.to(features.train.device)
    history = train(
        network, list(network.parameters()), pairs, params.bm, data, params, connector, seed, "HYMA"
    )
    scores, stitches = {}, {}
    for number, pair in enumerate(pairs):
        with torch.no_grad():
            (predicted,) = network(torch.tensor([number]))
        name = "-".join(pair)
        scores[name] = data.score(pair, predicted)
        stitches[name] = data.stitch(pair, specs[pair], predicted)
    seconds = time.perf_counter() - start
    return SearchResult(
        "hyma", scores, seconds, stitches, len(history.rows), history.columns(), history.pair_accuracy
    )

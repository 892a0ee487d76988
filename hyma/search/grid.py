"""Grid search: train every pair's connector on its own. The oracle that other methods are held against."""

import time
import zlib
from collections.abc import Sequence

import torch

from hyma.connectors import initialise
from hyma.search.data import PairName, TrainingFeatures
from hyma.search.params import ConnectorParams, GridParams
from hyma.search.result import SearchResult, merge
from hyma.search.training import Normalised, train


def search(
    features: TrainingFeatures,
    params: GridParams,
    connector: ConnectorParams,
    seed: int,
    pairs: Sequence[PairName] | None = None,
) -> SearchResult:
    """Train the connectors of `pairs` (all, unless given), one after the other.

    Raises:
        HymaError: if a loss is not finite.
    """
    return merge(
        _train_pair(features, params, connector, seed, pair)
        for pair in (features.pairs if pairs is None else pairs)
    )


def _train_pair(
    features: TrainingFeatures, params: GridParams, connector: ConnectorParams, seed: int, pair: PairName
) -> SearchResult:
    name = "-".join(pair)
    own_seed = zlib.crc32(f"{seed}/{name}".encode())
    start = time.perf_counter()
    alone = TrainingFeatures(
        {pair[0]: features.images[pair[0]]},
        {pair[1]: features.texts[pair[1]]},
        features.image_of_text_M,
        features.train,
        features.held_out,
    )
    data = Normalised(alone, connector)
    spec = features.spec(pair, connector)
    device = features.train.device
    weights = {
        key: torch.nn.Parameter(weight.to(device))
        for key, weight in initialise(spec, torch.Generator().manual_seed(own_seed)).items()
    }
    history = train(
        lambda _: [dict(weights)],
        list(weights.values()),
        [pair],
        1,
        data,
        params,
        connector,
        own_seed,
        f"grid {name}",
    )
    score = data.score(pair, dict(weights))
    seconds = time.perf_counter() - start
    stitch = data.stitch(pair, spec, dict(weights))
    return SearchResult("grid", {name: score}, seconds, {name: stitch}, len(history.rows), history.columns())

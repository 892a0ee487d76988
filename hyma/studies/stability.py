"""What one unruly encoder does to the others: HYMA with an encoder of wild feature scales among tame ones.

Some networks (MaxViT among them) have features in which a few dimensions are a thousand times larger than the
rest, scales that differ by orders of magnitude, and lengths that vary as much from one picture to the next. Here
one encoder's features are given all three, and what the others' pairs lose is measured under every remedy.
Letters: N rows, D a width.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from hyma.common.errors import HymaError
from hyma.search import hyma_search
from hyma.search.params import HymaParams
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures
from hyma.studies.judge import Judge, mean_scores

Json = dict[str, Any]
SPREAD, JUMP = 2.0, 1.5
"""Standard deviations of the logarithms of the dimensions' scales, and of the rows'."""
MASSIVE, SIZE = 0.02, 1000.0
"""Share of the dimensions that are massive, and their mean in units of the features' typical spread."""
DENSE: Mapping[str, Any] = {
    "decoder": "dense", "batch": 512, "epochs": 4, "lr": 0.01, "beta2": 0.999, "widths": [64, 128], "code_dim": 32,
}  # fmt: skip
"""The paper's decoder in a size that a CPU trains in half a minute."""
REMEDIES: Mapping[str, Json] = {
    "none (l2, the paper's)": {"normalise": "l2"},
    "β2 = 0.9": {"normalise": "l2", "beta2": 0.9},
    "every pair's gradient of one length": {"normalise": "l2", "balance": True},
    "features standardised": {"normalise": "standardise"},
    "unit length, then standardised": {"normalise": "l2_standardise"},
}


@dataclass(frozen=True)
class Wild:
    """Gives features wild scales: the same for a dimension whatever the data set, drawn anew for every row."""

    scale_D: np.ndarray
    offset_D: np.ndarray
    seed: int

    @classmethod
    def like(cls, feature_ND: np.ndarray, seed: int) -> "Wild":
        """Draw the scales for features [N, D]."""
        rng, width = np.random.default_rng(seed), feature_ND.shape[1]
        offset_D = np.zeros(width)
        massive = rng.permutation(width)[: max(1, round(MASSIVE * width))]
        offset_D[massive] = SIZE * feature_ND.std(0).mean()
        return cls(np.exp(SPREAD * rng.standard_normal(width)), offset_D, seed)

    def __call__(self, feature_ND: np.ndarray) -> np.ndarray:
        """Return features [N, D] with these scales."""
        row_N1 = np.exp(JUMP * np.random.default_rng(self.seed).standard_normal((len(feature_ND), 1)))
        return ((feature_ND * self.scale_D + self.offset_D) * row_N1).astype(np.float32)


def study(
    features: TrainingFeatures, params: HymaParams, connector: ConnectorParams, seed: int, judge: Judge
) -> Json:
    """Run HYMA with all encoders tame, and with the first image encoder wild, by both decoders with every remedy.

    Returns:
        ``encoder`` (the one made wild), ``remedies`` and ``cases``: {decoder, remedy, wild, others (the mean score
        of the other encoders' pairs), own (of its own), gradients, seconds, cpu_seconds; or failed}.
    """
    slug = next(iter(features.images))
    table = features.images[slug]
    wild = Wild.like(np.asarray(table[torch.arange(min(len(table), 4096))].cpu()), seed)
    everything = table[torch.arange(len(table))].cpu().numpy()
    unruly = torch.from_numpy(wild(everything)).to(features.train.device)
    sides: dict[bool, tuple[TrainingFeatures, Judge]] = {
        False: (features, judge),
        True: (replace(features, images={**features.images, slug: unruly}), judge.changed(slug, wild)),
    }
    pairs = len(features.pairs)
    decoders = {
        "factorised": params.model_copy(update={"decoder": "factorised", "bm": min(params.bm, pairs)}),
        "dense": HymaParams(bm=min(9, pairs), **DENSE),
    }
    cases = [
        {"decoder": decoder, "remedy": remedy, "wild": is_wild}
        | _case(own, _with(settings, changes), _normalised(connector, changes), seed, bench, slug)
        for decoder, settings in decoders.items()
        for remedy, changes in REMEDIES.items()
        for is_wild, (own, bench) in sides.items()
    ]
    return {"encoder": slug, "remedies": list(REMEDIES), "cases": cases}


def _case(
    features: TrainingFeatures,
    params: HymaParams,
    connector: ConnectorParams,
    seed: int,
    judge: Judge,
    slug: str,
) -> Json:
    try:
        result = hyma_search.search(features, params, connector, seed)
    except HymaError as error:  # the loss is not finite: a finding, not a failure of the study
        return {"failed": str(error)}
    scores = mean_scores(judge.scores(result.stitches).report)
    own = {pair for pair in scores if pair.split("-")[0] == slug}
    return {
        "others": float(np.mean([score for pair, score in scores.items() if pair not in own])),
        "own": float(np.mean([scores[pair] for pair in own])),
        "gradients": _of_images(result, features),
        "seconds": result.seconds,
        "cpu_seconds": result.cpu_seconds,
    }


def _of_images(result: SearchResult, features: TrainingFeatures) -> dict[str, dict[str, float]]:
    return {slug: numbers for slug, numbers in result.gradients.items() if slug in features.images}


def _with(params: HymaParams, changes: Json) -> HymaParams:
    return params.model_copy(update={key: changes[key] for key in ("beta2", "balance") if key in changes})


def _normalised(connector: ConnectorParams, changes: Json) -> ConnectorParams:
    return connector.model_copy(update={"normalise": changes["normalise"]})

"""Scoring every pair of every method on one benchmark: the content of metrics/benchmarks/<name>.json."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from hyma.common.prepared import Prepared
from hyma.evaluation.evaluator import METRIC, Evaluator, protocols
from hyma.evaluation.params import EvaluateParams
from hyma.stitching.connectors import Stitch


def assess(
    name: str,
    data: Prepared,
    features: Mapping[str, np.ndarray],
    methods: Mapping[str, Mapping[str, Stitch]],
    params: EvaluateParams,
) -> dict[str, Any]:
    """Score all pairs under all protocols that the benchmark has.

    Args:
        name: the benchmark's slug.
        data: the prepared benchmark.
        features: encoder's slug → features [rows, D] of its images or texts.
        methods: method → pair → its connector.
        params: which protocol ranks; where the benchmark lacks it, its first one does.
    """
    evaluators = {protocol: Evaluator(data, protocol) for protocol in protocols(data)}
    ranking = params.protocol if params.protocol in evaluators else next(iter(evaluators))
    scores: dict[str, Any] = {protocol: {method: {} for method in methods} for protocol in evaluators}
    total = sum(len(pairs) for pairs in methods.values())
    with tqdm(total=total, desc=name, unit="pair", disable=None) as bar:
        for method, stitches in methods.items():
            embedded: dict[str, np.ndarray] = {}
            for pair, stitch in stitches.items():
                image, text = pair.split("-")
                # A one-sided method leaves images as they are: once for all of an encoder's pairs.
                own = pair if stitch.image_connector else image
                if own not in embedded:
                    embedded[own] = embed_image(stitch, features[image])
                image_ND, text_MD = embedded[own], embed_text(stitch, features[text])
                for protocol, evaluator in evaluators.items():
                    scores[protocol][method][pair] = evaluator.score(image_ND, text_MD)
                bar.update()
    return {
        "benchmark": name,
        "task": data.meta.task,
        "metric": METRIC[data.meta.task],
        "protocol": ranking,
        "images": len(evaluators[ranking].images),
        "texts": len(evaluators[ranking].texts),
        "questions": data.meta.questions,
        "skipped": len(data.meta.skipped),
        "ceiling": evaluators[ranking].ceiling(),
        "chance": evaluators[ranking].chance(),
        "protocols": {protocol: {"methods": found} for protocol, found in scores.items()},
    }


@torch.no_grad()
def embed_image(stitch: Stitch, image_ND: np.ndarray) -> np.ndarray:
    """Return unit vectors for the features of a pair's image encoder."""
    return stitch.embed_image(torch.tensor(image_ND)).numpy()


@torch.no_grad()
def embed_text(stitch: Stitch, text_ME: np.ndarray) -> np.ndarray:
    """Return unit vectors for the features of a pair's text encoder, as wide as the images'."""
    return stitch.embed_text(torch.tensor(text_ME)).numpy()

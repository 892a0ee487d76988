"""Scoring a method's pairs on one benchmark: the content of metrics/benchmarks/<name>.json."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from hyma.common.features import Side
from hyma.evaluation.benchmark import Benchmark
from hyma.evaluation.evaluator import METRIC, Evaluator
from hyma.evaluation.halves import PARTS
from hyma.evaluation.params import EvaluateParams
from hyma.stitching.connectors import Stitch

Scores = dict[str, dict[str, dict[str, dict[str, float]]]]
"""Protocol → pair → part of the items (``choose``, ``report``, ``all``) → metric → value."""
Features = Callable[[Side, str, int], np.ndarray]
"""Side, encoder and the width expected → features [rows, D]."""


def score(
    evaluators: Mapping[str, Evaluator],
    features: Features,
    stitches: Mapping[str, Stitch],
    done: Callable[[], object] = lambda: None,
) -> Scores:
    """Score the pairs of one method under every protocol, on both halves of the benchmark and on all of it.

    Args:
        evaluators: protocol → the benchmark under it.
        features: where features come from, such as `hyma.evaluation.benchmark.Benchmark.features`.
        stitches: pair → its connector.
        done: called after every pair.
    """
    found: Scores = {protocol: {} for protocol in evaluators}
    embedded: dict[str, np.ndarray] = {}
    for pair, stitch in stitches.items():
        image, text = pair.split("-")
        # A one-sided method leaves images as they are: once for all of an encoder's pairs.
        own = pair if stitch.image_connector else image
        if own not in embedded:
            embedded[own] = embed_image(stitch, features("image", image, stitch.spec.d_image))
        text_MD = embed_text(stitch, features("text", text, stitch.spec.d_text))
        for protocol, evaluator in evaluators.items():
            marks = evaluator.marks(embedded[own], text_MD)
            found[protocol][pair] = {part: marks.score(evaluator.of(part)) for part in PARTS}
        done()
    return found


def content(bench: Benchmark, scores: Mapping[str, Scores], params: EvaluateParams) -> dict[str, Any]:
    """What is written of a benchmark.

    Args:
        bench: the benchmark.
        scores: method → what `score` gave.
        params: which protocol ranks; where the benchmark lacks it, its first one does.

    Returns:
        Under ``parts`` how many items there are by part, under ``wordings`` how many different captions; ``ceiling``
        and ``chance`` are those of the half that is reported.
    """
    ranking = bench.ranking(params)
    evaluator = bench.evaluators[ranking]
    return {
        "benchmark": bench.slug,
        "task": bench.data.meta.task,
        "metric": METRIC[bench.data.meta.task],
        "protocol": ranking,
        "images": len(evaluator.images),
        "texts": len(evaluator.texts),
        "wordings": evaluator.captions.wordings if evaluator.task == "retrieval" else None,
        "questions": bench.data.meta.questions,
        "salt": bench.salt,
        "parts": {part: evaluator.count(part) for part in PARTS},
        "skipped": sum(one.kind == "image" for one in bench.data.meta.skipped),
        "ceiling": evaluator.ceiling("report"),
        "chance": evaluator.chance("report"),
        "protocols": {
            protocol: {"methods": {method: own[protocol] for method, own in scores.items()}}
            for protocol in bench.evaluators
        },
    }


@torch.no_grad()
def embed_image(stitch: Stitch, image_ND: np.ndarray) -> np.ndarray:
    """Return unit vectors for the features of a pair's image encoder."""
    return stitch.embed_image(torch.tensor(image_ND, device=stitch.device)).cpu().numpy()


@torch.no_grad()
def embed_text(stitch: Stitch, text_ME: np.ndarray) -> np.ndarray:
    """Return unit vectors for the features of a pair's text encoder, as wide as the images'."""
    return stitch.embed_text(torch.tensor(text_ME, device=stitch.device)).cpu().numpy()

"""How many pairs a step: HYMA with different bm, at equal steps and at equal data for every pair."""

from collections.abc import Sequence
from typing import Any

from hyma.search import hyma_search
from hyma.search.params import HymaParams
from hyma.stitching.params import ConnectorParams
from hyma.stitching.training_set import TrainingFeatures
from hyma.studies.judge import Halves, Judge, compare

Json = dict[str, Any]


def study(
    features: TrainingFeatures,
    params: HymaParams,
    connector: ConnectorParams,
    seed: int,
    values: Sequence[int],
    judge: Judge,
    oracle: Halves,
) -> Json:
    """Run HYMA with every bm that the number of pairs allows.

    Returns:
        ``steps`` (the epochs of params.yaml for every bm) and ``data`` (epochs raised until every pair sees as
        much as with the bm of params.yaml): lists of {bm, epochs, steps, flops, seconds, cpu_seconds,
        figures}; ``skipped``.
    """
    pairs = len(features.pairs)
    content: Json = {"pairs": pairs, "steps": [], "data": [], "skipped": [bm for bm in values if bm > pairs]}
    for bm in values:
        if bm > pairs:
            continue
        longer = max(1, round(params.epochs * params.bm / bm))
        for kind, epochs in (("steps", params.epochs), ("data", longer)):
            own = params.model_copy(update={"bm": bm, "epochs": epochs})
            result = hyma_search.search(features, own, connector, seed)
            content[kind].append(
                {
                    "bm": bm,
                    "epochs": epochs,
                    "steps": result.steps,
                    "flops": sum(result.flops.values()),
                    "seconds": result.seconds,
                    "cpu_seconds": result.cpu_seconds,
                }
                | compare(oracle.report, judge.scores(result.stitches))
            )
    return content

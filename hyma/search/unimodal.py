"""The best uni-modal pair: the strongest image encoder with the strongest text encoder, no pair looked at."""

from collections.abc import Mapping

import numpy as np

from hyma.common.errors import HymaError
from hyma.stitching.result import SearchResult

LABEL = "best uni-modal pair"
Scores = Mapping[str, float]


def search(image: Scores, text: Scores, flops: float, notes: dict[str, str]) -> SearchResult:
    """Score each pair by how far its encoders stand above their side's mean, in standard deviations."""
    scores = {f"{i}-{t}": _standing(image, i) + _standing(text, t) for i in image for t in text}
    return SearchResult(LABEL, scores, flops={"probes": flops}, notes=notes)


def _standing(strength: Scores, slug: str) -> float:
    values = np.array(list(strength.values()))
    return float((strength[slug] - values.mean()) / (values.std() or 1.0))


def published(given: Scores, slugs: list[str], place: str) -> dict[str, float] | None:
    """The scores given in params.yaml for one side, or None if there are none.

    Raises:
        HymaError: if they are given for some encoders and not for others, or for one that there is not.
    """
    if not given:
        return None
    for slug in given:
        if slug not in slugs:
            raise HymaError(f"params.yaml: {place}.{slug}: no such encoder; known: {', '.join(slugs)}")
    for slug in slugs:
        if slug not in given:
            raise HymaError(f"params.yaml: {place}: no score for {slug}; give all encoders' or none")
    return {slug: float(given[slug]) for slug in slugs}

"""What reports/methods.md says of CKA: whether chance explains its order, and what it does not see.

Only where CKA and calibrated CKA both ran, and the oracle trained every pair.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hyma.ranking.agreement import agreement
from hyma.report import markdown

Json = dict[str, Any]
Scores = Mapping[str, float]
RAW, CALIBRATED = "cka", "calibrated_cka"
DIMENSIONS = "effective dimensions"
"""The note of calibrated CKA that has them."""


@dataclass(frozen=True)
class Look:
    """Numbers by pair, of the pairs that have all of them."""

    raw: Scores
    calibrated: Scores
    oracle: Scores
    """Mean scores, as fractions."""
    dimension: Scores
    """The effective dimension of the pair's image encoder."""

    def rho(self, one: str, other: str) -> float | None:
        """Spearman's ρ of two of the four; None if one of them is the same for all pairs."""
        first, second = getattr(self, one), getattr(self, other)
        if len(set(first.values())) < 2 or len(set(second.values())) < 2:
            return None
        found = agreement(first, second)["spearman"]
        return None if found is None else float(found)


def look(ranking: Json) -> Look | None:
    """What there is to say; None unless both methods and the oracle scored the same three pairs or more."""
    raw, calibrated = (ranking["own_scores"].get(method) for method in (RAW, CALIBRATED))
    if raw is None or calibrated is None or ranking["oracle"] is None:
        return None
    dimensions = read_dimensions(ranking["methods"][CALIBRATED]["notes"].get(DIMENSIONS, ""))
    oracle = ranking["scores"][ranking["oracle"]]
    image_of = {pair: pair.split("-")[0] for pair in oracle}
    kept = [
        pair
        for pair, image in image_of.items()
        if image in dimensions
        and raw.get(pair) is not None
        and calibrated.get(pair) is not None
        and oracle[pair]["mean"] is not None
    ]
    if len(kept) < 3:
        return None
    return Look(
        {pair: raw[pair] for pair in kept},
        {pair: calibrated[pair] for pair in kept},
        {pair: oracle[pair]["mean"] for pair in kept},
        {pair: dimensions[image_of[pair]] for pair in kept},
    )


def read_dimensions(note: str) -> dict[str, float]:
    """Encoder → effective dimension, from the note "resnet 13.9, minilm 55.5"."""
    parts = [part.split(" ") for part in note.split(", ") if part]
    return {slug: float(number) for slug, number in parts}


def words(ranking: Json) -> str:
    """A paragraph; empty where there is nothing to say."""
    found = look(ranking)
    if found is None:
        return ""
    return markdown.page("cka", ranking, look=found, dimensions=sorted(found.dimension.values())).rstrip()

"""Whether encoders that are strong on their own side make strong pairs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hyma.ranking.agreement import agreement

Json = dict[str, Any]


def unimodal(probes: Json, oracle: Mapping[str, float]) -> Json:
    """Spearman's ρ of each side's own strength with the oracle's scores, averaged over the other side.

    Args:
        probes: content of metrics/probes.json.
        oracle: pair → its score.
    """
    sides = {"image": 0, "text": 1}
    result: Json = {}
    for side, position in sides.items():
        strength = probes[side]["scores"]
        reached = {
            slug: float(
                np.mean([score for pair, score in oracle.items() if pair.split("-")[position] == slug])
            )
            for slug in strength
        }
        rho = agreement(reached, strength)["spearman"]
        result[side] = probes[side] | {"spearman": rho, "pair_scores": reached}
    both = {pair: sum(_standing(probes[side]["scores"], pair.split("-")[at]) for side, at in sides.items())
            for pair in oracle}  # fmt: skip
    result["pair"] = {"spearman": agreement(oracle, both)["spearman"]}
    return result


def _standing(strength: Mapping[str, float], slug: str) -> float:
    """An encoder's strength in standard deviations from its side's mean."""
    values = np.array(list(strength.values()))
    return float((strength[slug] - values.mean()) / (values.std() or 1.0))

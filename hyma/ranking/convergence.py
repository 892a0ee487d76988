"""Whether the oracle was trained to the end: its loss on held-out data, epoch by epoch."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

STILL = 0.01
"""A mean loss that falls by less than this share in an epoch has stopped falling."""


def held_out(grid: Mapping[str, Mapping[str, Any]]) -> list[float]:
    """Held-out loss after each epoch, the mean over the pairs, from their records."""
    losses = [record["history"]["held_out_loss"] for record in grid.values()]
    return [fmean(epoch) for epoch in zip(*losses, strict=True)]


def stopped(loss: list[float]) -> bool | None:
    """Whether a loss has stopped falling; None where a single epoch cannot tell."""
    if len(loss) < 2:
        return None
    return loss[-1] > min(loss) or loss[-1] > (1 - STILL) * loss[-2]

"""What a training run goes through: batches of samples, pairs of each step, the learning rate."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def sample_batches(count: int, batch: int, epochs: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield shuffled batches of numbers below `count`; the last, incomplete one of an epoch is left out."""
    batch = min(batch, count)
    for _ in range(epochs):
        order = torch.randperm(count, generator=generator)
        yield from order[: count - count % batch].split(batch)


def pair_batches(count: int, bm: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield `bm` different pair numbers a step, for ever; every pair comes equally often."""
    order = torch.empty(0, dtype=torch.long)
    while True:
        if len(order) < bm:
            fresh = torch.randperm(count, generator=generator)
            # Pairs left over from the last round go first; the new round must not repeat them in this step.
            order = torch.cat([order, fresh[~torch.isin(fresh, order)], fresh[torch.isin(fresh, order)]])
        yield order[:bm]
        order = order[bm:]


def warmup_cosine(steps: int, warmup: float) -> Callable[[int], float]:
    """Return the factor of the learning rate at each step: a linear rise, then half a cosine towards 0."""
    rise = max(1, round(steps * warmup))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    return factor

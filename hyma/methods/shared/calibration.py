"""Similarities calibrated against chance: what is left of one above those of shuffled samples.

Gröger, Wen & Brbić 2026, Revisiting the Platonic Representation Hypothesis: An Aristotelian View, algorithm 1.
The similarity of one encoder's samples with the other's, shuffled, says how much chance alone gives, whatever the
widths, the samples and the measure. The kernel, or the neighbours, of an encoder are computed once; shuffling only
puts their entries into another order.

Letters: N samples, D the width of an encoder, K samples that are neighbours, P orders: the true one, then shuffled
ones.
"""

import math

import torch
from pydantic import Field
from torch import Tensor

from hyma.common.params import Section
from hyma.methods.shared.similarity import centred

LEVEL = 0.05
"""Share of shuffled orders that may lie above the threshold."""


class PermutationParams(Section):
    """What every calibrated method's section holds."""

    permutations: int = Field(
        200, ge=19, description="shuffled orders of the samples that say what chance gives"
    )


def orders(samples: int, permutations: int, seed: int) -> Tensor:
    """The true order of the samples, then shuffled ones: int [P, N] with P = `permutations` + 1."""
    generator = torch.Generator().manual_seed(seed)
    shuffled = [torch.randperm(samples, generator=generator) for _ in range(permutations)]
    return torch.stack([torch.arange(samples), *shuffled])


def calibrated(similarity_P: Tensor) -> float:
    """What the true order has above the threshold, as a share of what there is above it: 0 to 1.

    The threshold τ is the value that all but `LEVEL` of the P similarities, the true one among them, do not exceed:
    (s − τ) / (1 − τ), or 0 below it. Of independent features it is 0 in all but `LEVEL` of all cases.

    Args:
        similarity_P: that of the true order, then those of shuffled ones; 1 is the largest that there can be.
    """
    rank = math.ceil(round((1 - LEVEL) * len(similarity_P), 9))  # 0.95 · 20 should be 19
    own, threshold = float(similarity_P[0]), float(similarity_P.sort().values[rank - 1])
    return max(0.0, (min(own, 1.0) - threshold) / (1 - threshold)) if threshold < 1 else 0.0


def plain_gram(feature_ND: Tensor) -> Tensor:
    """Inner products of all rows [N, N], centred and of unit norm: `alignment` of two is the plain, biased CKA.

    Kornblith et al. 2019. Unlike the unbiased one it grows with the widths where features are independent.

    Raises:
        Undefined: if features are constant or not finite.
    """
    centred_ND = centred(feature_ND)
    gram_NN = centred_ND @ centred_ND.T
    return gram_NN / gram_NN.norm()


def effective_dimension(gram_NN: Tensor) -> float:
    """In how many directions features spread: the participation ratio (Σλ)² / Σλ² of a centred kernel's eigenvalues.

    It is the width where all directions spread alike, and 1 where one direction holds everything.
    """
    return float(gram_NN.trace() ** 2 / gram_NN.square().sum())


def shuffled_gram(gram_NN: Tensor, order_PN: Tensor) -> Tensor:
    """A kernel with its samples in all orders, in single precision: [P, N²]."""
    found_PN2 = torch.empty(len(order_PN), gram_NN.numel(), device=gram_NN.device)
    for row, order_N in enumerate(order_PN.to(gram_NN.device)):
        found_PN2[row] = gram_NN.take(len(gram_NN) * order_N[:, None] + order_N).flatten()
    return found_PN2


def alignments(shuffled_PN2: Tensor, gram_NN: Tensor) -> Tensor:
    """The plain CKA in all orders, [P], of a `shuffled_gram` and the other encoder's `plain_gram`."""
    return (shuffled_PN2 @ gram_NN.flatten().float()).cpu()


def shuffled_neighbours(neighbour_NN: Tensor, order_PN: Tensor) -> Tensor:
    """Where in the other encoder's `neighbours` one's own lie in all orders: places among N² entries, int [P, N·K]."""
    row, column = neighbour_NN.nonzero(as_tuple=True)
    place_PN = order_PN.argsort(1).to(neighbour_NN.device)  # where each sample went
    return len(neighbour_NN) * place_PN[:, row] + place_PN[:, column]


def overlaps(place_PM: Tensor, neighbour_NN: Tensor) -> Tensor:
    """The share of neighbours in common in all orders, [P]; `place_PM` as `shuffled_neighbours`."""
    return neighbour_NN.flatten()[place_PM].float().mean(1).cpu()

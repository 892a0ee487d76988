"""Connectors without training: whitening, and a space that all encoders share, by linear algebra alone.

Canonical correlation analysis (Hotelling 1936) is a singular value decomposition of the cross-covariance of
whitened sides. Each encoder is whitened once; what is left for a pair, or for all pairs at once, is small.
Letters: N samples, D an encoder's width, R ≤ D its components kept, K a shared width.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

EIGH_PER_CUBE = 9
"""FLOPs of a symmetric eigendecomposition with vectors, times D³ (Golub & Van Loan, Matrix Computations, 8.3)."""
OVERSAMPLED = 16
"""Directions drawn beyond those wanted by the randomised method."""


@dataclass(frozen=True)
class Whitening:
    """The affine map of one encoder's features to uncorrelated components of about equal spread."""

    mean_D: Tensor
    map_DR: Tensor
    flops: float
    """What finding it cost."""

    @classmethod
    def fit(cls, feature_ND: Tensor, shrinkage: float, components: int | None = None) -> "Whitening":
        """Whiten by the leading `components` (all, unless given) of the features' covariance.

        Constant features give a map of zeros. For the shrinkage see `Principal.scale`.
        """
        return Principal.fit(feature_ND, components).whitening(shrinkage)

    def __call__(self, feature_ND: Tensor) -> Tensor:
        """Return components [N, R] of features [N, D]."""
        return (feature_ND - self.mean_D) @ self.map_DR


@dataclass(frozen=True)
class Principal:
    """The principal components of one encoder's features: the part of whitening that no shrinkage changes."""

    mean_D: Tensor
    basis_DR: Tensor
    """Orthonormal columns, in order of the variance along them."""
    variance_R: Tensor
    flops: float
    """What finding them cost."""

    @classmethod
    def fit(cls, feature_ND: Tensor, components: int | None = None) -> "Principal":
        """Find the leading `components` (all, unless given) of features [N, D]."""
        mean_D = feature_ND.mean(0)
        kept = min(feature_ND.shape[1], components or feature_ND.shape[1])
        variance_R, basis_DR, flops = _leading(feature_ND - mean_D, kept)
        return cls(mean_D, basis_DR, variance_R, flops)

    def __call__(self, feature_ND: Tensor) -> Tensor:
        """Return the features' coordinates [N, R], not scaled."""
        return (feature_ND - self.mean_D) @ self.basis_DR

    def scale(self, shrinkage: float) -> Tensor:
        """What coordinates are multiplied by to whiten them, [R]; zeros for constant features.

        `shrinkage` is the ridge added to every variance, in units of the variance of a leading component: the
        trace over the participation ratio (Σλ)²/Σλ², which is the number of components that count.
        """
        total = self.variance_R.sum()
        ridge = shrinkage * self.variance_R.square().sum() / total.clamp_min(1e-30)
        return (self.variance_R + ridge).rsqrt() if total > 1e-12 else torch.zeros_like(self.variance_R)

    def whitening(self, shrinkage: float) -> Whitening:
        """The whitening of these components."""
        return Whitening(self.mean_D, self.basis_DR * self.scale(shrinkage), self.flops)


def _leading(centred_ND: Tensor, kept: int) -> tuple[Tensor, Tensor, float]:
    """The leading variances [R] and directions [D, R] of centred features, and what finding them cost.

    Where less than half of the directions are wanted, a randomised method (Halko, Martinsson & Tropp 2011) finds
    them for a fraction of a whole decomposition; its draws are the same every time.
    """
    count, width = centred_ND.shape
    drawn, flops = kept + OVERSAMPLED, leading_flops(count, width, kept)
    if drawn > min(count, width) // 2:
        variance_D, basis_DD = torch.linalg.eigh(centred_ND.T @ centred_ND / count)
        return variance_D.flip(0)[:kept].clamp_min(0), basis_DD.flip(1)[:, :kept], flops
    with torch.random.fork_rng(devices=[centred_ND.device] if centred_ND.is_cuda else []):
        torch.manual_seed(0)
        _, value_Q, basis_DQ = torch.svd_lowrank(centred_ND, q=drawn, niter=1)
    return value_Q[:kept].square() / count, basis_DQ[:, :kept], flops


def leading_flops(count: int, width: int, kept: int) -> float:
    """What finding the `kept` leading directions of features [N, D] costs; half of them is where the ways part."""
    drawn = kept + OVERSAMPLED
    if drawn > min(count, width) // 2:
        return 2.0 * count * width**2 + EIGH_PER_CUBE * float(width) ** 3
    # Four products with the features, three orthogonal bases, and the decomposition of what is left.
    return 8.0 * count * width * drawn + 4.0 * drawn**2 * (2 * count + width) + 6.0 * drawn**2 * width


@dataclass(frozen=True)
class SharedSpace:
    """Maps of every encoder's components into one space, directions in order of the correlation they carry."""

    images: list[Tensor]
    """[R, K] for each image encoder."""
    texts: list[Tensor]
    """[R, K] for each text encoder."""
    flops: float


def shared_space(
    images: Sequence[Tensor],
    texts: Sequence[Tensor],
    width: int,
    left_out: Collection[tuple[int, int]] = (),
) -> SharedSpace:
    """Find the `width` directions that all texts and all images have most in common.

    The singular vectors of the cross-covariance of all text components beside each other with all image
    components beside each other: the sum of squared covariances over all pairs is what they maximise. With
    one encoder a side this is canonical correlation analysis.

    Args:
        images: components [N, R] of each image encoder, N matching samples.
        texts: components [N, R] of each text encoder.
        width: K; where there are fewer directions, the last ones are zero. One that carries a thousandth of
            the first one's covariance is lost in float32's noise and counts as none.
        left_out: (image, text) numbers of pairs whose covariance is not looked at.
    """
    image_NA, text_NB = torch.cat(list(images), 1), torch.cat(list(texts), 1)
    cross_BA = text_NB.T @ image_NA / len(image_NA)
    rows, columns = _spans(texts), _spans(images)
    for image, text in left_out:
        cross_BA[rows[text], columns[image]] = 0
    square_B, basis_BB = torch.linalg.eigh(cross_BA @ cross_BA.T)
    text_BK, value_K = basis_BB.flip(1)[:, :width], square_B.flip(0)[:width].clamp_min(0).sqrt()
    real_K = value_K > 1e-3 * value_K.max().clamp_min(1e-30)
    image_AK = (cross_BA.T @ text_BK) * torch.where(real_K, 1 / value_K.clamp_min(1e-30), 0)
    text_BK = torch.nn.functional.pad(text_BK * real_K, (0, width - len(value_K)))
    image_AK = torch.nn.functional.pad(image_AK, (0, width - len(value_K)))
    return SharedSpace(
        [image_AK[span] for span in columns],
        [text_BK[span] for span in rows],
        shared_space_flops(len(image_NA), image_NA.shape[1], text_NB.shape[1], width),
    )


def shared_space_flops(count: int, images: int, texts: int, width: int) -> float:
    """What `shared_space` costs on N samples, `images` and `texts` components of all encoders of a side."""
    flops = 2.0 * count * images * texts + 2.0 * texts**2 * images + EIGH_PER_CUBE * float(texts) ** 3
    return flops + 2.0 * texts * images * width


def common_covariance(
    space: SharedSpace,
    images: Sequence[Tensor],
    texts: Sequence[Tensor],
    left_out: Collection[tuple[int, int]] = (),
) -> Tensor:
    """Return what each direction of `space` maximises, its covariance summed over pairs, [K]; same arguments.

    With one encoder a side these are the canonical correlations.
    """
    image_NK = [part @ map_RK for part, map_RK in zip(images, space.images, strict=True)]
    text_NK = [part @ map_RK for part, map_RK in zip(texts, space.texts, strict=True)]
    all_K = (torch.stack(image_NK).sum(0) * torch.stack(text_NK).sum(0)).mean(0)
    return all_K - sum((image_NK[i] * text_NK[t]).mean(0) for i, t in left_out)


def _spans(parts: Sequence[Tensor]) -> list[slice]:
    """Where each part's columns lie when all are put beside each other."""
    ends = torch.tensor([part.shape[1] for part in parts]).cumsum(0).tolist()
    return [slice(end - part.shape[1], end) for end, part in zip(ends, parts, strict=True)]

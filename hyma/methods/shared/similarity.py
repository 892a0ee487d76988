"""How alike two encoders see the same samples, without training anything: five published measures.

Each measure takes aligned rows, image_ND and text_NE, and comes in two parts: what an encoder alone decides
(products as large as its features, once an encoder) and what a pair adds (small). A search over many pairs
calls the parts; the whole function beside them is for one pair. All of them compute in double precision.
No measure returns NaN: where it has no value it raises `Undefined`.

Letters: N samples, D / E the widths of an image and a text encoder, R / S numbers of directions kept of
them, T targets.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

TINY = 1e-6
"""Spread, relative to the size, below which float32 features hold nothing but rounding."""
RANK = 1e-5
"""Singular value, relative to the largest, below which a direction of float32 features is rounding."""
FEWEST = 4
"""Samples below which the unbiased HSIC does not exist."""
CONVERGED = 1e-10
"""Change of the log evidence per sample at which LogME's iteration ends."""
ITERATIONS = 1000
PRECISION = 1e12
"""Bound of LogME's precisions: noise or weights of a smaller variance than its inverse are rounding."""


class Undefined(ValueError):  # noqa: N818 (a state of the features, as much as an error)
    """A measure has no value on these features; the message says why."""


class Spectrum(NamedTuple):
    """Left singular vectors and singular values of a matrix."""

    vector_NR: Tensor
    value_R: Tensor


def mutual_knn(image_ND: Tensor, text_NE: Tensor, k: int) -> float:
    """Mean share of a sample's k nearest neighbours that both encoders agree on, 0 to 1.

    Huh et al. 2024, The Platonic Representation Hypothesis.

    Raises:
        Undefined: if features are constant or not finite.
    """
    return overlap(neighbours(image_ND, k), neighbours(text_NE, k))


def neighbours(feature_ND: Tensor, k: int) -> Tensor:
    """Mark the k neighbours of each row by cosine, itself excluded: bool [N, N], k in a row.

    Raises:
        Undefined: if all rows point the same way, or are not finite.
    """
    count = len(feature_ND)
    if not 1 <= k < count:
        raise ValueError(f"k should be from 1 to {count - 1}, the other samples, but it is {k}")
    cosine_NN = cosines(feature_ND).fill_diagonal_(-math.inf)
    return torch.zeros_like(cosine_NN, dtype=torch.bool).scatter_(1, cosine_NN.topk(k).indices, True)


def cosines(feature_ND: Tensor) -> Tensor:
    """Cosines of all rows with all rows, [N, N].

    Raises:
        Undefined: if all rows point the same way, or are not finite.
    """
    unit_ND = functional.normalize(feature_ND.double(), dim=-1)
    centred(unit_ND)
    return unit_ND @ unit_ND.T


def overlap(image_NN: Tensor, text_NN: Tensor) -> float:
    """Share of the one encoder's `neighbours` that are the other's, too."""
    return float((image_NN & text_NN).sum() / image_NN.sum())


def cka(image_ND: Tensor, text_NE: Tensor) -> float:
    """Linear centred kernel alignment, −1 to 1, and 0 in the mean for independent features.

    Kornblith et al. 2019, with the unbiased estimator of HSIC (Song et al. 2012, eq. 5) throughout.

    Raises:
        Undefined: if features are constant or not finite, or samples fewer than 4.
    """
    return alignment(centred_gram(image_ND), centred_gram(text_NE))


def centred_gram(feature_ND: Tensor) -> Tensor:
    """Inner products of all rows [N, N], U-centred and of unit norm: `alignment` of two is their CKA.

    The unbiased HSIC of two kernels is the inner product of their U-centred matrices (Székely & Rizzo 2014)
    over N(N − 3), which cancels in the quotient.

    Raises:
        Undefined: as `cka`; or if every two rows are equally similar, which leaves nothing to align.
    """
    count = len(feature_ND)
    if count < FEWEST:
        raise Undefined(f"{count} samples, but it takes {FEWEST}")
    # The result does not depend on the mean, but its digits do.
    centred_ND = centred(feature_ND)
    gram_NN = (centred_ND @ centred_ND.T).fill_diagonal_(0)
    size = gram_NN.norm()
    row_N = gram_NN.sum(1) / (count - 2)
    gram_NN += gram_NN.sum() / ((count - 1) * (count - 2)) - row_N[:, None] - row_N
    gram_NN.fill_diagonal_(0)
    norm = gram_NN.norm()
    if norm <= TINY * size:
        raise Undefined("every two samples are equally similar")
    return gram_NN / norm


def alignment(image_NN: Tensor, text_NN: Tensor) -> float:
    """Inner product of two matrices of unit norm, −1 to 1."""
    return float(torch.dot(image_NN.flatten(), text_NN.flatten()).clamp(-1, 1))  # rounding may lie beyond


def cknna(image_ND: Tensor, text_NE: Tensor, k: int) -> float:
    """CKA over the mutual k nearest neighbours only, −1 to 1; with k = N − 1 it is CKA.

    Huh et al. 2024, their formula: products of centred similarities are summed over those (i, j) where j is
    among the k nearest of i for both encoders, and divided by the root of the same sum of each encoder with
    itself. The centring is that of the unbiased CKA.

    Raises:
        Undefined: as `cka`.
    """
    return alignment(local_gram(image_ND, k), local_gram(text_NE, k))


def local_gram(feature_ND: Tensor, k: int) -> Tensor:
    """`centred_gram` with all but the neighbours set to 0: `alignment` of two is their CKNNA.

    Zeros of either side drop out of the product, which leaves the mutual neighbours.

    Raises:
        Undefined: as `centred_gram`; or if the neighbours' similarities vanish.
    """
    gram_NN = centred_gram(feature_ND) * neighbours(feature_ND, k)
    norm = gram_NN.norm()
    if norm <= TINY / len(gram_NN):  # the whole matrix has norm 1, its entries are about 1/N
        raise Undefined("neighbours are no more similar than others")
    return gram_NN / norm


def svcca(image_ND: Tensor, text_NE: Tensor, variance: float = 0.99) -> float:
    """Mean canonical correlation of the leading directions of both encoders, 0 to 1.

    Raghu et al. 2017. Two sets of R and S directions share at least R + S − N + 1 whatever the features:
    take many more samples than both have.

    Raises:
        Undefined: if features are constant or not finite.
    """
    return correlation(leading(image_ND, variance), leading(text_NE, variance))


def leading(feature_ND: Tensor, variance: float) -> Tensor:
    """Orthonormal scores [N, R] of the fewest principal components that hold the share `variance`.

    Raises:
        Undefined: if features are constant or not finite.
    """
    score_NR, value_R = _svd(centred(feature_ND))
    square_R = value_R.square().cpu()  # a GPU adds up in any order, and is warned of
    share_R = square_R.cumsum(0) / square_R.sum()
    reached = variance - RANK**2  # a share of 1 may come out as a little less
    return score_NR[:, : 1 + int((share_R < reached).sum())]


def correlation(image_NR: Tensor, text_NS: Tensor) -> float:
    """Mean canonical correlation of two sets of orthonormal columns: singular values of their product.

    Björck & Golub 1973.
    """
    return float(torch.linalg.svdvals(image_NR.T @ text_NS).mean().clamp_max(1))


def logme(image_ND: Tensor, text_NE: Tensor, components: int = 32) -> float:
    """Log maximum evidence per sample of the image features' main components, predicted from the text.

    You et al. 2021, LogME: a Bayesian linear model for each target, its precisions chosen to make the data
    most likely; mean over targets. It is no share: −1.42 where nothing is predicted, and more the less noise is left.

    Args:
        image_ND: what is predicted, see `targets`.
        text_NE: what it is predicted from; centred, as the targets are, which stands for a bias.
        components: T, fewer where the image features have fewer.

    Raises:
        Undefined: if features are constant or not finite.
    """
    return float(evidence(spectrum(text_NE), targets(image_ND, components)).mean())


def targets(image_ND: Tensor, components: int) -> Tensor:
    """Leading principal components of the standardised features, [N, T].

    Each of mean 0 and variance 1: evidence grows as targets shrink, and encoders should compare.

    Raises:
        Undefined: if features are constant or not finite.
    """
    centred_ND = centred(image_ND)
    spread_D = centred_ND.square().mean(0).sqrt()
    # A constant dimension is 0 but for rounding, and stays so.
    standard_ND = centred_ND / torch.where(spread_D > TINY * spread_D.max(), spread_D, 1)
    return _svd(standard_ND).vector_NR[:, :components] * math.sqrt(len(image_ND) - 1)


def spectrum(text_NE: Tensor) -> Spectrum:
    """What `evidence` needs of the centred features, scaled to a variance of 1 in the largest direction.

    Raises:
        Undefined: if features are constant or not finite.
    """
    vector_NR, value_R = _svd(centred(text_NE))
    return Spectrum(vector_NR, value_R / value_R[0] * math.sqrt(len(text_NE) - 1))


def evidence(text: Spectrum, target_NT: Tensor) -> Tensor:
    """Largest log evidence of y = F·w + noise over the precisions of weights and noise, per sample: [T].

    MacKay's fixed point as in You et al. 2021, algorithm 1, with the features' singular vectors as axes, so
    that a step is elementwise; for all targets at once. Means are taken out of both sides, which leaves N − 1
    observations. Precisions are bounded by `PRECISION`: an exact fit has no largest evidence.

    Args:
        text: of the features F.
        target_NT: the targets y of mean 0 and variance 1.
    """
    count = len(target_NT) - 1
    square_R1 = text.value_R.square()[:, None]
    part_RT = text.vector_NR.T @ target_NT
    outside_T = (target_NT.square().sum(0) - part_RT.square().sum(0)).clamp_min(0)
    alpha_T, beta_T = torch.ones_like(outside_T), torch.ones_like(outside_T)
    before_T = torch.full_like(outside_T, -math.inf)
    for _ in range(ITERATIONS):
        total_RT = alpha_T + beta_T * square_R1
        weight_T = (beta_T * square_R1.sqrt() * part_RT / total_RT).square().sum(0)
        residual_T = (alpha_T * part_RT / total_RT).square().sum(0) + outside_T
        log_T = count * (beta_T.log() - math.log(2 * math.pi)) + (alpha_T / total_RT).log().sum(0)
        log_T = (log_T - beta_T * residual_T - alpha_T * weight_T) / (2 * len(target_NT))
        if bool(((log_T - before_T).abs() < CONVERGED).all()):
            break
        before_T = log_T
        free_T = (alpha_T / total_RT).sum(0)  # directions that the data leaves to the prior
        alpha_T = _bounded(len(part_RT) - free_T, weight_T)
        beta_T = _bounded(count - len(part_RT) + free_T, residual_T)
    return log_T


def _bounded(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Their quotient within 1/`PRECISION` and `PRECISION`, which 0/0 is, too."""
    return (numerator / denominator.clamp_min(1e-300)).clamp(1 / PRECISION, PRECISION)


def centred(feature_ND: Tensor) -> Tensor:
    """The features less their mean, of unit norm as a whole, in double precision.

    Raises:
        Undefined: if features are constant or not finite.
    """
    feature_ND = feature_ND.double()
    if not bool(feature_ND.isfinite().all()):
        raise Undefined("features are not finite")
    centred_ND = feature_ND - feature_ND.mean(0)
    norm = centred_ND.norm()
    if norm <= TINY * feature_ND.norm():
        raise Undefined("features are constant")
    return centred_ND / norm


def _svd(matrix_ND: Tensor) -> Spectrum:
    """The matrix's left singular vectors [N, R] and values [R], largest first, down to what is rounding.

    By way of the eigenvectors of the smaller of its two squares: half the work, and in double precision the
    digits that squares lose are not missed before `RANK`.
    """
    tall = len(matrix_ND) > matrix_ND.shape[1]
    square, vector = torch.linalg.eigh(matrix_ND.T @ matrix_ND if tall else matrix_ND @ matrix_ND.T)
    value_R = square.flip(0).clamp_min(0).sqrt()
    value_R = value_R[value_R > RANK * value_R[0]]
    vector = vector.flip(1)
    if tall:
        return Spectrum((matrix_ND @ vector)[:, : len(value_R)] / value_R, value_R)
    return Spectrum(vector[:, : len(value_R)], value_R)

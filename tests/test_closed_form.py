"""Whitening and the shared space, against scikit-learn, scipy and covariances written out."""

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.cross_decomposition import CCA
from torch import Tensor

from hyma.search.closed_form import (
    EIGH_PER_CUBE,
    Principal,
    SharedSpace,
    Whitening,
    common_covariance,
    shared_space,
)

COUNT = 500


def mixed(width: int, seed: int, latent_NL: Tensor | None = None) -> Tensor:
    """Correlated features [N, width] of different scales and means; of `latent_NL` and noise, if given."""
    rng = torch.Generator().manual_seed(seed)
    feature_ND = torch.randn(COUNT, width, generator=rng)
    if latent_NL is not None:
        feature_ND = feature_ND + 2 * latent_NL @ torch.randn(latent_NL.shape[1], width, generator=rng)
    rotation = torch.linalg.qr(torch.randn(width, width, generator=rng))[0]
    return feature_ND * torch.linspace(1, 5, width) @ rotation + 5


def covariance(feature_ND: Tensor) -> Tensor:
    centred_ND = feature_ND - feature_ND.mean(0)
    return centred_ND.T @ centred_ND / len(feature_ND)


def latent() -> Tensor:
    return torch.randn(COUNT, 3, generator=torch.Generator().manual_seed(9))


def whitened(widths: list[int], seed: int, shrinkage: float = 1e-6) -> list[Tensor]:
    """Components of encoders that share `latent`."""
    features = [mixed(width, seed + number, latent()) for number, width in enumerate(widths)]
    return [Whitening.fit(feature_ND, shrinkage)(feature_ND) for feature_ND in features]


def embedded(
    space: SharedSpace, images: list[Tensor], texts: list[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    return (
        [part @ map_RK for part, map_RK in zip(images, space.images, strict=True)],
        [part @ map_RK for part, map_RK in zip(texts, space.texts, strict=True)],
    )


def test_whitening_gives_the_identity() -> None:
    feature_ND = mixed(8, 0)
    white_NR = Whitening.fit(feature_ND, 1e-7)(feature_ND)
    torch.testing.assert_close(covariance(white_NR), torch.eye(8), atol=2e-3, rtol=0)
    torch.testing.assert_close(white_NR.mean(0), torch.zeros(8), atol=1e-4, rtol=0)
    # Cut to the leading components, these stay what they were, up to a sign that eigenvectors are free in.
    cut_NR = Whitening.fit(feature_ND, 1e-7, 3)(feature_ND)
    torch.testing.assert_close(cut_NR.abs(), white_NR[:, :3].abs(), atol=2e-3, rtol=1e-3)
    assert Whitening.fit(feature_ND, 1e-7, 99)(feature_ND).shape == (COUNT, 8)


def test_shrinkage_by_hand() -> None:
    """Variances 4 and 1: a leading component's is 17/5, and the ridge half of that."""
    feature_ND = torch.tensor([[2.0, 1], [2, -1], [-2, 1], [-2, -1]]) + 7
    white = Whitening.fit(feature_ND, 0.5)
    expected_R = torch.tensor([4, 1]) / (torch.tensor([4, 1]) + 1.7)
    torch.testing.assert_close(covariance(white(feature_ND)).diagonal(), expected_R)
    torch.testing.assert_close(white.mean_D, torch.tensor([7.0, 7]))
    assert white.flops == 2 * 4 * 4 + EIGH_PER_CUBE * 8


def test_constant_features_give_zeros() -> None:
    for white in (
        Whitening.fit(torch.full((20, 4), 0.3), 0.1),
        Principal.fit(torch.full((20, 4), 0.3)).whitening(0.1),
    ):
        assert torch.equal(white(torch.randn(5, 4)), torch.zeros(5, 4))


@pytest.mark.parametrize("components", [None, 3, 99])
@pytest.mark.parametrize("shrinkage", [1e-6, 0.3])
def test_one_decomposition_serves_every_shrinkage(components: int | None, shrinkage: float) -> None:
    feature_ND = mixed(8, 0)
    principal = Principal.fit(feature_ND, components)
    direct, found = Whitening.fit(feature_ND, shrinkage, components), principal.whitening(shrinkage)
    torch.testing.assert_close(found.map_DR, direct.map_DR)
    assert torch.equal(found.mean_D, direct.mean_D)
    assert found.flops == direct.flops
    scaled_NR = principal(feature_ND) * principal.scale(shrinkage)
    torch.testing.assert_close(scaled_NR, direct(feature_ND), atol=1e-3, rtol=1e-3)


def test_one_encoder_a_side_is_canonical_correlation_analysis() -> None:
    image_ND, text_NE = mixed(7, 1, latent()), mixed(5, 2, latent())
    images = [Whitening.fit(image_ND, 1e-7)(image_ND)]
    texts = [Whitening.fit(text_NE, 1e-7)(text_NE)]
    space = shared_space(images, texts, 5)
    (image_NK,), (text_NK,) = embedded(space, images, texts)
    angles = subspace_angles((image_ND - image_ND.mean(0)).numpy(), (text_NE - text_NE.mean(0)).numpy())
    expected_K = np.sort(np.cos(angles))[::-1]
    assert expected_K[2] > 0.5 > expected_K[3]  # three latents are shared
    np.testing.assert_allclose(common_covariance(space, images, texts), expected_K, atol=3e-3)
    # Every direction correlates with its own counterpart, and with no other.
    correlation_KK = np.corrcoef(image_NK.T, text_NK.T)[:5, 5:]
    np.testing.assert_allclose(correlation_KK, np.diag(expected_K), atol=5e-3)
    model = CCA(3, max_iter=5000, tol=1e-10).fit(image_ND.double().numpy(), text_NE.double().numpy())
    theirs = model.transform(image_ND.double().numpy(), text_NE.double().numpy())
    for number in range(3):
        own = np.corrcoef(theirs[0][:, number], theirs[1][:, number])[0, 1]
        assert own == pytest.approx(correlation_KK[number, number], abs=3e-3)


def test_shared_space_is_the_decomposition_of_all_covariances() -> None:
    """The sum of squared covariances is the leading singular values', whose vectors they are."""
    images, texts = whitened([6, 9], 10), whitened([5, 7, 4], 20)
    space = shared_space(images, texts, 4)
    image_NA, text_NB = torch.cat(images, 1), torch.cat(texts, 1)
    left, value, right = np.linalg.svd((text_NB.T @ image_NA / COUNT).numpy())
    np.testing.assert_allclose(common_covariance(space, images, texts), value[:4], rtol=1e-3)
    np.testing.assert_allclose(np.abs(torch.cat(space.texts).T @ left[:, :4]), np.eye(4), atol=5e-3)
    np.testing.assert_allclose(np.abs(torch.cat(space.images).T @ right[:4].T), np.eye(4), atol=5e-3)
    assert [len(part) for part in (*space.images, *space.texts)] == [6, 9, 5, 7, 4]
    # The pairs' covariances add up to it.
    image, text = embedded(space, images, texts)
    pairs_K = sum((one * other).mean(0) for one in image for other in text)
    np.testing.assert_allclose(pairs_K, value[:4], rtol=1e-3)


def test_pairs_left_out_have_no_influence() -> None:
    images, texts = whitened([6, 6], 10), whitened([5, 5], 20)
    out = [(0, 1)]
    space = shared_space(images, texts, 4, out)
    # The same with their covariance zeroed by hand.
    cross_BA = torch.cat(texts, 1).T @ torch.cat(images, 1) / COUNT
    cross_BA[5:, :6] = 0
    left, value, right = np.linalg.svd(cross_BA.numpy())
    np.testing.assert_allclose(np.abs(torch.cat(space.texts).T @ left[:, :4]), np.eye(4), atol=5e-3)
    np.testing.assert_allclose(np.abs(torch.cat(space.images).T @ right[:4].T), np.eye(4), atol=5e-3)
    np.testing.assert_allclose(common_covariance(space, images, texts, out), value[:4], rtol=1e-3)
    everything = shared_space(images, texts, 4)
    assert (torch.cat(everything.texts) - torch.cat(space.texts)).abs().max() > 0.05


def test_an_encoder_with_every_pair_left_out_has_no_map() -> None:
    images, texts = whitened([6, 6], 10), whitened([5, 5], 20)
    space = shared_space(images, texts, 4, [(0, 0), (0, 1)])
    alone = shared_space(images[1:], texts, 4)
    assert not space.images[0].any()
    torch.testing.assert_close(space.images[1].abs(), alone.images[0].abs(), atol=1e-4, rtol=1e-3)


def test_more_directions_than_there_are() -> None:
    images, texts = whitened([6], 10), whitened([3], 20)
    few, many = shared_space(images, texts, 3), shared_space(images, texts, 8)
    for enough, more in zip([*few.images, *few.texts], [*many.images, *many.texts], strict=True):
        assert more.shape == (len(enough), 8)
        assert torch.equal(more[:, :3], enough)
        assert not more[:, 3:].any()
        assert (enough.norm(dim=0) > 0.5).all()
    assert not common_covariance(many, images, texts)[3:].any()


def test_nothing_in_common() -> None:
    space = shared_space([torch.zeros(20, 3)], [torch.randn(20, 4)], 2)
    assert not torch.cat([*space.images, *space.texts]).any()

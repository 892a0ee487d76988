"""The training-free measures: worked cases, their definitions written out, and other libraries."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, optimize
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional

from hyma.methods.shared import similarity
from hyma.methods.shared.similarity import Undefined, cka, cknna, logme, mutual_knn, svcca

MEASURES: dict[str, Callable[[Tensor, Tensor], float]] = {
    "mutual_knn": lambda image, text: mutual_knn(image, text, 3),
    "cka": cka,
    "cknna": lambda image, text: cknna(image, text, 3),
    "svcca": svcca,
    "logme": logme,
}
measures = pytest.mark.parametrize("measure", list(MEASURES))


def normal(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def rotation(size: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(normal(size, size, seed))[0]


def related(rows: int = 30, noise: float = 0.7) -> tuple[Tensor, Tensor]:
    """Features of 6 and 4 numbers that share a part, with means that are not 0."""
    image_ND = normal(rows, 6) + 0.5
    return image_ND, image_ND[:, :4] @ normal(4, 4, 1) + noise * normal(rows, 4, 2) - 1


def circle(degrees: list[float]) -> Tensor:
    """A point at each angle, at distances 1, 2, … that cosines should not see."""
    angle_N = torch.tensor(degrees).deg2rad()
    return torch.stack([angle_N.cos(), angle_N.sin()], 1) * torch.arange(1, len(degrees) + 1)[:, None]


def test_mutual_knn_by_hand() -> None:
    # First and last point change places, and with them neighbours. The nearest two of each, by angle:
    # image 0: 1 2, 1: 0 2, 2: 1 3, 3: 2 4, 4: 3 2; text 0: 3 2, 1: 4 2, 2: 1 3, 3: 2 0, 4: 1 2.
    image, text = circle([0, 10, 31, 60, 100]), circle([100, 10, 31, 60, 0])
    assert mutual_knn(image, text, 2) == pytest.approx((1 + 1 + 2 + 1 + 1) / 10)
    assert mutual_knn(image, text, 1) == pytest.approx(2 / 5)  # of the nearest alone, 2's and 3's agree
    assert mutual_knn(image, text, 4) == 1  # all others
    assert mutual_knn(image, image, 1) == 1
    for k in (0, 5):
        with pytest.raises(ValueError, match="k should be from 1 to 4"):
            mutual_knn(image, text, k)


def neighbour_sets(feature_ND: Tensor, k: int) -> list[set[int]]:
    sets = []
    for own, row in enumerate(feature_ND):
        cosine = [float(functional.cosine_similarity(row, other, dim=0)) for other in feature_ND]
        order = sorted((i for i in range(len(cosine)) if i != own), key=lambda i: -cosine[i])
        sets.append(set(order[:k]))
    return sets


@pytest.mark.parametrize("k", [1, 4, 29])
def test_mutual_knn_by_loops(k: int) -> None:
    image, text = related()
    pairs = zip(neighbour_sets(image, k), neighbour_sets(text, k), strict=True)
    expected = sum(len(own & other) / k for own, other in pairs) / 30
    assert mutual_knn(image, text, k) == pytest.approx(expected)
    assert expected > 0


def hsic(k_NN: Tensor, l_NN: Tensor) -> float:
    """The U-statistic over all ordered quadruples of different samples (Song et al. 2012, theorem 3's h)."""
    k, m = k_NN.tolist(), l_NN.tolist()
    terms = [
        k[i][j] * (m[i][j] + m[q][r] - 2 * m[i][q]) for i, j, q, r in itertools.permutations(range(len(k)), 4)
    ]
    return sum(terms) / len(terms)


def test_cka_is_the_quotient_of_u_statistics() -> None:
    image, text = related(8)
    k_NN, l_NN = image @ image.T, text @ text.T
    expected = hsic(k_NN, l_NN) / math.sqrt(hsic(k_NN, k_NN) * hsic(l_NN, l_NN))
    assert cka(image, text) == pytest.approx(expected)
    assert 0.1 < expected < 0.9


def test_cka_ignores_rotation_scale_and_mean() -> None:
    image, text = related()
    copy = 3 * image @ rotation(6) + 100
    assert cka(image, copy) == pytest.approx(1)
    assert cka(copy, text) == pytest.approx(cka(image, text))
    assert cka(image, image * torch.arange(1, 7)) < 0.99  # other maps count


def test_cka_of_independent_features_is_0_in_the_mean() -> None:
    """With more dimensions than samples the biased estimator would say 0.6."""
    values = [cka(normal(20, 30, seed), normal(20, 30, 1000 + seed)) for seed in range(200)]
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(200) < 0.05
    assert min(values) < 0


def test_cknna_by_loops() -> None:
    image, text = related(12)
    centred = []
    for feature_ND in (image, text):
        gram, n = (feature_ND @ feature_ND.T).tolist(), 12
        row = [sum(gram[i][j] for j in range(n) if j != i) for i in range(n)]
        total = sum(row)
        centred.append(
            [
                [gram[i][j] - (row[i] + row[j]) / (n - 2) + total / (n - 1) / (n - 2) for j in range(n)]
                for i in range(n)
            ]
        )
    near = neighbour_sets(image, 3), neighbour_sets(text, 3)

    def aligned(one: int, other: int) -> float:
        return sum(
            centred[one][i][j] * centred[other][i][j]
            for i in range(12)
            for j in near[one][i] & near[other][i]
        )

    expected = aligned(0, 1) / math.sqrt(aligned(0, 0) * aligned(1, 1))
    assert cknna(image, text, 3) == pytest.approx(expected)
    assert 0.1 < expected < 0.9


def test_cknna_lies_between() -> None:
    image, text = related()
    assert cknna(image, 2 * image @ rotation(6), 3) == pytest.approx(1)
    assert cknna(image, text, 29) == pytest.approx(cka(image, text))  # all others are neighbours
    close, far = cknna(*related(noise=0.1), 3), cknna(image, normal(30, 4, 5), 3)
    assert far < cknna(image, text, 3) < close < 1


def test_leading_by_hand() -> None:
    """Three directions that hold 90, 9 and 1 % of the variance, on a mean that holds none."""
    basis_NR = torch.linalg.qr(normal(10, 3) - normal(10, 3).mean(0))[0]
    feature_ND = basis_NR * torch.tensor([0.9, 0.09, 0.01]).sqrt() @ rotation(3) + 7
    for variance, kept in ((0.5, 1), (0.9001, 2), (0.98, 2), (0.995, 3), (1.0, 3)):
        score_NR = similarity.leading(feature_ND, variance)
        assert score_NR.shape == (10, kept)
        torch.testing.assert_close((score_NR.T @ basis_NR[:, :kept]).abs(), torch.eye(kept).double())


def test_svcca_ignores_invertible_maps() -> None:
    image, text = related()
    mapped = image @ normal(6, 6, 3) + 5
    assert svcca(image, mapped, 1) == pytest.approx(1)
    assert svcca(mapped, text, 1) == pytest.approx(svcca(image, text, 1))
    assert svcca(image, 3 * image @ rotation(6)) == pytest.approx(1)


def test_svcca_by_scikit_learn() -> None:
    image, text = related(200)
    cut_ND, cut_NE = (PCA(0.9).fit_transform(part.numpy()) for part in (image, text))
    kept = min(cut_ND.shape[1], cut_NE.shape[1])
    assert kept < 4  # the cut leaves something out
    one, other = CCA(kept, scale=False, max_iter=10_000, tol=1e-12).fit_transform(cut_ND, cut_NE)
    expected = np.mean([np.corrcoef(one[:, row], other[:, row])[0, 1] for row in range(kept)])
    assert svcca(image, text, 0.9) == pytest.approx(expected, abs=1e-6)
    assert 0.1 < expected < 0.99


def log_likelihood(log_precisions: np.ndarray, features_ND: np.ndarray, target_N: np.ndarray) -> float:
    """The evidence by its definition: density of y ~ N(0, I/β + F·Fᵀ/α)."""
    alpha, beta = np.exp(log_precisions)
    covariance = np.eye(len(target_N)) / beta + features_ND @ features_ND.T / alpha
    _, log_determinant = np.linalg.slogdet(covariance)
    fit = target_N @ np.linalg.solve(covariance, target_N)
    return -0.5 * float(len(target_N) * math.log(2 * math.pi) + log_determinant + fit)


@pytest.mark.parametrize(("rows", "columns", "noise"), [(40, 6, 0.5), (40, 6, 30), (40, 60, 0.5), (6, 6, 1)])
def test_evidence_by_brute_force(rows: int, columns: int, noise: float) -> None:
    features_ND = normal(rows, columns)
    features_ND -= features_ND.mean(0)
    target = features_ND[:, :2] @ normal(2, 3, 1) + noise * normal(rows, 3, 2)
    target_NT = (target - target.mean(0)) / target.std(0)
    found = similarity.evidence(similarity.spectrum(features_ND + 3), target_NT)
    # Without the mean, which features and target have none of, there are rows − 1 coordinates.
    axes = linalg.null_space(np.ones((1, rows))).T
    inputs = axes @ features_ND.numpy()
    for value, output in zip(found.tolist(), (axes @ target_NT.numpy()).T, strict=True):
        best = min(
            optimize.minimize(
                lambda point, y=output: -log_likelihood(point, inputs, y),
                start,
                method="Nelder-Mead",
                bounds=[(-15, 15)] * 2,
                options={"xatol": 1e-6, "fatol": 1e-9, "maxiter": 2000},
            ).fun
            for start in ([0, 0], [3, 0], [0, 3], [8, 0])
        )
        assert value == pytest.approx(-best / rows, abs=1e-4)


def test_targets_are_whitened_components() -> None:
    image, _ = related()
    image = torch.cat([image * 10, torch.full((30, 1), 0.1)], 1)  # a constant dimension is nothing to predict
    target_NT = similarity.targets(image, 4)
    expected = PCA(4, whiten=True).fit_transform(StandardScaler().fit_transform(image[:, :6].numpy()))
    np.testing.assert_allclose(np.abs(target_NT.numpy()), np.abs(expected), atol=1e-6)
    assert similarity.targets(image, 99).shape == (30, 6)


def test_logme_by_hand() -> None:
    image, text = related(300)
    nothing = -0.5 * math.log(2 * math.pi) - 0.5  # density of standard normal targets, all of them noise
    assert logme(image, normal(300, 4, 9)) == pytest.approx(nothing, abs=0.02)
    assert nothing + 0.1 < logme(image, text) < logme(*related(300, noise=0.1))
    assert logme(image, 5 * text @ rotation(4) + 9) == pytest.approx(logme(image, text), abs=1e-6)
    exact = logme(image, image @ rotation(6))  # bounded by the precision: log(1e12)/2
    assert 5 < exact < math.log(1e12) / 2
    assert logme(image, text, 1) != pytest.approx(logme(image, text, 6), abs=1e-3)


@measures
@pytest.mark.parametrize("side", [0, 1])
def test_constant_features_have_no_value(measure: str, side: int) -> None:
    for bad, reason in (
        (torch.zeros(30, 5), "features are constant"),
        (torch.full((30, 5), 0.1), "features are constant"),
        (torch.rand(5).repeat(30, 1) + 1e-8 * normal(30, 5), "features are constant"),
        (normal(30, 5).index_fill(0, torch.tensor([3]), math.nan), "features are not finite"),
        (normal(30, 5).index_fill(0, torch.tensor([3]), math.inf), "features are not finite"),
    ):
        pair = [normal(30, 4), normal(30, 4, 1)]
        pair[side] = bad
        with pytest.raises(Undefined, match=reason):
            MEASURES[measure](*pair)


def test_other_features_without_a_value() -> None:
    with pytest.raises(Undefined, match="3 samples, but it takes 4"):
        cka(normal(3, 5), normal(3, 5))
    with pytest.raises(Undefined, match="every two samples are equally similar"):
        cka(torch.eye(6), normal(6, 5))


@measures
@settings(deadline=None)  # the first call loads a library
@given(data=st.data())
def test_a_number_or_a_reason(measure: str, data: st.DataObject) -> None:
    """Few values: rows and columns repeat, vanish or depend on each other."""
    rows = data.draw(st.integers(4, 8))
    pair = [
        torch.tensor(
            data.draw(
                st.lists(
                    st.lists(st.sampled_from([0.0, 1.0, -1.0, 1e-5, 30.0]), min_size=width, max_size=width),
                    min_size=rows,
                    max_size=rows,
                )
            )
        )
        for width in (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 9)))
    ]
    try:
        value = MEASURES[measure](*pair)
    except Undefined:
        return
    low, high = {"logme": (-3, 14), "cka": (-1, 1), "cknna": (-1, 1)}.get(measure, (0, 1))
    assert low <= value <= high

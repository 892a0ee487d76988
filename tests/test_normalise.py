"""Normalisers: unit length, or the training features' mean and standard deviation taken out."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from hyma.stitching.normalise import Normaliser


def test_l2_by_hand() -> None:
    normaliser = Normaliser.fit("l2", torch.randn(4, 2))
    found_BD = normaliser(torch.tensor([[3.0, 4.0], [0.0, -2.0], [0.0, 0.0], [1e-30, 0.0]]))
    assert found_BD[:2].flatten().tolist() == pytest.approx([0.6, 0.8, 0, -1])
    assert found_BD.isfinite().all()
    assert normaliser.tensors() == {}


def test_standardise_by_hand() -> None:
    # Mean 2 and variance ((1-2)² + (3-2)²)/2 = 1; the second dimension is constant: centred only.
    normaliser = Normaliser.fit("standardise", torch.tensor([[1.0, 10.0], [3.0, 10.0]]))
    assert {name: value.tolist() for name, value in normaliser.tensors().items()} == {
        "mean": [2, 10],
        "std": [1, 1],
    }
    assert normaliser(torch.tensor([[1.0, 10.0], [5.0, 12.0]])).tolist() == [[-1, 0], [3, 2]]


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 60), st.integers(1, 8), st.floats(-50, 50), st.floats(0.01, 100), st.integers(0, 999))
def test_standardise_is_scikit_learns(rows: int, width: int, mean: float, std: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    feature_ND = rng.normal(mean, std, (rows, width)).astype(np.float32)
    new_BD = rng.normal(mean, std, (3, width)).astype(np.float32)
    scaler = StandardScaler().fit(feature_ND.astype(float))
    normaliser = Normaliser.fit("standardise", torch.from_numpy(feature_ND))
    tolerance = 1e-4 + 1e-5 * abs(mean) / scaler.scale_.min()
    for own_BD in (feature_ND, new_BD):
        expected_BD = scaler.transform(own_BD.astype(float))
        np.testing.assert_allclose(
            normaliser(torch.from_numpy(own_BD)).numpy(), expected_BD, atol=tolerance, rtol=1e-3
        )


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e4])
def test_a_constant_dimension_is_not_blown_up(value: float) -> None:
    rng = torch.Generator().manual_seed(0)
    feature_ND = torch.full((100_000, 2), value)
    feature_ND[:, 1] *= 1 + 1e-7 * torch.randn(100_000, generator=rng)  # float32's own noise
    normaliser = Normaliser.fit("standardise", feature_ND)
    assert normaliser.std is not None
    assert normaliser.std.tolist() == [1, 1]
    assert normaliser(feature_ND).abs().max() <= 1e-5 * max(1, abs(value))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.floats(-1e3, 1e3), st.integers(0, 99))
def test_parts_give_the_statistics_of_the_whole(sizes: list[int], mean: float, seed: int) -> None:
    feature_ND = mean + torch.randn(sum(sizes), 3, generator=torch.Generator().manual_seed(seed))
    feature_ND[:, 2] = mean  # constant
    whole = Normaliser.fit("standardise", feature_ND)
    parts = Normaliser.fit_parts("standardise", feature_ND.split(sizes))
    for name, value in whole.tensors().items():
        torch.testing.assert_close(parts.tensors()[name], value, rtol=1e-4, atol=1e-3)
    assert Normaliser.fit_parts("l2", feature_ND.split(sizes)).tensors() == {}


def test_statistics_stay_as_fitted() -> None:
    feature_ND = torch.tensor([[1.0], [3.0]])
    normaliser = Normaliser.fit("standardise", feature_ND)
    feature_ND += 100
    assert normaliser(torch.tensor([[5.0], [5.0], [5.0]])).tolist() == [[3], [3], [3]]


def test_unit_length_first() -> None:
    """Rows that differ in length alone are one row; a row a million times longer rules no statistics."""
    generator = torch.Generator().manual_seed(0)
    feature_ND = torch.randn(50, 4, generator=generator) + 3
    longer_ND = feature_ND * torch.logspace(-3, 3, 50)[:, None]
    plain, longer = (Normaliser.fit("l2_standardise", own) for own in (feature_ND, longer_ND))
    torch.testing.assert_close(longer(longer_ND), plain(feature_ND), rtol=1e-4, atol=1e-4)
    unit_ND = torch.nn.functional.normalize(feature_ND, dim=-1)
    torch.testing.assert_close(plain(feature_ND), Normaliser.fit("standardise", unit_ND)(unit_ND))
    parts = Normaliser.fit_parts("l2_standardise", feature_ND.split(7))
    torch.testing.assert_close(parts(feature_ND), plain(feature_ND), rtol=1e-4, atol=1e-4)


def test_one_row_is_centred() -> None:
    assert Normaliser.fit("standardise", torch.tensor([[4.0, 0.0]]))(torch.tensor([[4.0, 2.0]])).tolist() == [
        [0, 2]
    ]

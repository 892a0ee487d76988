"""The search methods that train nothing, on the toy problem of the other searches."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from hyma import methods
from hyma.common.errors import HymaError
from hyma.common.params import validate
from hyma.methods.shared.training_free import Sample, svd_flops
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures
from tests.test_search import toy

NAMES = ["calibrated_cka", "calibrated_knn", "cka", "cknna", "gw", "logme", "mutual_knn", "svcca"]
SAMPLES = {"calibrated_cka": 500, "gw": 200}
"""Those that draw another number of samples than 2000, unless told."""
GAP = {"gw": 0.09}
"""How far the pair that belongs together is above noise, where that is not 0.1."""
KINDS = ("l2", "standardise")
each = pytest.mark.parametrize("name", NAMES)
kinds = pytest.mark.parametrize("kind", KINDS)


def run(
    name: str, data: TrainingFeatures, kind: str = "standardise", seed: int = 0, **changes: Any
) -> SearchResult:
    method = methods.load(name)
    connector = validate({"normalise": kind}, ConnectorParams)
    return method.search(data, method.Params(**changes), connector, seed)


@each
@kinds
@pytest.mark.parametrize("captions", [1, 2])
def test_turned_text_beats_noise(name: str, kind: str, captions: int) -> None:
    data = toy(captions=captions)
    found = run(name, data, kind, samples=300)
    assert list(found.scores) == ["plain-turned", "plain-noise", "wide-turned", "wide-noise"]
    for image in ("plain", "wide"):
        gap = found.scores[f"{image}-turned"] - found.scores[f"{image}-noise"]
        assert gap > GAP.get(name, 0.1)
    assert (found.label, found.stitches, found.failed) == (methods.load(name).LABEL, {}, {})
    assert found.notes["samples"] == "300"


@each
@kinds
def test_a_constant_encoder_fails_alone(name: str, kind: str) -> None:
    for side, slug, pairs in (
        ("texts", "noise", ["plain-noise", "wide-noise"]),
        ("images", "wide", ["wide-turned", "wide-noise"]),
    ):
        data = toy()
        sound = run(name, data, kind)
        getattr(data, side)[slug][:] = 0.3
        found = run(name, data, kind)
        assert found.failed == dict.fromkeys(pairs, f"{slug}: features are constant")
        assert found.scores == {pair: score for pair, score in sound.scores.items() if pair not in pairs}
        assert all(math.isfinite(score) for score in found.scores.values())


@each
def test_seed_and_sample(name: str) -> None:
    data = toy()
    state = torch.get_rng_state()
    first, again, other = (run(name, data, seed=seed, samples=100) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert (first.scores, first.flops, first.notes) == (again.scores, again.flops, again.notes)
    assert first.scores != other.scores
    # Nothing outside of the sample counts, the statistics of the features neither.
    image_rows, text_rows = data.sample(100, 1)
    for features, rows in ((data.images, image_rows), (data.texts, text_rows)):
        outside = ~torch.isin(torch.arange(400), rows)
        for feature in features.values():
            feature[outside] += 1e3
    assert run(name, data, seed=1, samples=100).scores == first.scores


@each
def test_more_samples_than_there_are(name: str) -> None:
    found = run(name, toy(100), samples=10**6)
    assert found.notes["samples"] == "60"
    assert found.scores == run(name, toy(100), samples=60).scores


@pytest.mark.parametrize("name", ["mutual_knn", "calibrated_knn", "cknna"])
def test_too_many_neighbours(name: str) -> None:
    with pytest.raises(
        HymaError, match=rf"^params\.yaml: search\.{name}\.k: 60 neighbours, but .* 59 others"
    ):
        run(name, toy(100), k=60)
    found = run(name, toy(100), k=59)
    assert (found.notes["samples"], found.notes["k"]) == ("60", "59")
    if name == "mutual_knn":
        assert set(found.scores.values()) == {1.0}
    elif name == "calibrated_knn":  # so has chance
        assert set(found.scores.values()) == {0.0}
    else:
        assert found.scores == pytest.approx(run("cka", toy(100)).scores)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [(name, "samples", 19) for name in NAMES]
    + [
        ("mutual_knn", "k", 0),
        ("svcca", "variance", 0),
        ("svcca", "variance", 1.1),
        ("logme", "components", 0),
        ("calibrated_cka", "permutations", 18),
        ("calibrated_knn", "permutations", 18),
        ("gw", "steps", 0),
    ],
)
def test_params_are_checked(name: str, field: str, value: float) -> None:
    with pytest.raises(HymaError, match=rf"params\.yaml: search\.{name}\.{field}: "):
        validate({field: value}, methods.load(name).Params, key=f"search.{name}")
    assert methods.load(name).Params().samples == SAMPLES.get(name, 2000)


def test_flops_by_hand() -> None:
    """Widths 12 and 16, 20 and 10; 100 samples; all directions kept: of `wide` and `turned` 12 are there."""
    n, widths, ranks = 100, (12, 16, 20, 10), ((12, 12), (12, 10), (12, 12), (12, 10))
    gram = 2 * n * n * sum(widths)
    svd = sum(2 * n * d**2 + 9 * d**3 + 2 * n * d**2 for d in widths)
    alignment = 2 * n * n * 4
    expected = {
        "mutual_knn": {"cosines": gram},
        "calibrated_knn": {"cosines": gram},
        "cka": {"Gram matrices": gram, "alignment": alignment},
        "calibrated_cka": {
            "Gram matrices": gram,
            "alignment": alignment,
            "shuffled alignment": 30 * alignment,
        },
        "gw": {"cosines": gram, "plans": 4 * 2 * (4 * n**3 + 8 * n**3)},  # two starts of one step
        "cknna": {"cosines": gram, "Gram matrices": gram, "alignment": alignment},
        "svcca": {
            "decomposition": svd,
            "correlation": sum(2 * n * r * s + 2 * r * s**2 + 2 * s**3 for r, s in ranks),
        },
        "logme": {"decomposition": svd, "projection": sum(2 * n * 7 * s for _, s in ranks)},
    }
    changes: dict[str, dict[str, Any]] = {
        "svcca": {"variance": 1.0},
        "logme": {"components": 7},
        "calibrated_cka": {"permutations": 30},
        "gw": {"steps": 1},
    }
    for name, parts in expected.items():
        assert run(name, toy(), samples=n, **changes.get(name, {})).flops == parts
    assert svd_flops(10, 100) == 2 * 100 * 100 + 9 * 1000  # wide: its vectors are those of the samples


@kinds
def test_sample_is_normalised_by_itself(kind: str) -> None:
    data = toy(captions=2)
    connector = validate({"normalise": kind}, ConnectorParams)
    sample = Sample(data, 50, connector, 3)
    image_rows, text_rows = data.sample(50, 3)
    for found, raw in (
        (sample.image("plain"), data.images["plain"][image_rows].numpy()),
        (sample.text("turned"), data.texts["turned"][text_rows].numpy()),
    ):
        if kind == "l2":
            expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        else:
            expected = (raw - raw.mean(0)) / raw.std(0)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert torch.equal(data.image_of_text_M[text_rows], image_rows)

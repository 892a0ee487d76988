"""The methods that give connectors by linear algebra, against scikit-learn, scipy and known answers."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.linear_model import Ridge
from torch import Tensor

from hyma import methods
from hyma.common.errors import HymaError
from hyma.common.params import validate
from hyma.methods.shared.closed_stitching import (
    PARTS,
    Candidate,
    Stitching,
    StitchParams,
    affine,
    cuts,
    summary,
)
from hyma.stitching import connectors
from hyma.stitching.normalised import recall
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures
from tests.test_search import toy

NAMES = ["cca", "gcca", "procrustes", "ridge"]
KINDS = ("l2", "standardise")
PAIRS = ["plain-turned", "plain-noise", "wide-turned", "wide-noise"]
each = pytest.mark.parametrize("name", NAMES)
pairwise = pytest.mark.parametrize("name", ["cca", "procrustes", "ridge"])
kinds = pytest.mark.parametrize("kind", KINDS)


def connector(kind: str = "standardise") -> ConnectorParams:
    return validate({"normalise": kind}, ConnectorParams)


def run(
    name: str, data: TrainingFeatures, kind: str = "standardise", seed: int = 0, **changes: Any
) -> SearchResult:
    method = methods.load(name)
    return method.search(data, validate(changes, method.Params), connector(kind), seed)


def fitted(data: TrainingFeatures, kind: str, **changes: Any) -> tuple[Tensor, Tensor]:
    """What the methods fit `plain` and `turned` on: unit images [N, D] and texts [N, E]."""
    stitching = Stitching("", data, StitchParams(**changes), connector(kind), 0)
    return stitching.image("plain"), stitching.text("turned")


def recall_by_hand(text_BD: Tensor, image_BD: Tensor) -> float:
    """Recall@5 of unit vectors, mean of both directions."""
    similarity_BB = text_BD @ image_BD.T
    hits = [
        number in row.argsort(descending=True)[:5].tolist()
        for way in (similarity_BB, similarity_BB.T)
        for number, row in enumerate(way)
    ]
    return sum(hits) / len(hits)


@each
@kinds
@pytest.mark.parametrize("captions", [1, 2])
def test_turned_text_beats_noise(name: str, kind: str, captions: int) -> None:
    found = run(name, toy(captions=captions), kind)
    assert list(found.scores) == list(found.stitches) == PAIRS
    for image in ("plain", "wide"):
        assert found.scores[f"{image}-turned"] > 0.8
        assert found.scores[f"{image}-noise"] < 3 * 5 / 40
    assert (found.label, found.failed, found.steps) == (methods.load(name).LABEL, {}, 0)
    assert list(found.flops) == list(PARTS)
    assert min(found.flops.values()) > 0
    # 360 images are fewer than 4000 and 500: a fifth validates.
    assert (found.notes["samples"], found.notes["validation"]) == ("288", "72")


@each
@kinds
def test_connectors_on_disk_give_the_scores(name: str, kind: str, tmp_path: Path) -> None:
    data = toy(captions=2)
    found = run(name, data, kind)
    connectors.save(tmp_path / "all.safetensors", found.stitches)
    loaded = connectors.load(tmp_path / "all.safetensors")
    rows = data.held_out
    for pair, stitch in found.stitches.items():
        image, text = pair.split("-")
        assert (stitch.spec.kind, stitch.image_connector is not None) == ("linear", name in ("cca", "gcca"))
        assert tuple(stitch.connector["weight0"].shape) == stitch.spec.layers[0]
        text_BK = loaded[pair].embed_text(data.texts[text][rows])
        image_BK = loaded[pair].embed_image(data.images[image][data.image_of_text_M[rows]])
        torch.testing.assert_close(text_BK, stitch.embed_text(data.texts[text][rows]))
        torch.testing.assert_close(
            image_BK, stitch.embed_image(data.images[image][data.image_of_text_M[rows]])
        )
        assert recall_by_hand(text_BK, image_BK) == pytest.approx(found.scores[pair], abs=1e-6)


@kinds
@pytest.mark.parametrize("ridge", [0.01, 3.0])
def test_ridge_is_scikit_learns(kind: str, ridge: float) -> None:
    data = toy()
    weights = run("ridge", data, kind, ridge=[ridge]).stitches["plain-turned"].connector
    image_ND, text_NE = (own.double().numpy() for own in fitted(data, kind))
    # A penalty of the sum of squares, theirs: N times that of the mean.
    model = Ridge(alpha=len(text_NE) * ridge * text_NE.var(0).mean()).fit(text_NE, image_ND)
    np.testing.assert_allclose(weights["weight0"], model.coef_, atol=1e-4)
    np.testing.assert_allclose(weights["bias0"], model.intercept_, atol=1e-4)
    assert np.abs(model.coef_).max() > 0.03


def turned(scale: float = 1.0) -> tuple[TrainingFeatures, Tensor]:
    """Unit vectors and the same turned: any rotation between them is known."""
    rng = torch.Generator().manual_seed(0)
    text_ND = torch.nn.functional.normalize(torch.randn(400, 6, generator=rng), dim=-1)
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=rng))[0]
    rows = torch.arange(400)
    images, texts = {"plain": scale * text_ND @ rotation}, {"turned": text_ND}
    return TrainingFeatures(images, texts, rows, train=rows[40:], held_out=rows[:40]), rotation


def test_procrustes_recovers_a_rotation() -> None:
    data, rotation = turned(scale=3)
    found = run("procrustes", data, "l2", shrinkage=[1e-5], directions=[6])
    weights = found.stitches["plain-turned"].connector
    torch.testing.assert_close(weights["weight0"], rotation.T, atol=1e-3, rtol=0)
    torch.testing.assert_close(weights["bias0"], torch.zeros(6), atol=1e-3, rtol=0)
    assert found.scores == {"plain-turned": 1.0}


def test_procrustes_is_a_rotation_whatever_the_noise() -> None:
    """Where the sides correlate but a little, the map's length does not shrink: mean and covariance stay."""
    data, _ = turned()
    noise_ND = torch.randn(400, 6, generator=torch.Generator().manual_seed(1))
    noisy = replace(data, texts={"turned": data.texts["turned"] + noise_ND})
    weights = run("procrustes", noisy, shrinkage=[1e-5], directions=[6]).stitches["plain-turned"].connector
    image_ND, text_NE = fitted(noisy, "standardise")
    mapped_ND = connectors.forward(weights, text_NE)
    torch.testing.assert_close(mapped_ND.mean(0), image_ND.mean(0), atol=1e-4, rtol=0)
    torch.testing.assert_close(mapped_ND.T.cov(), image_ND.T.cov(), atol=1e-4, rtol=0)
    # Cut to two directions, it has a plane left.
    cut = run("procrustes", noisy, shrinkage=[1e-5], directions=[2]).stitches["plain-turned"].connector
    assert np.linalg.matrix_rank(cut["weight0"].numpy(), tol=1e-3) == 2


@pytest.mark.parametrize("name", ["cca", "gcca"])
def test_canonical_correlations(name: str) -> None:
    """Each direction carries its canonical correlation, and is weighed by it on both sides."""
    data = toy()
    data.texts["turned"] += torch.randn(400, 20, generator=torch.Generator().manual_seed(1))
    alone = replace(data, images={"plain": data.images["plain"]}, texts={"turned": data.texts["turned"]})
    stitch = run(name, alone, shrinkage=[1e-6], directions=[5]).stitches["plain-turned"]
    image_ND, text_NE = fitted(alone, "standardise")
    assert stitch.image_connector is not None
    image_NK = connectors.forward(stitch.image_connector, image_ND)
    text_NK = connectors.forward(stitch.connector, text_NE)
    angles = subspace_angles((image_ND - image_ND.mean(0)).numpy(), (text_NE - text_NE.mean(0)).numpy())
    expected_K = np.sort(np.cos(angles))[::-1][:5]
    assert 0.9 > expected_K[0] > expected_K[4] > 0.3
    correlation_KK = np.corrcoef(image_NK.T, text_NK.T)[:5, 5:]
    np.testing.assert_allclose(correlation_KK, np.diag(expected_K), atol=5e-3)
    scale = expected_K[0] if name == "gcca" else 1.0  # weights relative to the largest
    for side_NK in (image_NK, text_NK):
        np.testing.assert_allclose(side_NK.std(0, correction=0), expected_K / scale, rtol=5e-3)
        np.testing.assert_allclose(side_NK.mean(0), 0, atol=1e-3)


@each
@kinds
def test_a_constant_encoder_fails_alone(name: str, kind: str) -> None:
    for side, slug, pairs in (
        ("texts", "noise", ["plain-noise", "wide-noise"]),
        ("images", "wide", ["wide-turned", "wide-noise"]),
    ):
        data = toy()
        getattr(data, side)[slug][:] = 0.3
        found = run(name, data, kind)
        assert found.failed == dict.fromkeys(pairs, f"{slug}: features are constant")
        without = toy()
        del getattr(without, side)[slug]
        assert found.scores == run(name, without, kind).scores
    dead = replace(toy(), texts={"noise": torch.ones(400, 3)})
    found = run(name, dead, kind)
    assert (found.scores, found.stitches) == ({}, {})
    assert found.failed == dict.fromkeys(["plain-noise", "wide-noise"], "noise: features are constant")


@each
@kinds
def test_rank_deficient_encoders(name: str, kind: str) -> None:
    """Columns twice, columns of a constant, and more columns than samples."""
    data = toy()
    data.texts["turned"] = data.texts["turned"].repeat(1, 20)
    data.images["wide"] = torch.cat([data.images["wide"], torch.full((400, 30), 2.0)], 1)
    found = run(name, data, kind, samples=100, validation=50)
    assert found.failed == {}
    for image in ("plain", "wide"):
        assert found.scores[f"{image}-turned"] > 0.8
    for stitch in found.stitches.values():
        for weights in (stitch.connector, stitch.image_connector or {}):
            assert all(weight.isfinite().all() for weight in weights.values())


@each
def test_features_that_are_no_numbers(name: str) -> None:
    data = toy()
    data.texts["noise"][:, 3] = math.nan
    found = run(name, data)
    assert list(found.scores) == ["plain-turned", "wide-turned"]
    assert found.failed["plain-noise"] == "noise: features are not finite"


@pairwise
def test_decomposition_that_does_not_converge(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one pair (its candidates) or of one encoder: the others go on."""
    real = torch.linalg.eigh

    def stubborn(square: Tensor) -> Any:
        if len(square) == 10:  # the width of `noise`
            raise torch.linalg.LinAlgError
        return real(square)

    monkeypatch.setattr(torch.linalg, "eigh", stubborn)
    found = run(name, toy())
    assert list(found.scores) == ["plain-turned", "wide-turned"]
    assert found.failed["wide-noise"] == "noise: its eigendecomposition does not converge"


@pytest.mark.parametrize("name", ["cca", "procrustes"])
def test_pair_that_does_not_converge(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.linalg.svd

    def stubborn(matrix: Tensor, **options: Any) -> Any:
        if matrix.shape == (10, 16):  # `noise` and `wide`
            raise torch.linalg.LinAlgError
        return real(matrix, **options)

    monkeypatch.setattr(torch.linalg, "svd", stubborn)
    found = run(name, toy())
    assert list(found.scores) == ["plain-turned", "plain-noise", "wide-turned"]
    assert found.failed == {"wide-noise": "its decomposition does not converge"}


@each
def test_regularisation_is_the_best_of_the_list(name: str) -> None:
    """What is chosen is on the list, and validates as no other does; a hopeless one is not chosen."""
    hopeless: list[float]
    sound: list[float]
    hopeless, sound = ([1e9], [0.01]) if name == "ridge" else ([1.0], [8.0])
    key = "ridge" if name == "ridge" else "directions"
    data = toy(images=1000)
    for settings in (hopeless + sound, sound + hopeless):
        options: list[dict[str, Any]] = [{key: own, "samples": 700} for own in (settings, sound, hopeless)]
        found, only, wrong = (run(name, data, **own) for own in options)
        assert found.scores["plain-turned"] == only.scores["plain-turned"]
        assert only.scores["plain-turned"] > wrong.scores["plain-turned"] + 0.2
        chosen = {
            float(part) for part in found.notes[key].replace("mostly ", "").replace(",", " to").split(" to ")
        }
        assert chosen <= set(map(float, hopeless + sound))
    if name != "ridge":
        shrunk = run(name, data, shrinkage=[0.02, 0.3])
        assert {"0.02", "0.3"} & set(shrunk.notes["shrinkage"].replace(",", "").split())


def test_the_choice_is_made_on_validation() -> None:
    """By hand: the best of the candidates on the rows set apart, of equals the first, and those alone."""
    data = toy()
    stitching = Stitching("", data, StitchParams(samples=4000, validation=500), connector(), 0)
    pair = ("plain", "turned")
    weights = run("ridge", data).stitches["plain-turned"].connector
    zero = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    lost = {name: weight * math.nan for name, weight in weights.items()}
    best = Candidate({"number": 2}, weights)
    stitching._choose(pair, [Candidate({"number": 0}, zero), Candidate({"number": 1}, lost), best, best])
    assert stitching.chosen == [{"number": 2}]
    rows_V = stitching.image_rows_V
    assert not torch.isin(rows_V, stitching.image_rows_N).any()
    assert not torch.isin(stitching.text_rows_V, data.held_out).any()
    assert torch.equal(data.image_of_text_M[stitching.text_rows_V], rows_V)
    normal_VE = stitching.data.text["turned"][stitching.text_rows_V]
    expected = recall(connectors.forward(weights, normal_VE), stitching.data.image["plain"][rows_V])
    before = stitching.flops["validation"]
    assert stitching.validate(pair, best) == expected > 0.8
    assert stitching.flops["validation"] - before == 2 * 72 * 12 * 20 + 2 * 72 * 72 * 12
    for hopeless in ([], [Candidate({}, zero), Candidate({}, lost)]):
        stitching._choose(pair, hopeless)
        assert stitching.result.failed.pop("plain-turned") == "its connector is zero or not finite"


@each
def test_held_out_images_have_no_part_in_the_fit(name: str) -> None:
    data, other = toy(), toy()
    for features in (other.images, other.texts):
        for feature in features.values():
            feature[other.held_out] += 1e3
    before, after = run(name, data), run(name, other)
    for pair, stitch in before.stitches.items():
        assert torch.equal(stitch.connector["weight0"], after.stitches[pair].connector["weight0"])
    assert before.notes == after.notes


@each
def test_seed_and_sample(name: str) -> None:
    data = toy()
    state = torch.get_rng_state()
    first, again, other = (run(name, data, seed=seed, samples=100, validation=50) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert (first.scores, first.flops, first.notes) == (again.scores, again.flops, again.notes)
    assert first.scores != other.scores
    assert (first.notes["samples"], first.notes["validation"]) == ("100", "50")
    # A validation set that is less than a fifth is not enlarged where images are few.
    assert run(name, data, validation=10).notes["validation"] == "10"


@pairwise
def test_pairs_left_out_fail_where_each_is_fitted_alone(name: str) -> None:
    out = frozenset({("plain", "turned"), ("wide", "noise")})
    found = run(name, replace(toy(), left_out=out))
    everything = run(name, toy())
    assert found.scores == {pair: everything.scores[pair] for pair in ("plain-noise", "wide-turned")}
    assert set(found.failed) == {"plain-turned", "wide-noise"}
    assert all(reason.startswith("left out of training") for reason in found.failed.values())


def many() -> TrainingFeatures:
    """Two images and two texts of the same things."""
    data = toy()
    other_MD = data.texts["turned"] @ torch.randn(20, 14, generator=torch.Generator().manual_seed(5))
    return replace(data, texts={"turned": data.texts["turned"], "other": other_MD})


def test_gcca_predicts_pairs_left_out() -> None:
    found = run("gcca", replace(many(), left_out=frozenset({("wide", "other")})))
    assert found.failed == {}
    assert found.scores["wide-other"] > 0.8
    # N + M maps: an image encoder's is the same whatever the text.
    maps = [found.stitches[f"wide-{text}"].image_connector for text in ("turned", "other")]
    assert maps[0] is not None
    assert maps[1] is not None
    assert torch.equal(maps[0]["weight0"], maps[1]["weight0"])


def test_gcca_does_not_look_at_pairs_left_out() -> None:
    """`plain` and `other` in another order: pairs that are seen keep their covariance, those left out do not."""
    data = many()
    rows = Stitching("", data, StitchParams(samples=4000, validation=500), connector(), 0).image_rows_N
    mixed_N = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(3))]
    apart = many()
    apart.images["plain"][rows] = data.images["plain"][mixed_N]
    apart.texts["other"][rows] = data.texts["other"][mixed_N]

    def cosines(features: TrainingFeatures, *left_out: tuple[str, str]) -> list[Tensor]:
        """Of the seen pairs on held-out data: what does not depend on the directions' signs."""
        own = replace(features, left_out=frozenset(left_out))
        found = run("gcca", own, shrinkage=[0.01], directions=[24]).stitches
        sides = [("plain", "other"), ("wide", "turned")]
        return [
            found[f"{image}-{text}"].embed_image(data.images[image][data.held_out])
            @ found[f"{image}-{text}"].embed_text(data.texts[text][data.held_out]).T
            for image, text in sides
        ]

    out = [("plain", "turned"), ("wide", "other")]
    for before, after in zip(cosines(data, *out), cosines(apart, *out), strict=True):
        torch.testing.assert_close(before, after, atol=2e-3, rtol=0)
    for before, after in zip(cosines(data), cosines(apart), strict=True):
        assert (before - after).abs().max() > 0.03


def test_gcca_without_pairs_to_learn_from() -> None:
    out = frozenset({("wide", "turned"), ("wide", "other")})
    found = run("gcca", replace(many(), left_out=out))
    assert found.failed == dict.fromkeys(["wide-turned", "wide-other"], "wide: all of its pairs are left out")
    assert found.scores["plain-other"] > 0.8
    # `wide` learns from `other` alone, which is constant.
    dead = many()
    dead.texts["other"][:] = 1
    out = frozenset({("wide", "turned")})
    found = run("gcca", replace(dead, left_out=out))
    assert list(found.scores) == ["plain-turned"]
    assert found.failed["wide-turned"] == "its connector is zero or not finite"
    out = frozenset({("wide", "turned"), ("plain", "turned")})
    found = run("gcca", replace(dead, left_out=out))
    assert (found.scores, len(found.failed)) == ({}, 4)


def test_cuts_and_summary() -> None:
    assert cuts(torch.tensor([0.9, 0.5, 1e-9, 0]), [4, 1, 2, 3]) == [2, 1]
    assert cuts(torch.zeros(3), [2]) == [1]
    assert cuts(torch.full((3,), math.nan), [2]) == [1]
    assert summary([0.1, 0.1]) == "0.1"
    assert summary([64, 32, 128, 64]) == "mostly 64, 32 to 128"


def test_affine() -> None:
    weights = affine(torch.tensor([1.0, 2]), torch.tensor([[1.0, 0, 2], [0, 3, 1]]), torch.ones(3))
    assert connectors.forward(weights, torch.tensor([[1.0, 3]])).tolist() == [[1, 4, 2]]


@each
@pytest.mark.parametrize("bad", [[], [0], [-1]])
def test_lists_are_checked(name: str, bad: list[int]) -> None:
    key = "ridge" if name == "ridge" else "directions"
    with pytest.raises(HymaError, match=rf"params\.yaml: search\.{name}\.{key}"):
        validate({key: bad}, methods.load(name).Params, key=f"search.{name}")

"""The searches: data split, batches, schedule, the training loop against torch's own parts, a toy problem."""

import math
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from hyma.common import features, prepared, sealed
from hyma.common.errors import HymaError
from hyma.common.files import read_json
from hyma.methods import hyma_two_sided
from hyma.search import hyma_search
from hyma.search.closed_form import shared_space
from hyma.search.params import HymaParams
from hyma.stitching import connectors, grid, records, result
from hyma.stitching.connectors import Connector, ConnectorSpec, Stitch
from hyma.stitching.normalise import Normaliser
from hyma.stitching.normalised import Normalised
from hyma.stitching.pair_losses import pair_losses
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import SearchResult
from hyma.stitching.schedule import pair_batches, sample_batches, warmup_cosine
from hyma.stitching.trainer import Backward, train
from hyma.stitching.training_set import TrainingFeatures, load, split

CPU = torch.device("cpu")
CONNECTOR = ConnectorParams(kind="mlp1", hidden=32, normalise="standardise", logit_scale=20)
GRID = GridParams(batch=60, epochs=25, lr=0.01)
HYMA = {
    "dense": HymaParams(decoder="dense", bm=2, batch=60, epochs=40, lr=0.005, widths=[32], code_dim=8),
    "factorised": HymaParams(
        decoder="factorised", bm=2, batch=60, epochs=40, lr=0.01, widths=[32], code_dim=8
    ),
}
HYMA["two_sided"] = HYMA["factorised"]
METHODS = ["grid", *HYMA]
searches = pytest.mark.parametrize("method", METHODS)


def toy(images: int = 400, captions: int = 1, seed: int = 0) -> TrainingFeatures:
    """Images of 12 and 16 numbers; text `turned` is a fixed rotation of both, text `noise` of neither."""
    rng = torch.Generator().manual_seed(seed)
    latent_ND = torch.randn(images, 12, generator=rng)
    rotation = torch.linalg.qr(torch.randn(20, 20, generator=rng))[0]
    image_of_text_M = torch.arange(images).repeat_interleave(captions)
    rows = torch.randperm(images, generator=rng)
    return TrainingFeatures(
        {"plain": latent_ND + 1, "wide": 3 * latent_ND @ rotation[:12, :16]},
        {
            "turned": latent_ND[image_of_text_M] @ rotation[:12],
            "noise": torch.randn(images * captions, 10, generator=rng),
        },
        image_of_text_M,
        train=rows[40:] * captions,
        held_out=rows[:40] * captions,
    )


def run(
    method: str,
    data: TrainingFeatures,
    seed: int = 0,
    connector: ConnectorParams = CONNECTOR,
    **changes: Any,
) -> SearchResult:
    if method == "grid":
        return grid.search(data, GRID.model_copy(update=changes), connector, seed)
    params = HYMA[method].model_copy(update=changes)
    return hyma_search.search(data, params, connector, seed, two_sided=method == "two_sided")


def ignore(_: Tensor) -> None:
    """Where only the loss is looked at."""


def trained(data: Normalised, params: Any, connector: ConnectorParams, weights: Connector) -> Any:
    """The loop on one pair whose connector is itself the parameter."""
    pair = ("plain", "turned")
    return train(
        lambda rows, _, backward: pair_losses([weights], [pair], rows, data, connector.logit_scale, backward),
        list(weights.values()), [pair], 1, data.features.train, params, 0, "toy",
    )  # fmt: skip


@searches
def test_toy_problem(method: str) -> None:
    found = run(method, toy())
    chance = 5 / 40
    for image in ("plain", "wide"):
        assert found.scores[f"{image}-turned"] > 0.95
        assert found.scores[f"{image}-noise"] < 3 * chance
    # The scores are those of the connectors handed over, on held-out features that were never trained on.
    data = toy()
    for name, stitch in found.stitches.items():
        image, text = name.split("-")
        rows = data.held_out
        text_BD, image_BD = (
            stitch.embed_text(data.texts[text][rows]),
            stitch.embed_image(data.images[image][rows]),
        )
        order = (
            (text_BD @ image_BD.T).argsort(1, descending=True),
            (image_BD @ text_BD.T).argsort(1, descending=True),
        )
        hits = [sum(number in row[:5] for number, row in enumerate(way.tolist())) / 40 for way in order]
        assert found.scores[name] == pytest.approx(sum(hits) / 2, abs=1e-6)
    steps = 25 * 6 * 4 if method == "grid" else 40 * 6
    assert (found.label, found.steps) == ("grid search" if method == "grid" else "HYMA", steps)
    if method != "grid":
        assert found.history["step"] == list(range(1, 241))
        assert set(Counter(pair for _, pair, _ in found.pair_accuracy).values()) == {240 * 2 / 4}
        assert sum(found.history["loss"][-20:]) < sum(found.history["loss"][:20])


@searches
def test_seed(method: str) -> None:
    state = torch.get_rng_state()
    first, other, again = (run(method, toy(100), seed, epochs=2) for seed in (1, 2, 1))
    assert torch.equal(state, torch.get_rng_state())
    torch.rand(1)  # nor does it draw from the generator that all share
    third = run(method, toy(100), 1, epochs=2)
    for same in (again, third):
        assert (first.scores, first.history) == (same.scores, same.history)
        assert first.pair_accuracy == same.pair_accuracy
    for name, stitch in first.stitches.items():
        for key, weight in stitch.connector.items():
            assert torch.equal(weight, again.stitches[name].connector[key])
            assert torch.equal(weight, third.stitches[name].connector[key])
            if weight.any():  # the factorised decoder's last bias is zero
                assert not torch.equal(weight, other.stitches[name].connector[key])
        assert stitch.connector["weight0"].any()
    # The seed is that of the weights to start from, too.
    still = [run(method, toy(100), seed, epochs=1, lr=1e-12).stitches["plain-turned"] for seed in (1, 2)]
    assert (still[0].connector["weight0"] - still[1].connector["weight0"]).abs().max() > 0.01


def subset(data: TrainingFeatures, images: list[str], texts: list[str]) -> TrainingFeatures:
    """With these encoders only."""
    return replace(
        data,
        images={slug: data.images[slug] for slug in images},
        texts={slug: data.texts[slug] for slug in texts},
    )


@searches
@pytest.mark.parametrize("kind", ["linear", "mlp1", "mlp2"])
@pytest.mark.parametrize(
    ("images", "texts"),
    [(["plain"], ["turned"]), (["wide"], ["turned", "noise"]), (["plain", "wide"], ["turned"])],
    ids=["one pair", "one image encoder", "one text encoder"],
)
def test_fewest_encoders(method: str, kind: Any, images: list[str], texts: list[str]) -> None:
    connector = CONNECTOR.model_copy(update={"kind": kind})
    found = run(
        method, subset(toy(), images, texts), connector=connector, bm=1, epochs=10 if kind == "mlp2" else 20
    )
    assert list(found.scores) == list(found.stitches) == [f"{i}-{t}" for i in images for t in texts]
    for pair, score in found.scores.items():
        assert score > 0.9 if pair.endswith("turned") else score < 0.4


@searches
@pytest.mark.parametrize("normalise", ["l2", "standardise"])
@pytest.mark.parametrize("value", [0.0, 0.3, 1e3])
@pytest.mark.parametrize(("side", "slug"), [("texts", "noise"), ("images", "wide")])
def test_constant_features(method: str, normalise: Any, value: float, side: str, slug: str) -> None:
    """An encoder that answers everything alike makes no number infinite and spoils no other's pairs."""
    data = toy()
    getattr(data, side)[slug][:] = value
    found = run(method, data, connector=CONNECTOR.model_copy(update={"normalise": normalise}), epochs=20)
    assert list(found.scores) == ["-".join(pair) for pair in data.pairs]
    assert found.scores["plain-turned"] > 0.9
    for pair, score in found.scores.items():
        if slug in pair:
            assert score <= 5 / 40
        stitch = found.stitches[pair]
        for weights in (stitch.connector, stitch.image_connector or {}):
            assert all(weight.isfinite().all() for weight in weights.values())


def test_two_sided_connectors() -> None:
    found = run("two_sided", toy(), epochs=3)
    for pair, stitch in found.stitches.items():
        image, text = (toy().images | toy().texts)[pair.split("-")[0]], toy().texts[pair.split("-")[1]]
        # 32 hidden units: a shared width of 12.
        assert stitch.spec == ConnectorSpec("mlp1", text.shape[1], image.shape[1], 32, shared=12)
        assert stitch.embed_image(image[:3]).shape == stitch.embed_text(text[:3]).shape == (3, 12)
    # An image encoder has one map, whatever the text.
    one, other = (found.stitches[f"plain-{text}"].image_connector for text in ("turned", "noise"))
    assert one is not None
    assert other is not None
    assert torch.equal(one["weight0"], other["weight0"])
    assert run("factorised", toy(), epochs=3).stitches["plain-turned"].image_connector is None


def test_hyma_two_sided_is_the_search() -> None:
    params = hyma_two_sided.Params(**HYMA["two_sided"].model_dump() | {"epochs": 3})
    found = hyma_two_sided.search(toy(), params, CONNECTOR, 4)
    other = run("two_sided", toy(), 4, epochs=3)
    assert found.label == "HYMA, two-sided"
    assert (found.scores, found.flops, found.steps) == (other.scores, other.flops, other.steps)
    many = hyma_two_sided.search(toy(100), params.model_copy(update={"bm": 27}), CONNECTOR, 4)
    assert len(many.pair_accuracy) == 4 * many.steps  # all the pairs that there are


@pytest.mark.parametrize("method", HYMA)
@pytest.mark.parametrize("left_out", [("plain", "turned"), ("wide", "noise")])
def test_pairs_left_out(method: str, left_out: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Never drawn, and not looked at by the closed form; but scored, with a connector, as the others are."""
    seen: list[Any] = []
    monkeypatch.setattr(
        hyma_search,
        "shared_space",
        lambda images, texts, width, pairs: seen.append(pairs) or shared_space(images, texts, width, pairs),
    )
    data = replace(toy(), left_out=frozenset({left_out}))
    found = run(method, data)
    assert list(found.scores) == list(found.stitches) == ["-".join(pair) for pair in data.pairs]
    assert found.failed == {}
    times = Counter(pair for _, pair, _ in found.pair_accuracy)
    assert times == {"-".join(pair): 240 * 2 / 3 for pair in data.pairs if pair != left_out}
    number = (list(data.images).index(left_out[0]), list(data.texts).index(left_out[1]))
    assert seen == ([] if method == "dense" else [[number]])
    if method != "dense":
        # Both encoders meet others in the shared space, and so each other.
        assert found.scores["plain-turned"] > 0.8
        assert found.scores["wide-turned"] > 0.8
    for image in ("plain", "wide"):
        assert found.scores[f"{image}-noise"] < 3 * 5 / 40
    for stitch in found.stitches.values():
        assert all(weight.isfinite().all() for weight in stitch.connector.values())


def test_no_more_pairs_a_step_than_are_seen() -> None:
    data = replace(toy(100), left_out=frozenset({("plain", "turned")}))
    assert run("factorised", data, bm=3, epochs=1).steps == 1
    with pytest.raises(HymaError, match=r"hyma\.bm: 4 pairs a step, .* only 3 pairs"):
        run("factorised", data, bm=4)


@pytest.mark.parametrize("method", HYMA)
@pytest.mark.parametrize("kind", ["linear", "mlp1", "mlp2"])
def test_cost_is_what_torch_counts(method: str, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All products of a whole search: but for the scores, which no method counts."""
    connector, data = CONNECTOR.model_copy(update={"kind": kind}), toy(captions=2)
    changes = {"bm": 4, "epochs": 2, "samples": 90, "components": 8}
    found = run(method, data, connector=connector, **changes)
    monkeypatch.setattr(hyma_search, "_cost", lambda *_: {})  # it runs models, to count them
    with FlopCounterMode(display=False) as counter:
        run(method, data, connector=connector, **changes)
    normalised = Normalised(data, connector)
    with FlopCounterMode(display=False) as scoring:
        for pair in data.pairs:
            stitch = found.stitches["-".join(pair)]
            normalised.score(pair, stitch.connector, stitch.image_connector)
    spent = sum(found.flops.values()) - found.flops["optimizer"]
    if method != "dense":
        # Eigenvectors, which torch does not count: of all encoders, and of the texts' components together.
        spent -= 9 * (sum(width**3 for width in (12, 16, 20, 10)) + 16**3)
    assert spent == pytest.approx(counter.get_total_flops() - scoring.get_total_flops())


def test_more_samples_than_images_to_train_on() -> None:
    data = toy(100)
    assert run("factorised", data, epochs=1).flops == run("factorised", data, epochs=1, samples=60).flops


def test_a_pair_trains_alike_alone_and_among_others() -> None:
    data = toy(100)
    together = run("grid", data, epochs=2)
    alone = grid.search(data, GRID.model_copy(update={"epochs": 2}), CONNECTOR, 0, [("wide", "noise")])
    assert alone.scores == {"wide-noise": together.scores["wide-noise"]}
    for key, weight in alone.stitches["wide-noise"].connector.items():
        assert torch.equal(weight, together.stitches["wide-noise"].connector[key])
    # Its seed is its own: the same features under another name start elsewhere.
    twins = replace(data, images={"a": data.images["plain"], "b": data.images["plain"]})
    found = run("grid", twins, epochs=1, lr=1e-12).stitches
    weights = [found[f"{image}-turned"].connector["weight0"] for image in "ab"]
    assert (weights[0] - weights[1]).abs().max() > 0.01
    # What a stage writes for its one pair, and the report draws.
    assert alone.history["step"] == [1.0, 2.0]
    assert len(alone.history["loss"]) == 2


@pytest.mark.parametrize(("clip", "weight_decay"), [(1e9, 0.0), (0.5, 0.3)])
def test_training_is_what_torch_does(clip: float, weight_decay: float) -> None:
    """Every batch is the whole set, so that its order plays no part; all else is done again by hand."""
    data = toy(100, captions=2)
    params = GridParams(
        batch=60, epochs=4, lr=0.1, warmup=0.5, clip=clip, weight_decay=weight_decay, beta2=0.9
    )
    normalised = Normalised(data, CONNECTOR)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 12))
    names = ["weight0", "bias0", "weight1", "bias1"]
    weights = {
        name: nn.Parameter(own.detach().clone()) for name, own in zip(names, model.parameters(), strict=True)
    }
    history = trained(normalised, params, CONNECTOR, weights)

    rows = data.train
    text_BD, image_BD = data.texts["turned"][rows], data.images["plain"][data.image_of_text_M[rows]]
    text_BD = (text_BD - text_BD.mean(0)) / text_BD.std(0, correction=0)
    image_BD = functional.normalize((image_BD - image_BD.mean(0)) / image_BD.std(0, correction=0), dim=-1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1, betas=(0.9, 0.9), weight_decay=weight_decay)
    rates = [0.05, 0.1, 0.1, 0.05]  # two steps up, then cosines of 0 and π/2
    losses, norms = [], []
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        logits_BB = 20 * functional.normalize(model(text_BD), dim=-1) @ image_BD.T
        right = torch.arange(60)
        loss = (functional.cross_entropy(logits_BB, right) + functional.cross_entropy(logits_BB.T, right)) / 2
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), clip)))
        losses.append(loss.item())
        optimizer.step()
    columns = history.columns()
    assert columns["lr"] == pytest.approx(rates)
    assert columns["loss"] == pytest.approx(losses, rel=1e-4)
    assert columns["grad_norm"] == pytest.approx(norms, rel=1e-3)
    for name, parameter in zip(names, model.parameters(), strict=True):
        torch.testing.assert_close(weights[name].data, parameter.data, rtol=1e-4, atol=1e-4)


def test_a_step_is_the_mean_of_its_pairs() -> None:
    data = Normalised(toy(100), CONNECTOR)
    pairs = [("plain", "turned"), ("plain", "noise")]
    weights = [nn.Parameter(torch.randn(12, width)) for width in (20, 10)]
    start = [{"weight0": weight.detach().clone(), "bias0": torch.zeros(12)} for weight in weights]

    def step_on(rows: Tensor, chosen: Tensor, backward: Backward) -> tuple[Tensor, Tensor]:
        numbers = chosen.tolist()
        own = [{"weight0": weights[number], "bias0": torch.zeros(12)} for number in numbers]
        return pair_losses(
            own, [pairs[number] for number in numbers], rows, data, CONNECTOR.logit_scale, backward
        )

    params = GridParams(batch=60, epochs=1)
    history = train(step_on, weights, pairs, 2, data.features.train, params, 0, "toy")
    losses, accuracies = pair_losses(start, pairs, data.features.train, data, CONNECTOR.logit_scale, ignore)
    assert history.rows[0][:2] == pytest.approx((losses.mean().item(), accuracies.mean().item()), rel=1e-4)
    expected = {"-".join(pair): own.item() for pair, own in zip(pairs, accuracies, strict=True)}
    assert {pair: own for _, pair, own in history.pair_accuracy} == pytest.approx(expected)


@pytest.mark.parametrize("clip", [0.01, 1e9])
def test_gradient_is_clipped(clip: float) -> None:
    weights = {"weight0": nn.Parameter(torch.randn(12, 20) / 5), "bias0": nn.Parameter(torch.zeros(12))}
    params = GridParams(batch=60, epochs=1, clip=clip)
    history = trained(Normalised(toy(100), CONNECTOR), params, CONNECTOR, weights)
    measured = history.rows[-1][2]
    assert measured > 0.1
    left = torch.cat([own.grad.flatten() for own in weights.values() if own.grad is not None]).norm()
    assert left.item() == pytest.approx(min(clip, measured), rel=1e-3)


@searches
def test_loss_that_is_not_finite(method: str) -> None:
    with pytest.raises(HymaError, match=r"loss or gradient is not finite at step \d+; lower its lr"):
        run(method, toy(100), lr=1e38, batch=10, clip=1e9)


def test_gradient_that_is_not_finite() -> None:
    """On the last step no later loss would show that the weights are lost."""
    root = nn.Parameter(torch.zeros(12, 20))
    weights = torch.randn(12, 20)
    data, params = Normalised(toy(100), CONNECTOR), GridParams(batch=60, epochs=1)
    pair = ("plain", "turned")

    def step_on(rows: Tensor, _: Tensor, backward: Backward) -> tuple[Tensor, Tensor]:
        own = {"weight0": weights + root.sqrt(), "bias0": torch.zeros(12)}
        return pair_losses([own], [pair], rows, data, CONNECTOR.logit_scale, backward)

    with pytest.raises(HymaError, match="not finite"):
        train(step_on, [root], [pair], 1, data.features.train, params, 0, "toy")


def test_more_pairs_a_step_than_pairs() -> None:
    with pytest.raises(HymaError, match=r"params\.yaml: hyma\.bm: 5 pairs a step, .* only 4 pairs"):
        run("dense", toy(100), bm=5)


@pytest.mark.parametrize("dead", [0.0, math.nan])
def test_what_tells_nothing_apart_scores_no_better_than_chance(dead: float) -> None:
    """A dead or lost connector, or an encoder that answers every picture alike, must not come first."""
    data = toy(100)
    zero = {"weight0": torch.full((12, 20), dead), "bias0": torch.zeros(12)}
    assert Normalised(data, CONNECTOR).score(("plain", "turned"), zero) <= 5 / 40
    if not math.isnan(dead):
        alike = replace(data, images={"plain": torch.ones(100, 12)})
        lively = {"weight0": torch.randn(12, 20), "bias0": torch.zeros(12)}
        assert Normalised(alike, CONNECTOR).score(("plain", "turned"), lively) <= 5 / 40


def test_score_by_hand() -> None:
    """Eight held-out images e0 … e7. Caption k likes image j by 8 - (j - k mod 8): its own is first."""
    ranked_BB = torch.tensor([[8.0 - (j - k) % 8 for j in range(8)] for k in range(8)])
    image_of_text_M = torch.arange(8).repeat_interleave(2)  # a second caption each, that is of no account
    text_MD = torch.stack([ranked_BB, torch.randn(8, 8)], 1).flatten(0, 1)
    rows = torch.arange(0, 16, 2)
    data = TrainingFeatures({"i": torch.eye(8)}, {"t": text_MD}, image_of_text_M, rows, rows)
    l2 = CONNECTOR.model_copy(update={"normalise": "l2"})

    def score(shift: int) -> float:
        weights = {"weight0": torch.eye(8).roll(shift, 0), "bias0": torch.zeros(8)}
        return Normalised(data, l2).score(("i", "t"), weights)

    # Rolled by r > 0, 8 - r others come before the own one, in both directions.
    assert [score(shift) for shift in range(8)] == [1, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("normalise", ["l2", "standardise"])
def test_statistics_come_from_training_rows(normalise: Any) -> None:
    data = toy(100, captions=2)
    connector = CONNECTOR.model_copy(update={"normalise": normalise})
    before = Normalised(data, connector)
    images, texts = data.images["plain"].numpy().copy(), data.texts["turned"].numpy().copy()
    data.images["plain"][data.image_of_text_M[data.held_out]] += 1e3
    data.texts["turned"][data.held_out] += 1e3
    after = Normalised(data, connector)
    rows = data.train.numpy()
    for side, slug, own in (("image", "plain", images[rows // 2]), ("text", "turned", texts[rows])):
        old, new = getattr(before, f"{side}_normaliser")[slug], getattr(after, f"{side}_normaliser")[slug]
        if normalise == "l2":
            assert old.tensors() == new.tensors() == {}
        else:
            for name, expected in (("mean", own.mean(0)), ("std", own.std(0))):
                np.testing.assert_allclose(old.tensors()[name], expected, atol=1e-5)
                assert torch.equal(old.tensors()[name], new.tensors()[name])


def test_contrast_reads_the_captions_own_images() -> None:
    data = toy(100, captions=2)
    normalised = Normalised(data, CONNECTOR)
    rows = torch.tensor([7, 150, 32])  # of images 3, 75, 16
    pairs = [("plain", "turned"), ("wide", "noise"), ("wide", "turned")]
    weights = [
        {"weight0": torch.randn(data.images[i].shape[1], data.texts[t].shape[1]), "bias0": torch.zeros(1)}
        for i, t in pairs
    ]
    losses, accuracies = pair_losses(weights, pairs, rows, normalised, 3, ignore)
    for (image, text), own, loss, accuracy in zip(pairs, weights, losses, accuracies, strict=True):
        text_BD = functional.normalize(normalised.text[text][rows] @ own["weight0"].T, dim=-1)
        logits_BB = 3 * text_BD @ normalised.image[image][[3, 75, 16]].T
        right = torch.arange(3)
        ways = functional.cross_entropy(logits_BB, right), functional.cross_entropy(logits_BB.T, right)
        assert loss.item() == pytest.approx(sum(ways).item() / 2, rel=1e-4)
        assert accuracy.item() == pytest.approx((logits_BB.argmax(1) == right).float().mean().item())


@given(st.integers(1, 12), st.data())
def test_every_pair_comes_equally_often_and_never_twice_in_a_step(count: int, data: st.DataObject) -> None:
    bm, seed = data.draw(st.integers(1, count)), data.draw(st.integers(0, 99))
    steps = list(islice(pair_batches(count, bm, torch.Generator().manual_seed(seed)), 2 * count))
    times = np.zeros(count, int)
    for step in steps:
        assert len(step) == bm == len(set(step.tolist()))
        times[step.numpy()] += 1
        assert times.max() - times.min() <= 1
    assert (times == 2 * bm).all()
    again = islice(pair_batches(count, bm, torch.Generator().manual_seed(seed)), 2 * count)
    assert all(torch.equal(one, other) for one, other in zip(steps, again, strict=True))


@given(st.integers(1, 50), st.integers(1, 60), st.integers(1, 3))
def test_sample_batches(count: int, batch: int, epochs: int) -> None:
    batches = list(sample_batches(count, batch, epochs, torch.Generator().manual_seed(0)))
    size = min(batch, count)
    per_epoch = count // size
    assert [len(rows) for rows in batches] == [size] * (epochs * per_epoch)
    for epoch in range(epochs):
        rows = torch.cat(batches[epoch * per_epoch : (epoch + 1) * per_epoch]).tolist()
        assert len(set(rows)) == len(rows) == per_epoch * size
        assert set(rows) <= set(range(count))


def test_epochs_are_shuffled_anew() -> None:
    first, second = sample_batches(100, 100, 2, torch.Generator().manual_seed(0))
    assert first.tolist() != second.tolist() != list(range(100)) != first.tolist()


def test_warmup_cosine_by_hand() -> None:
    half = math.sqrt(0.5)
    # Two steps up, then (1 + cos(kπ/8))/2 for k = 0 … 7; a rate of 0 would come after the last step.
    factor = warmup_cosine(10, 0.2)
    assert [factor(step) for step in (0, 1, 2, 4, 6, 8)] == pytest.approx(
        [0.5, 1, 1, (1 + half) / 2, 0.5, (1 - half) / 2]
    )
    assert factor(10) == pytest.approx(0)
    assert all(factor(step) > factor(step + 1) > 0 for step in range(2, 9))
    assert [warmup_cosine(4, 1)(step) for step in range(4)] == [0.25, 0.5, 0.75, 1]
    assert [warmup_cosine(3, 0)(step) for step in range(3)] == pytest.approx([1, 1, 0.5])
    assert warmup_cosine(1, 0.1)(0) == 1


@given(st.lists(st.integers(1, 3), min_size=20, max_size=80), st.floats(0.3, 0.49), st.integers(0, 9))
def test_split(captions: list[int], holdout: float, seed: int) -> None:
    image_of_text_M = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(captions)), captions))
    train_rows, held_out = split(image_of_text_M, holdout, seed)
    out_images = image_of_text_M[held_out].tolist()
    assert len(out_images) == len(set(out_images)) == round(len(captions) * holdout)
    image = image_of_text_M.tolist()
    assert held_out.tolist() == sorted(image.index(number) for number in out_images)
    assert train_rows.tolist() == [row for row, number in enumerate(image) if number not in out_images]
    again = split(image_of_text_M, holdout, seed)
    assert (again[0].tolist(), again[1].tolist()) == (train_rows.tolist(), held_out.tolist())


def test_split_at_the_edges() -> None:
    rows = np.arange(30_000)
    train_rows, held_out = split(rows, 0.05, 0)
    assert (len(train_rows), len(held_out)) == (29_000, 1000)
    assert split(rows, 0.05, 1)[1].tolist() != held_out.tolist()
    for few in (1, 5, 25):
        with pytest.raises(HymaError, match=r"params\.yaml: connector\.holdout: 0\.05 of \d+ images"):
            split(np.arange(few), 0.05, 0)


def test_split_refuses_what_cannot_tell_pairs_apart() -> None:
    """Recall@5 among five images or fewer is 1 whatever the connector."""
    with pytest.raises(HymaError, match=r"connector\.holdout"):
        split(np.arange(50), 0.1, 0)


def test_split_of_images_without_captions() -> None:
    """Images whose captions were left out as empty are not there to be held out."""
    for seed in range(5):
        captioned = np.sort(np.random.default_rng(99 - seed).permutation(200)[:50])
        assert len(split(captioned, 0.2, seed)[1]) == 10


def test_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts = [{"id": f"t{row}", "text": "x", "image": row % 40, "protocol": "both"} for row in range(80)]
    pictures = [{"id": f"i{row}", "protocol": "both"} for row in range(40)]
    rng = np.random.default_rng(0)
    values = {"vit": rng.normal(size=(40, 3)).astype("f4"), "bert": rng.normal(size=(80, 5)).astype("f4")}

    def build(rows: list[dict[str, Any]], name: str) -> Path:
        tables = prepared.table(pictures, prepared.IMAGES), prepared.table(rows, prepared.TEXTS)
        data = prepared.Prepared(prepared.Meta("pairs", "llava"), *tables, prepared.QUESTIONS.empty_table())
        prepared.write(tmp_path / name, data)
        for side, slug, items in (("image", "vit", pictures), ("text", "bert", rows)):
            info = features.FeatureInfo("e", data.meta.data_hash, values[slug].shape[1], 0)
            ids = [item["id"] for item in items]
            chunks = [(ids[:30], values[slug][:30]), (ids[30:], values[slug][30:])]
            features.write(features.file_of("training", side, slug, name), info, chunks)
        return tmp_path / name

    connector = ConnectorParams(hidden=1024, holdout=0.25)
    found = load(build(texts, "good"), ["vit"], ["bert"], connector, 3, CPU)
    assert found.pairs == [("vit", "bert")]
    np.testing.assert_array_equal(found.images["vit"], values["vit"])
    np.testing.assert_array_equal(found.texts["bert"], values["bert"])
    assert found.image_of_text_M.tolist() == [row % 40 for row in range(80)]
    expected = split(found.image_of_text_M.numpy(), 0.25, 3)
    assert (found.train.tolist(), found.held_out.tolist()) == (expected[0].tolist(), expected[1].tolist())
    assert found.spec(("vit", "bert"), connector) == ConnectorSpec("mlp1", 5, 3, 1024)
    good = prepared.read(tmp_path / "good")
    others = pa.array([str(row) for row in range(40)])
    column = good.images.schema.get_field_index("content")
    prepared.write(tmp_path / "good", replace(good, images=good.images.set_column(column, "content", others)))
    with pytest.raises(HymaError, match=r"vit.good\.arrow: data_hash"):
        load(tmp_path / "good", ["vit"], ["bert"], connector, 3, CPU)
    unpaired = build([row | {"image": None} for row in texts], "classes")
    with pytest.raises(HymaError, match="training"):  # a classification set has no captions to train on
        load(unpaired, ["vit"], ["bert"], connector, 3, CPU)


def answer(pair: str, seconds: float, seed: int = 0) -> SearchResult:
    spec, l2 = ConnectorSpec("linear", 3, 2), Normaliser("l2")
    weights = connectors.initialise(spec, torch.Generator().manual_seed(seed))
    history = {"step": [1.0, 2.0], "loss": [0.1 + seconds, 0.2]}
    stitch = Stitch(spec, weights, l2, l2)
    return SearchResult(
        "grid search", {pair: seconds / 10}, seconds, {"InfoNCE": 4 * seconds}, {pair: stitch}, {f"{pair}2": "lost"},
        2, {"samples": "9"}, history, [(1, pair, 0.5)], cpu_seconds=2 * seconds, threads=2,
    )  # fmt: skip


def record(pair: str, seconds: float) -> dict[str, Any]:
    """What `answer` is on disk."""
    return {
        "label": "grid search", "scores": {pair: seconds / 10}, "seconds": seconds,
        "flops": {"InfoNCE": 4 * seconds}, "failed": {f"{pair}2": "lost"}, "steps": 2, "notes": {"samples": "9"},
        "history": {"step": [1.0, 2.0], "loss": [0.1 + seconds, 0.2]}, "connectors": "one-sided", "gradients": {},
        "cpu_seconds": 2 * seconds, "threads": 2,
    }  # fmt: skip


def test_save_and_load(tmp_path: Path) -> None:
    first, second = answer("vit-bert", 1.5), answer("vit-mini", 2.5, seed=1)
    result.save(first, tmp_path, "a")
    result.save(second, tmp_path, "b")
    assert sealed.read(tmp_path / "a.json") == record("vit-bert", 1.5)
    files = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    stitches = result.load_stitches(iter(files), ["vit-mini", "vit-bert"])
    assert list(stitches) == ["vit-mini", "vit-bert"]
    for own in (first, second):
        for pair, stitch in own.stitches.items():
            for name, weight in stitch.connector.items():
                assert torch.equal(stitches[pair].connector[name], weight)
    with pytest.raises(HymaError, match=r"no connector for pair res-bert \(2 missing\)"):
        result.load_stitches(files, ["vit-bert", "res-bert", "res-mini"])
    result.save(replace(first, stitches={}), tmp_path / "scores")
    assert [file.name for file in (tmp_path / "scores").iterdir()] == ["result.json"]
    assert read_json(tmp_path / "scores" / "result.json")["connectors"] == "none"


def test_merge() -> None:
    first, second = answer("vit-bert", 1.5), answer("vit-mini", 2.5)
    joined = result.merge(iter([first, second]))
    assert (joined.label, joined.steps, joined.seconds) == ("grid search", 4, 4.0)
    assert (joined.cpu_seconds, joined.threads) == (8.0, 2)
    assert joined.scores == {"vit-bert": 0.15, "vit-mini": 0.25}
    assert joined.failed == {"vit-bert2": "lost", "vit-mini2": "lost"}
    assert (joined.flops, joined.notes) == ({"InfoNCE": 16.0}, {"samples": "9"})
    assert list(joined.stitches) == ["vit-bert", "vit-mini"]
    assert (joined.history, joined.pair_accuracy) == ({}, [])
    assert list(first.scores) == ["vit-bert"]  # the parts stay as they were
    assert result.merge([first]) == first
    # The records of the same, read back, join to the same.
    parts = [record("vit-bert", 1.5), record("vit-mini", 2.5)]
    for key, value in records.merge(parts).items():
        assert value == ("one-sided" if key == "connectors" else getattr(joined, key))
    assert parts == [record("vit-bert", 1.5), record("vit-mini", 2.5)]

"""The methods that train connectors pair by pair: equal to grid search where they should be, and their budgets."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from hyma import methods
from hyma.common.errors import HymaError
from hyma.common.params import validate
from hyma.methods.autopair import rung_sizes
from hyma.search.params import HymaParams
from hyma.stitching import grid
from hyma.stitching.connectors import ConnectorSpec
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import SearchResult, merge
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures
from tests.test_search import toy

CONNECTOR = ConnectorParams(kind="mlp1", hidden=32, normalise="standardise", logit_scale=20)
PLENTY = Shapes.expected({"plain": 12, "wide": 16}, {"turned": 20, "noise": 10}, (9000, 9000), CONNECTOR, 0)
PAIRS = ["plain-turned", "plain-noise", "wide-turned", "wide-noise"]
ENOUGH = {"cgs": {"samples": 8 * 128}, "grid_large": {"epochs": 10}, "autopair": {"flops": 5e8}}
each = pytest.mark.parametrize("name", ENOUGH)


def run(name: str, data: TrainingFeatures, seed: int = 0, **changes: Any) -> SearchResult:
    method = methods.load(name)
    return method.search(data, validate(changes, method.Params, key=f"search.{name}"), CONNECTOR, seed)


def same(found: SearchResult, other: SearchResult) -> bool:
    """Equal scores, steps and weights, to the last bit."""
    return (found.scores, found.steps, list(found.stitches)) == (
        other.scores,
        other.steps,
        list(other.stitches),
    ) and all(
        torch.equal(weight, other.stitches[pair].connector[key])
        for pair, stitch in found.stitches.items()
        for key, weight in stitch.connector.items()
    )


def one_step(image: int, text: int, batch: int) -> dict[str, float]:
    """A step on the connector text → 32 → image, by hand."""
    first, second = 2 * batch * text * 32, 2 * batch * 32 * image
    return {
        "connector forward": first + second,
        "connector backward": first + 2 * second,  # nothing flows to the frozen text feature
        "InfoNCE": 2 * (2 * batch**2 * image),  # the logits, and their gradient to the text side
        "hypernetwork": 0,
        "optimizer": 14 * (32 * text + 32 + image * 32 + image),
    }


STEP = {
    f"{image}-{text}": one_step(widths[0], widths[1], 60)
    for (image, text), widths in {
        ("plain", "turned"): (12, 20),
        ("plain", "noise"): (12, 10),
        ("wide", "turned"): (16, 20),
        ("wide", "noise"): (16, 10),
    }.items()
}


def spent(steps: dict[str, int]) -> dict[str, float]:
    """FLOPs by part of so many steps on each pair, 60 samples a step."""
    return {
        part: sum(STEP[pair][part] * count for pair, count in steps.items()) for part in STEP["wide-noise"]
    }


def step_of(*pairs: str) -> int:
    return sum(sum(map(int, STEP[pair].values())) for pair in pairs)


@pytest.mark.parametrize(("samples", "epochs"), [(3 * 6 * 60, 3), (3 * 6 * 60 + 59, 3)])
def test_cgs_is_grid_search_on_a_budget(samples: int, epochs: int) -> None:
    """360 training captions are six batches of 60; what does not fill a batch is not spent."""
    data, shared = (
        toy(),
        {"batch": 60, "lr": 0.02, "beta2": 0.9, "weight_decay": 0.1, "warmup": 0.3, "clip": 0.5},
    )
    found = run("cgs", data, seed=5, samples=samples, **shared)
    full = grid.search(data, validate(shared | {"epochs": epochs}, GridParams), CONNECTOR, 5)
    assert same(found, full)
    assert found.label == "constrained grid search (C-GS)"
    assert found.flops == spent(dict.fromkeys(PAIRS, 18))
    assert found.notes == {"batch": "60", "steps a pair": "18", "captions a pair": "1080"}


def test_cgs_stops_within_an_epoch() -> None:
    found = run("cgs", toy(), batch=60, samples=8 * 60)
    assert found.steps == 4 * 8
    assert found.notes["steps a pair"] == "8"


def test_cgs_refuses_a_budget_below_one_batch() -> None:
    message = (
        r"params\.yaml: search\.cgs\.samples: 111 is less than one batch of 112; raise it to at least 112"
    )
    with pytest.raises(HymaError, match=message):
        run("cgs", toy(), samples=111)
    assert run("cgs", toy(), samples=112).steps == 4
    # The batch is the data's where these are fewer.
    with pytest.raises(HymaError, match=r"samples: 59 is less than one batch of 60; raise it to at least 60"):
        run("cgs", toy(100), samples=59)


def test_large_batches_are_clipped_to_the_data() -> None:
    data = toy(100)
    found = run("grid_large", data, seed=2, epochs=3, lr=0.02)
    full = grid.search(data, GridParams(batch=60, epochs=3, lr=0.02), CONNECTOR, 2)
    assert same(found, full)
    assert found.label == "grid search, large batches"
    assert found.notes == {"batch": "60", "steps a pair": "3"}
    assert found.flops == spent(dict.fromkeys(PAIRS, 3))
    # A batch that the data hold stays what it is: 360 captions are three of 100.
    fewer = run("grid_large", toy(), batch=100, epochs=2)
    assert (fewer.notes, fewer.steps) == ({"batch": "100", "steps a pair": "6"}, 4 * 6)


@pytest.mark.parametrize(
    ("pairs", "keep", "sizes"),
    [
        (27, 0.5, [27, 13, 6, 3]),
        (8, 0.5, [8, 4, 2]),
        (9, 0.34, [9, 3]),
        (4, 0.9, [4, 3, 2]),
        (5, 0.1, [5]),
        (2, 0.5, [2]),
        (1, 0.5, [1]),
    ],
)
def test_rung_sizes(pairs: int, keep: float, sizes: list[int]) -> None:
    assert rung_sizes(pairs, keep) == sizes


@pytest.mark.parametrize("seed", range(3))
def test_autopair_keeps_the_good_pairs(seed: int) -> None:
    found = run("autopair", toy(), seed, batch=60, flops=120 * step_of(*PAIRS))
    assert found.label == "AutoPair (successive halving)"
    assert list(found.scores) == list(found.stitches) == PAIRS
    for image in ("plain", "wide"):
        assert 1.95 < found.scores[f"{image}-turned"] <= 2  # rung 1, and a recall above 0.95
        assert 0 <= found.scores[f"{image}-noise"] < 0.5  # rung 0
    for name, stitch in found.stitches.items():
        assert stitch.spec == ConnectorSpec(
            "mlp1", *((20, 10)["noise" in name], (12, 16)["wide" in name]), 32
        )


def test_autopair_spends_to_the_flop() -> None:
    """The budget by hand; what the first rung's share leaves over is the second's."""
    every, good = step_of(*PAIRS), step_of("plain-turned", "wide-turned")
    budget = 2 * (40 * every + every - 2)  # a share of 40 steps, and all but 2 FLOPs of another one
    second = (budget - 40 * every) // good
    assert second > (budget // 2) // good  # the leftovers buy a step
    found = run("autopair", toy(), batch=60, flops=budget)
    noise = dict.fromkeys(["plain-noise", "wide-noise"], 40)
    assert found.flops == spent(dict.fromkeys(["plain-turned", "wide-turned"], 40 + second) | noise)
    total = sum(found.flops.values())
    assert total == 40 * every + second * good
    assert 0 <= budget - total < good
    assert found.steps == 4 * 40 + 2 * second
    assert found.notes == {"pairs a rung": "4, 2", "steps a pair, by rung": f"40, {second}"}


def test_autopair_goes_on_from_a_rungs_weights() -> None:
    data, seed = toy(), 3
    found = run("autopair", data, seed, batch=60, flops=2 * 30 * step_of(*PAIRS))
    second = 30 * step_of(*PAIRS) // step_of("plain-turned", "wide-turned")
    params = GridParams(batch=60, weight_decay=0)
    first = merge(grid.train_pairs(data, params, CONNECTOR, seed, data.seen, "by hand", steps=30))
    for name in ("plain-noise", "wide-noise"):
        for key, weight in first.stitches[name].connector.items():
            assert torch.equal(weight, found.stitches[name].connector[key])
        assert found.scores[name] == first.scores[name]
    start = first.stitches["wide-turned"].connector
    kept = {key: weight.clone() for key, weight in start.items()}
    # The order of the samples is another than the first rung's.
    on = grid.train_pair(data, params, CONNECTOR, seed + 1, ("wide", "turned"), second, start)
    assert on.steps == second
    assert found.scores["wide-turned"] == 1 + on.scores["wide-turned"]
    for key, weight in on.stitches["wide-turned"].connector.items():
        assert torch.equal(weight, found.stitches["wide-turned"].connector[key])
        assert not torch.equal(weight, start[key])
        assert torch.equal(kept[key], start[key])  # what it goes on from stays as it was


def test_autopair_of_one_rung_is_grid_search_on_a_budget() -> None:
    data = toy()
    two = replace(data, images={"plain": data.images["plain"]})
    found = run("autopair", two, batch=60, flops=7 * step_of("plain-turned", "plain-noise"))
    assert same(found, run("cgs", two, batch=60, samples=7 * 60, lr=0.01, weight_decay=0))


def test_later_rungs_score_higher() -> None:
    data = toy()
    others = {f"noise{k}": torch.randn(400, 10, generator=torch.Generator().manual_seed(k)) for k in (1, 2)}
    many = replace(data, texts=data.texts | others)
    found = run("autopair", many, batch=60, flops=400 * step_of(*PAIRS))
    assert found.notes["pairs a rung"] == "8, 4, 2"
    order = sorted(found.scores, key=lambda pair: -found.scores[pair])
    assert set(order[:2]) == {"plain-turned", "wide-turned"}
    rungs = [[found.scores[pair] for pair in group] for group in (order[4:], order[2:4], order[:2])]
    for rung, scores in enumerate(rungs):
        assert all(0 <= score - rung <= 1 for score in scores)
    assert max(rungs[0]) < min(rungs[1]) <= max(rungs[1]) < min(rungs[2])


def test_autopair_refuses_a_budget_below_one_step() -> None:
    least = 2 * step_of(*PAIRS)  # two rungs: the first has half of it
    message = rf"params\.yaml: search\.autopair\.flops: .* raise it to at least {least}$"
    with pytest.raises(HymaError, match=message):
        run("autopair", toy(), batch=60, flops=least - 1)
    steps = run("autopair", toy(), batch=60, flops=least).notes["steps a pair, by rung"]
    assert steps == f"1, {step_of(*PAIRS) // step_of('plain-turned', 'wide-turned')}"


def test_ties_are_settled_by_lot_and_not_by_the_order_of_params_yaml() -> None:
    """Features that tell nothing: all four pairs score 0, and some seed keeps each of them."""
    data = toy(100)
    alike = replace(
        data,
        images={slug: torch.ones(100, width) for slug, width in (("plain", 12), ("wide", 16))},
        texts={slug: torch.ones(100, width) for slug, width in (("turned", 20), ("noise", 10))},
    )
    found = [run("autopair", alike, seed, batch=60, flops=2 * step_of(*PAIRS)).scores for seed in range(12)]
    assert all(sorted(scores.values()) == [0, 0, 1, 1] for scores in found)
    assert {pair for scores in found for pair, score in scores.items() if score == 1} == set(PAIRS)


@each
@pytest.mark.parametrize("kind", ["l2", "standardise"])
def test_constant_features_do_no_harm(name: str, kind: str) -> None:
    data = toy()
    data.images["plain"][:] = 0.3
    data.texts["noise"][:] = 0
    method = methods.load(name)
    connector = CONNECTOR.model_copy(update={"normalise": kind})
    found = method.search(data, validate(ENOUGH[name], method.Params), connector, 0)
    assert list(found.scores) == PAIRS
    best = found.scores["wide-turned"]
    assert all(found.scores[pair] < best - 0.5 for pair in PAIRS if pair != "wide-turned")
    assert all(weight.isfinite().all() for s in found.stitches.values() for weight in s.connector.values())


@each
def test_pairs_left_out_of_training_fail(name: str) -> None:
    data = toy()
    found = run(name, replace(data, left_out=frozenset({("wide", "turned")})), **ENOUGH[name])
    seen = [pair for pair in PAIRS if pair != "wide-turned"]
    assert list(found.scores) == list(found.stitches) == seen
    assert list(found.failed) == ["wide-turned"]
    assert "left out of training" in found.failed["wide-turned"]
    assert run(name, data, **ENOUGH[name]).failed == {}


@each
def test_seed(name: str) -> None:
    first, again, other = (run(name, toy(), seed, **ENOUGH[name]) for seed in (1, 1, 2))
    assert same(first, again)
    assert first.flops == again.flops
    assert not same(first, other)
    assert first.history == {}  # the steps of different pairs make no common curve


@each
def test_loss_that_is_not_finite_names_the_method(name: str) -> None:
    with pytest.raises(HymaError, match="not finite") as error:
        run(name, toy(), **ENOUGH[name] | {"lr": 1e38, "clip": 1e9, "batch": 20})
    assert str(error.value).startswith(methods.load(name).LABEL)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("cgs", {"samples": 0}, "search.cgs.samples: input should be greater than or equal to 1"),
        ("cgs", {"samples": 500, "epochs": 3}, "search.cgs.epochs: unknown key"),
        ("autopair", {"flops": 1e9, "epochs": 3}, "search.autopair.epochs: unknown key"),
        ("autopair", {"flops": 0}, "search.autopair.flops: input should be greater than 0"),
        ("autopair", {"flops": 1e9, "keep": 1}, "search.autopair.keep: input should be less than 1"),
        ("autopair", {"flops": 1e9, "keep": 0}, "search.autopair.keep: input should be greater than 0"),
        ("grid_large", {"batch": 1}, "search.grid_large.batch: input should be greater than or equal to 2"),
    ],
)
def test_params_out_of_range(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(HymaError, match=message.replace(".", r"\.")):
        run(name, toy(), **changes)


def test_defaults() -> None:
    assert methods.load("cgs").Params().batch == HymaParams.RULES["batch"](
        PLENTY, {}
    )  # to show what HYMA shows
    assert methods.load("grid_large").Params().batch == 16384
    assert methods.load("autopair").Params().keep == 0.5


def test_by_rule_cgs_shows_every_pair_what_hyma_does() -> None:
    own = validate({}, methods.load("cgs").Params, sizes=PLENTY)
    hyma = validate({}, HymaParams, sizes=PLENTY)
    assert hyma.bm == len(PLENTY.pairs) == 4  # all pairs in every step
    epoch = PLENTY.train // hyma.batch
    assert (own.batch, own.samples) == (hyma.batch, hyma.epochs * epoch * hyma.batch)
    # Of so little data that it would see less than all of it once, it sees all.
    seen = Shapes.expected({f"i{n}": 12 for n in range(50)}, PLENTY.texts, (100_000, 100_000), CONNECTOR, 0)
    assert validate({}, methods.load("cgs").Params, sizes=seen).samples == seen.train


def test_by_rule_autopair_spends_an_eighth_of_grid_search() -> None:
    whole = grid.cost(PLENTY, validate({}, GridParams, sizes=PLENTY))
    found = validate({}, methods.load("autopair").Params, sizes=PLENTY)
    assert found.flops == pytest.approx(sum(whole.values()) / 8)

"""Refinement: the best pairs go on from where HYMA ended, on a budget kept to the last step."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hyma.common.errors import HymaError
from hyma.search import refine
from hyma.search.params import RefineParams
from hyma.stitching import flops, grid
from hyma.stitching.connectors import Connector, load
from hyma.stitching.params import GridParams
from hyma.stitching.result import SearchResult, as_record, save
from tests.test_search import CONNECTOR, run, toy

PARAMS = RefineParams(top=2, flops=1e8, batch=60, lr=0.01)
GOOD = ["plain-turned", "wide-turned"]


def before(epochs: int = 1) -> SearchResult:
    """A search that stopped early, so that there is something left to gain."""
    return run("dense", toy(), epochs=epochs, lr=0.003)


def refined(found: SearchResult, **changes: Any) -> SearchResult:
    params = PARAMS.model_copy(update=changes)
    return refine.search(toy(), params, CONNECTOR, 0, as_record(found), found.stitches)


def ranked(*best: str) -> SearchResult:
    """Whatever its connectors are worth, these pairs come first."""
    found = before()
    return replace(found, scores={pair: 1.0 - 0.1 * (pair not in best) for pair in found.scores})


def step_of(image: int, text: int, batch: int = 60) -> float:
    """FLOPs of a step on the connector text → 32 → image, by hand."""
    first, second = 2 * batch * text * 32, 2 * batch * 32 * image
    adamw = 14 * (text * 32 + 32 + 32 * image + image)
    return 2 * first + 3 * second + 2 * (2 * batch**2 * image) + adamw


BOTH = step_of(12, 20) + step_of(16, 20)


def equal(one: Connector, other: Connector) -> bool:
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


@pytest.mark.parametrize(("budget", "steps"), [(BOTH, 1), (2 * BOTH - 1, 1), (2 * BOTH, 2), (7.5 * BOTH, 7)])
def test_budget_is_kept_to_the_flop(budget: float, steps: int) -> None:
    found = ranked(*GOOD)
    own = refined(found, flops=budget)
    assert own.steps == found.steps + 2 * steps
    assert own.notes == {"refined": "plain-turned, wide-turned", "steps a pair": str(steps)}
    parts = dict(own.flops)
    assert parts.pop("the search before") == sum(found.flops.values())
    assert sum(parts.values()) == steps * BOTH <= budget
    assert parts == {
        name: steps * (plain + wide)
        for (name, plain), wide in zip(pair_cost("plain"), dict(pair_cost("wide")).values(), strict=True)
    }


def pair_cost(image: str) -> list[tuple[str, float]]:
    pair = (image, "turned")
    return list(flops.grid({pair: toy().spec(pair, CONNECTOR)}, 60, 1).items())


def test_too_small_a_budget_names_the_smallest() -> None:
    found = ranked(*GOOD)
    for top, least in ((2, BOTH), (1, step_of(12, 20))):
        with pytest.raises(
            HymaError, match=r"^params\.yaml: refine\.flops: .* raise it to at least "
        ) as caught:
            refined(found, top=top, flops=least - 1)
        message = str(caught.value)
        assert f"too small for one step of {top} pairs" in message
        named = float(message.split("at least ")[1].split(",")[0])
        assert named == least
        # What the message names is enough.
        assert refined(found, top=top, flops=named).notes["steps a pair"] == "1"


def test_only_the_best_are_trained() -> None:
    found = ranked("wide-turned", "plain-noise")
    weights = {
        pair: {name: weight.clone() for name, weight in stitch.connector.items()}
        for pair, stitch in found.stitches.items()
    }
    own = refined(found)
    assert own.label == "HYMA, best pairs refined"
    assert list(own.scores) == list(own.stitches) == list(found.scores)
    for pair, stitch in own.stitches.items():
        assert equal(stitch.connector, weights[pair]) == (pair in ("plain-turned", "wide-noise"))
        assert equal(found.stitches[pair].connector, weights[pair])  # what was handed in stays as it was
        if pair in ("plain-turned", "wide-noise"):
            assert own.scores[pair] == found.scores[pair]
    assert own.seconds > found.seconds
    assert own.cpu_seconds > found.cpu_seconds > 0
    assert own.threads == found.threads == torch.get_num_threads()


def test_refinement_is_grid_search_from_there() -> None:
    found = ranked("wide-turned")
    own = refined(found, top=1, flops=12 * step_of(16, 20))
    settings = GridParams(batch=60, lr=0.01, epochs=2, weight_decay=0)  # 12 steps
    start = found.stitches["wide-turned"].connector
    expected = grid.train_pair(toy(), settings, CONNECTOR, 0, ("wide", "turned"), start=start)
    assert expected.steps == 12
    assert equal(own.stitches["wide-turned"].connector, expected.stitches["wide-turned"].connector)
    assert own.scores["wide-turned"] == expected.scores["wide-turned"]


def test_held_out_score_improves() -> None:
    found = before()
    best = sorted(found.scores, key=lambda pair: -found.scores[pair])[:2]
    assert max(found.scores.values()) < 0.9
    own = refined(found, top=4, flops=2e8)
    for pair in GOOD:
        assert own.scores[pair] > max(0.9, found.scores[pair])
    assert refined(found).notes["refined"] == ", ".join(best)


def test_more_than_there_are() -> None:
    own = refined(before(), top=9)
    assert set(own.notes["refined"].split(", ")) == {
        "plain-turned",
        "wide-turned",
        "plain-noise",
        "wide-noise",
    }


def test_a_loss_that_is_not_finite_is_refinements_own() -> None:
    with pytest.raises(HymaError, match=r"^HYMA, best pairs refined plain-turned: loss or gradient is not"):
        refined(ranked(*GOOD), lr=1e38, clip=1e9)


@pytest.mark.parametrize("decoder", ["dense", "factorised"])
def test_from_disk(tmp_path: Path, decoder: str) -> None:
    """As the stage does it: the record and the connectors read back are as good as those in memory."""
    found = run(decoder, toy(), epochs=1)
    save(found, tmp_path)
    stitches = load(tmp_path / "result.safetensors")
    own = refine.search(toy(), PARAMS, CONNECTOR, 0, as_record(found), stitches)
    expected = refined(found)
    assert (own.scores, own.flops, own.notes) == (expected.scores, expected.flops, expected.notes)
    save(own, tmp_path, "refined")
    assert load(tmp_path / "refined.safetensors").keys() == found.stitches.keys()

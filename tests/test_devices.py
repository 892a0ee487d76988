"""Searches on a pretended GPU: nothing of the CPU meets what lies on the device, and the result is the CPU's."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from hyma import methods
from hyma.common import device
from hyma.evaluation.assess import embed_image, embed_text
from hyma.search import hyma_search, refine
from hyma.search.params import HymaParams, RefineParams
from hyma.stitching import grid, training_set
from hyma.stitching.connectors import tensors
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import SearchResult, as_record
from hyma.stitching.training_set import TrainingFeatures, assemble
from tests.pretend import CUDA, MixedError, gpu

CONNECTOR = ConnectorParams(hidden=16, holdout=0.1, normalise="standardise")
SETTINGS: dict[str, dict[str, Any]] = {
    "autopair": {"flops": 2e7, "batch": 64},
    "cgs": {"samples": 320, "batch": 64},
    "cross": {"batch": 64, "epochs": 1},
    "grid_large": {"epochs": 1},
    "hyma_two_sided": {"batch": 64, "epochs": 1, "components": 4},
}
"""What methods need beyond their defaults."""
Search = Callable[[TrainingFeatures], SearchResult]


def features(device: str) -> TrainingFeatures:
    rng = np.random.default_rng(0)
    latent_NK = rng.normal(size=(200, 6))
    made = [
        (latent_NK @ rng.normal(size=(6, width)) + rng.normal(size=(200, width))).astype(np.float32)
        for width in (9, 12, 10, 8)
    ]
    return assemble(
        {"a": [made[0]], "b": [made[1]]},
        {"s": [made[2]], "t": [made[3]]},
        np.arange(200),
        CONNECTOR,
        0,
        torch.device(device),
    )


def trained(decoder: Any, components: int = 256) -> Search:
    own = HymaParams(decoder=decoder, bm=2, batch=64, epochs=2, components=components, balance=True)
    return lambda given: hyma_search.search(given, own, CONNECTOR, 0)


def by_grid(given: TrainingFeatures) -> SearchResult:
    return grid.search(given, GridParams(batch=64, epochs=2), CONNECTOR, 0)


def refined(given: TrainingFeatures) -> SearchResult:
    before = trained("factorised")(given)
    on_disk = {pair: stitch.to(torch.device("cpu")) for pair, stitch in before.stitches.items()}
    own = RefineParams(top=2, flops=1e8)
    return refine.search(given, own, CONNECTOR, 0, as_record(before), on_disk)


def of(name: str) -> Search:
    module = methods.load(name)
    params = module.Params(**SETTINGS.get(name, {}))
    return lambda given: module.search(given, params, CONNECTOR, 0)


SEARCHES = {
    "grid": by_grid,
    "factorised": trained("factorised"),
    "randomised": trained("factorised", 2),
    "dense": trained("dense"),
    "refine": refined,
} | {name: of(name) for name in methods.known()}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", SEARCHES)
def test_all_that_a_search_computes_lies_on_its_device(
    name: str, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_set, "fits", lambda *_: not streamed)
    expected = SEARCHES[name](features("cpu"))
    with gpu() as marks:
        found = SEARCHES[name](features("cuda"))
        for stitch in found.stitches.values() if name != "refine" else ():
            assert stitch.device == CUDA
            assert all(weight in marks for weight in stitch.connector.values())
        kept = {pair: tensors(pair, stitch) for pair, stitch in found.stitches.items()}
    assert found.scores == pytest.approx(expected.scores, rel=1e-9)
    assert found.history == expected.history
    for pair, stitch in expected.stitches.items():
        torch.testing.assert_close(kept[pair], tensors(pair, stitch))


def test_connectors_are_judged_where_they_lie() -> None:
    expected = trained("dense")(features("cpu")).stitches["a-s"]
    image_ND, text_NE = np.ones((3, 9), np.float32), np.ones((3, 10), np.float32)
    with gpu():
        stitch = trained("dense")(features("cuda")).stitches["a-s"]
        found = embed_image(stitch, image_ND), embed_text(stitch, text_NE)
    assert np.array_equal(found[0], embed_image(expected, image_ND))
    assert np.array_equal(found[1], embed_text(expected, text_NE))


def test_a_stitch_moves_as_a_whole() -> None:
    with gpu() as marks:
        stitch = by_grid(features("cuda")).stitches["a-s"]
        assert stitch.image_normaliser.mean in marks
        moved = stitch.to(torch.device("cpu"))
        assert moved.device == torch.device("cpu")
        assert moved.text_normaliser.std not in marks
        moved.text_normaliser.std.numpy()


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: torch.ones(3, device="cuda") + torch.ones(3),
        lambda: torch.ones(3)[torch.zeros(2, dtype=torch.long, device="cuda")] * torch.ones(2, device="cuda"),
        lambda: (torch.ones(2, 2).to("cuda") @ torch.ones(2, 2)).sum(),
        lambda: torch.ones(3, device="cuda").numpy(),
        lambda: torch.rand(3, device="cuda", generator=torch.Generator()),
    ],
)
def test_the_pretended_gpu_refuses(mistake: Callable[[], Any]) -> None:
    with gpu(), pytest.raises(MixedError):
        mistake()


def test_the_pretended_gpu_allows_what_a_gpu_does() -> None:
    with gpu() as marks:
        table = torch.arange(6.0).to("cuda")
        assert table[torch.tensor([1, 2])] in marks
        assert table * torch.tensor(2.0) in marks
        assert table.cpu() not in marks
        assert table.device == CUDA


def test_cublas_is_told_to_repeat_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    device.resolve("cpu")
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    assert device.resolve("auto") == torch.device("cuda")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    device.resolve("cuda")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"

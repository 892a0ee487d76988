"""Tables of features: rows of a streamed one are those of a resident one."""

from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from hyma.methods import load
from hyma.search import hyma_search
from hyma.search.params import HymaParams
from hyma.stitching import grid
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.table import Streamed, fits, mapped
from tests.test_search import CPU, toy

FEATURE_ND = np.arange(60, dtype=np.float32).reshape(20, 3)
CONNECTOR = ConnectorParams(kind="mlp1", hidden=16, normalise="standardise", logit_scale=20)
HYMA: dict[str, Any] = {"batch": 60, "epochs": 2, "bm": 2, "samples": 200, "components": 8}


@pytest.mark.parametrize("sizes", [[20], [7, 7, 6], [1, 19]])
def test_rows_are_those_of_the_file(sizes: list[int]) -> None:
    made = Streamed(np.split(FEATURE_ND, np.cumsum(sizes)[:-1]), CPU)
    rows = torch.tensor([19, 0, 6, 7, 7, 13, 1])
    assert made[rows].tolist() == FEATURE_ND[rows.numpy()].tolist()
    assert (len(made), made.shape) == (20, (20, 3))
    assert made[rows[:0]].shape == (0, 3)


def test_functions_of_rows() -> None:
    made = Streamed(np.split(FEATURE_ND, [8]), CPU)
    resident = torch.from_numpy(FEATURE_ND)
    rows = torch.tensor([3, 12])

    def narrow(feature_ND: torch.Tensor) -> torch.Tensor:
        return feature_ND[:, :2] + 1

    chained = mapped(mapped(made, narrow), torch.square)
    assert chained.shape == (20, 2)
    assert torch.equal(chained[rows], mapped(mapped(resident, narrow), torch.square)[rows])


def test_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = type("Memory", (), {"available": 1000})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert [fits(size, CPU) for size in (1, 233, 234)] == [True, True, False]  # three copies in 70%


METHODS = ["grid", "factorised", "two-sided", "dense", "cca", "gcca", "mutual_knn"]


@pytest.mark.parametrize("normalise", ["standardise", "l2"])
@pytest.mark.parametrize("method", METHODS)
def test_streamed_searches_find_the_same(method: str, normalise: Any) -> None:
    """As good as the same: products of few rows and of many differ in their last bits."""
    data, connector = toy(300, captions=2), CONNECTOR.model_copy(update={"normalise": normalise})
    away = {
        side: {
            slug: Streamed(own.numpy().copy()[None].reshape(2, -1, own.shape[1]), CPU)
            for slug, own in of.items()
        }
        for side, of in (("images", data.images), ("texts", data.texts))
    }
    results = []
    for features in (data, replace(data, **away)):
        if method == "grid":
            results.append(grid.search(features, GridParams(batch=60, epochs=2), connector, 0))
        elif method in ("cca", "gcca", "mutual_knn"):
            module = load(method)
            results.append(module.search(features, module.Params(), connector, 0))
        else:
            params = HymaParams(decoder="dense" if method == "dense" else "factorised", widths=[16], **HYMA)
            results.append(hyma_search.search(features, params, connector, 0, method == "two-sided"))
    resident, streamed = results
    assert streamed.scores == pytest.approx(resident.scores, abs=0.03)
    assert streamed.history.get("loss", []) == pytest.approx(resident.history.get("loss", []), rel=1e-3)
    for pair, stitch in resident.stitches.items():
        for name, weight in stitch.connector.items():
            torch.testing.assert_close(streamed.stitches[pair].connector[name], weight, rtol=1e-2, atol=1e-2)

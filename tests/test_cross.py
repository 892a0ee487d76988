"""One row and one column of the grid: what is trained, what is filled in."""

import pytest

from hyma.methods import cross
from hyma.stitching import flops, grid
from hyma.stitching.params import ConnectorParams
from tests.test_search import toy

CONNECTOR = ConnectorParams(kind="mlp1", hidden=16, normalise="standardise", logit_scale=20)
PARAMS = cross.Params(batch=60, epochs=4, lr=0.01)


def test_effects_add_up_by_hand() -> None:
    pairs = [(image, text) for image in "ab" for text in "xyz"]
    known = {("a", "x"): 0.5, ("a", "y"): 0.3, ("a", "z"): 0.1, ("b", "x"): 0.7}
    found = cross.filled(known, pairs)
    assert found == pytest.approx({"a-x": 0.5, "a-y": 0.3, "a-z": 0.1, "b-x": 0.7, "b-y": 0.5, "b-z": 0.3})


def test_trains_a_row_and_a_column_as_grid_search_does() -> None:
    features = toy()
    features.images["double"] = 2 * features.images["plain"]
    found = cross.search(features, PARAMS, CONNECTOR, 0)
    every = grid.search(features, PARAMS, CONNECTOR, 0)
    same = [pair for pair in every.scores if found.scores[pair] == every.scores[pair]]
    assert len(found.scores) == 6
    assert len(same) >= 4  # 3 + 2 − 1
    assert found.stitches == {}
    specs = {pair: features.spec(pair, CONNECTOR) for pair in features.pairs if "-".join(pair) in same[:4]}
    assert found.steps == 4 * 24
    assert sum(found.flops.values()) < sum(flops.grid(specs, 60, 24).values()) * 1.5


def test_a_single_pair_is_grid_search() -> None:
    features = toy()
    del features.images["wide"], features.texts["noise"]
    found = cross.search(features, PARAMS, CONNECTOR, 0)
    assert found.scores == grid.search(features, PARAMS, CONNECTOR, 0).scores

"""The studies: how pairs are parted, what is predicted for unseen ones, how seeds are put together, the pages."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyma.common.params import Section, validate
from hyma.evaluation.halves import HALVES, Half
from hyma.ranking.agreement import agreement
from hyma.report.studies import pages, pictures
from hyma.search import hyma_search
from hyma.search.params import HymaParams
from hyma.stitching import flops, grid
from hyma.stitching.connectors import ConnectorSpec, Stitch
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.studies import bm, budget, unseen
from hyma.studies.judge import Halves, as_scores, compare, mean_scores
from hyma.studies.params import StudiesParams
from hyma.studies.seeds import one_seed, summarise
from hyma.studies.unseen import additive, folds, one_partner
from tests.test_search import toy

Json = dict[str, Any]
CONNECTOR = ConnectorParams(kind="mlp1", hidden=16, normalise="standardise", logit_scale=20)
HYMA = HymaParams(bm=4, batch=60, epochs=4, lr=0.02, samples=200, components=12)
GRID = GridParams(batch=60, epochs=8, lr=0.01)
NAMES = ["a-t", "b-t", "c-t"]
PAIRS = ["plain-turned", "plain-noise", "wide-turned", "wide-noise"]


class HeldOut:
    """Judges connectors by the toy's held-out rows, in place of benchmarks; two of them, the second coarser."""

    def __init__(self) -> None:
        self.features = toy()
        self.evaluators = {"fine": None, "coarse": None}

    def items(
        self, stitches: dict[str, Stitch], salts: Sequence[int] = (0,)
    ) -> dict[int, dict[Half, dict[str, np.ndarray]]]:
        """Even and odd rows are the halves; an odd salt swaps them."""
        own = self.all_items(stitches)
        return {
            salt: {
                half: {name: rows[:, (first + salt) % 2 :: 2] for name, rows in own.items()}
                for first, half in enumerate(HALVES)
            }
            for salt in salts
        }

    def all_items(self, stitches: dict[str, Stitch]) -> dict[str, np.ndarray]:
        found: dict[str, list[np.ndarray]] = {"fine": [], "coarse": []}
        for pair, stitch in stitches.items():
            image, text = pair.split("-")
            rows = self.features.held_out
            image_ND = stitch.embed_image(self.features.images[image][self.features.image_of_text_M[rows]])
            similarity = stitch.embed_text(self.features.texts[text][rows]) @ image_ND.T
            rank = (similarity > similarity.diagonal()[:, None]).sum(1)
            found["fine"].append((rank < 1).float().numpy())
            found["coarse"].append((rank < 8).float().numpy())
        return {name: np.stack(rows) for name, rows in found.items()}

    def scores(self, stitches: dict[str, Stitch]) -> Halves:
        return Halves(*(as_scores(self.items(stitches)[0][half], list(stitches)) for half in HALVES))


@pytest.fixture(scope="module")
def judge() -> Any:
    return HeldOut()


@pytest.fixture(scope="module")
def trained() -> SearchResult:
    return grid.search(toy(), GRID, CONNECTOR, 0)


@pytest.mark.parametrize(("images", "texts", "count"), [(9, 3, 3), (4, 2, 2), (3, 5, 4), (1, 1, 3)])
def test_folds_part_all_pairs_and_leave_every_encoder_some(images: int, texts: int, count: int) -> None:
    left, right = [f"i{n}" for n in range(images)], [f"t{n}" for n in range(texts)]
    parts = folds(left, right, count)
    assert sorted(itertools.chain(*parts)) == sorted(itertools.product(left, right))
    for part in parts:
        if texts > 1 and images > 1:
            for side, names in ((0, left), (1, right)):
                kept = {pair[side] for pair in itertools.product(left, right) if pair not in part}
                assert kept == set(names)


def test_one_partner_keeps_a_single_pair_of_the_text_encoder() -> None:
    assert one_partner(["a", "b", "c"], ["x", "y"]) == {
        "x": [("b", "x"), ("c", "x")],
        "y": [("b", "y"), ("c", "y")],
    }


def test_additive_is_exact_where_effects_add_up() -> None:
    images, texts = {"a": 0.1, "b": 0.3, "c": 0.6}, {"x": 0.05, "y": 0.2}
    truth = {f"{i}-{t}": up + right for i, up in images.items() for t, right in texts.items()}
    pairs = [(i, t) for i in images for t in texts]
    left = [("a", "x"), ("c", "y")]
    found = additive(truth, left, pairs)
    assert found == pytest.approx({"a-x": 0.15, "c-y": 0.8})
    # It never looks at what it predicts.
    assert additive(truth | {"a-x": 9.0}, left, pairs) == pytest.approx(found)


def test_figures_by_hand() -> None:
    oracle = {"one": {"a": 0.4, "b": 0.2, "c": 0.0}, "two": {"a": 0.2, "b": 0.6, "c": 0.1}}
    own = {"one": {"a": 0.4, "b": 0.3, "c": 0.1}, "two": {"a": 0.9, "b": 0.5, "c": 0.1}}
    assert mean_scores(oracle) == pytest.approx({"a": 0.3, "b": 0.4, "c": 0.05})
    other = {name: {pair: score / 2 for pair, score in of.items()} for name, of in own.items()}
    found = compare(oracle, Halves(own, other))
    assert found["spearman"] == pytest.approx(0.5)  # b, a, c against a, b, c
    assert found["spearman_benchmarks"] == pytest.approx((1 + 0.5) / 2)
    assert found["relative_regret"] == pytest.approx((0.4 - 0.3) / 0.4)
    assert found["mean_score"] == pytest.approx((0.8 + 1.5) / 6 / 2)  # what it is worth is the other half's


def run_of(shift: float, noise: list[float]) -> Json:
    """One seed's results by hand: the oracle scores 0.1, 0.2, 0.3 and a bit; `lot` scores all alike."""
    grid_scores = {pair: 0.1 * n + extra for n, (pair, extra) in enumerate(zip(NAMES, noise, strict=True), 1)}
    own = {"a-t": 0.3 + shift, "b-t": 0.2, "c-t": 0.1}
    common = {
        "seconds": 2.0 + shift,
        "cpu_seconds": 4.0 + shift,
        "flops": 10.0,
        "bootstrap": {"spearman": None, "relative_regret": None},
    }
    one = common | {"connectors": True}
    return {
        "grid": one | {"label": "grid search"} | scored(grid_scores),
        "turned": one | {"label": "turned"} | scored(own),
        "lot": common
        | {"label": "lot", "connectors": False, "report": {}, "choose": {"x": dict.fromkeys(NAMES, 1.0)}},
    }


def scored(scores: dict[str, float]) -> Json:
    """The same on both halves, whatever the salt of three."""
    return {"choose": {"x": scores}, "report": {str(salt): {"x": scores} for salt in range(3)}}


def test_seeds_put_together_by_hand() -> None:
    runs = dict(enumerate([run_of(0.0, [0, 0, 0]), run_of(0.3, [0, 0, 0]), run_of(0.6, [0, 0.15, 0])]))
    found = summarise(runs, "grid")
    grid_found = found["methods"]["grid"]
    # The first two seeds rank alike, the third swaps two of three pairs: ρ 1 with one, 0.5 with the other.
    assert grid_found["spearman"]["values"] == pytest.approx([0.75, 0.75, 0.5])
    assert grid_found["picks"] == ["c-t", "c-t", "b-t"]
    turned = found["methods"]["turned"]
    assert turned["spearman"]["values"] == pytest.approx([(-1 - 1 - 0.5) / 3] * 3)
    assert turned["seconds"]["mean"] == pytest.approx(2.3)
    assert turned["cpu_seconds"]["mean"] == pytest.approx(4.3)
    assert turned["seconds"]["low"] < 2.0 < 2.6 < turned["seconds"]["high"]
    lot = found["methods"]["lot"]
    assert lot["spearman"]["mean"] == 0.0
    assert lot["picks"] == [None] * 3
    assert lot["mean_score"] is None


def test_one_seed_and_its_bootstrap(judge: Any, trained: SearchResult) -> None:
    counted = replace(trained, flops=grid.cost(Shapes.of(toy(), CONNECTOR, 0), GRID))
    specs = {pair: toy().spec(pair, CONNECTOR) for pair in toy().pairs}
    assert sum(counted.flops.values()) == sum(flops.grid(specs, 60, 8 * 6).values())
    alike = SearchResult("lot", dict.fromkeys(PAIRS, 0.0), 0.0, {"nothing": 0.0})
    found = one_seed({"grid": counted, "lot": alike}, judge, "grid", PAIRS, 200, 1, [0, 1])
    # An odd salt swaps the halves of the even one.
    scores = judge.scores(trained.stitches)
    assert found["grid"]["choose"] == found["grid"]["report"]["0"] == scores.report
    assert found["grid"]["report"]["1"] == scores.choose
    assert (found["lot"]["choose"]["fine"], found["lot"]["report"]) == (alike.scores, {})
    low, high = found["grid"]["bootstrap"]["mean_score"]
    assert low < np.mean(list(mean_scores(scores.choose).values())) < high
    low, high = found["grid"]["bootstrap"]["spearman"]
    assert 0 < low <= high <= 1  # each half is drawn by itself
    assert found["lot"]["bootstrap"]["spearman"] == [0.0, 0.0]
    assert found["lot"]["bootstrap"]["mean_score"] is None


def test_unseen_pairs_on_the_toy(judge: Any) -> None:
    left: list[frozenset[Any]] = []

    def search(data: Any) -> SearchResult:
        left.append(data.left_out)
        own = HYMA.model_copy(update={"bm": len(data.seen)})
        return hyma_search.search(data, own, CONNECTOR, 0)

    # Three image encoders, so that the folds are large enough to rank.
    features = toy()
    features.images["double"] = 2 * features.images["plain"]
    judge.features.images["double"] = features.images["double"]
    oracle = judge.scores(grid.search(features, GRID, CONNECTOR, 0).stitches)
    found = unseen.study(features, {"hyma": ("HYMA", search)}, judge, oracle, 2)
    assert [case["pairs"] for case in found["folds"]] == [3, 3]
    assert {len(pairs) for pairs in left[:2]} == {3}
    first, names = found["folds"][0], ["-".join(pair) for pair in left[0]]
    again = search(replace(features, left_out=left[0]))
    both = judge.scores({name: again.stitches[name] for name in names})
    own, truth = mean_scores(both.choose), {name: mean_scores(oracle.report)[name] for name in names}
    assert first["methods"]["hyma"]["spearman"] == agreement(truth, own)["spearman"]
    assert first["methods"]["hyma"]["regret"] == agreement(truth, own)["regret"]
    worth = np.mean(list(mean_scores(both.report).values()))
    assert first["methods"]["hyma"]["mean_score"] == pytest.approx(worth)
    page = pages.unseen_page(found)
    assert "fold 1 (3 pairs): ρ" in page
    assert "HYMA" in page
    assert "nan" not in page.lower()


def test_bm_study(judge: Any, trained: SearchResult, tmp_path: Path) -> None:
    oracle = judge.scores(trained.stitches)
    found = bm.study(toy(), HYMA, CONNECTOR, 0, [1, 2, 4, 27], judge, oracle)
    assert [row["bm"] for row in found["steps"]] == [1, 2, 4]
    assert found["skipped"] == [27]
    assert len({row["steps"] for row in found["steps"]}) == 1
    assert [row["epochs"] for row in found["data"]] == [16, 8, 4]
    assert [row["flops"] for row in found["steps"]] == sorted(row["flops"] for row in found["steps"])
    page = pages.bm_page(found)
    assert "bm = 27" in page
    pictures.pairs_a_step(tmp_path / "bm.png", found)
    assert (tmp_path / "bm.png").stat().st_size > 10_000


def test_budget_study(judge: Any, trained: SearchResult) -> None:
    found = budget.study(toy(), HYMA, GRID, CONNECTOR, 0, judge, judge.scores(trained.stitches))
    # 360 captions, 6 batches of 60 in each of 4 epochs, every pair in every step.
    assert found["budget"] == 4 * 360
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["grid search, all data"]["seen"] == 8 * 360
    oracle = judge.scores(trained.stitches)
    halves = mean_scores(oracle.report), mean_scores(oracle.choose)
    assert rows["grid search, all data"]["spearman"] == agreement(*halves)["spearman"]
    assert rows["grid search, random part"]["captions"] == 4 * 360 // 8
    assert all(
        row["seen"] == found["budget"] for name, row in rows.items() if name != "grid search, all data"
    )
    alone, together = rows["HYMA, each pair alone"], rows["HYMA, all pairs together"]
    assert alone["flops"] > together["flops"]
    page = pages.budget_page(found)
    assert "Learning together" in page


def test_batches_by_hand() -> None:
    specs = {("i", "t"): ConnectorSpec("linear", 10, 20)}
    small, large = budget.batches(specs, 1000, 2, (100, 5000))
    assert (small["batch"], small["steps"]) == (100, 20)
    assert (large["batch"], large["steps"]) == (1000, 2)
    assert small["loss"] == 20 * 4 * 100**2 * 20
    assert large["loss"] == pytest.approx(10 * small["loss"])


def test_pages_and_pictures(tmp_path: Path) -> None:
    runs = [
        run_of(shift, noise) for shift, noise in ((0.0, [0, 0, 0]), (0.3, [0, 0.15, 0]), (0.5, [0, 0, 0.1]))
    ]
    for run in runs:
        for entry in run.values():
            entry["bootstrap"] = {"spearman": [0.1, 0.9], "relative_regret": [0.0, 0.25], "mean_score": None}
    summary = summarise(dict(enumerate(runs)), "grid")
    page = pages.seeds_page(summary)
    assert "grid search agrees with itself at ρ = 0.667" in page
    assert "0.100 … 0.900" in page
    assert "| lot | any |" in page
    pictures.seeds(tmp_path / "seeds.png", summary)
    assert (tmp_path / "seeds.png").stat().st_size > 10_000


def test_params() -> None:
    own = {"seeds": [0, 1], "resamples": 200, "bm": [1], "folds": 2}
    assert validate(own, StudiesParams).seeds == [0, 1]
    assert issubclass(StudiesParams, Section)
    for key, wrong in (("seeds", [1, 1]), ("seeds", [1]), ("bm", [-1]), ("folds", 1), ("resamples", 5)):
        with pytest.raises(Exception, match=key):
            validate(own | {key: wrong}, StudiesParams)

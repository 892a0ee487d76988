"""Where records and connectors lie: found again method by method, grid search's put together from its pairs'."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hyma.common import experiment
from hyma.common.errors import HymaError
from hyma.common.files import write_json
from hyma.stitching import connectors, records
from hyma.stitching.connectors import ConnectorSpec, Stitch
from hyma.stitching.normalise import Normaliser
from hyma.stitching.result import SearchResult, save
from hyma.stitching.result import stitched as load_connectors

PAIRS = ["vit-bert", "vit-mini"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment's folder, with nothing in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stitch(seed: int, two_sided: bool = False) -> Stitch:
    spec, l2 = ConnectorSpec("linear", 3, 2, shared=4 if two_sided else None), Normaliser("l2")
    rng = torch.Generator().manual_seed(seed)
    image = connectors.initialise(ConnectorSpec("linear", 2, 4), rng) if two_sided else None
    return Stitch(spec, connectors.initialise(spec, rng), l2, l2, image)


def result(label: str, value: float, stitches: dict[str, Stitch]) -> SearchResult:
    return SearchResult(label, dict.fromkeys(PAIRS, value), 1.0, {"all": value}, stitches)


def test_methods_in_order() -> None:
    """The oracle first, those of params.yaml in its order; read back from where `check` writes them."""
    found = records.known(["cka", "cgs"], ["asked"])
    assert found == ["grid", "hyma", "refine", "cka", "cgs", "asked", "unimodal"]
    without = records.known(["cka"], ["asked"], oracle=False, refined=False)
    assert without == ["hyma", "cka", "asked", "unimodal"]
    experiment.write({section: ["a"] for section in experiment.SECTIONS} | {"methods": found})
    assert experiment.names("methods") == found
    assert experiment.names("benchmarks") == ["a"]


def test_folders() -> None:
    for place in ("recorded/asked", "untrained/cka", "trained/cgs"):
        Path(f"models/search/{place}").mkdir(parents=True)
    found = [str(records.folder(method)) for method in records.known(["cka", "cgs"], ["asked"])]
    own = ["models/grid", "models/hyma", "models/refine"]
    others = ("untrained/cka", "trained/cgs", "recorded/asked", "unimodal")
    assert found == own + [f"models/search/{name}" for name in others]
    assert records.of_pair("vit-bert") == Path("models/grid/vit-bert.json")
    assert records.files("grid", PAIRS) == [Path(f"models/grid/{pair}.safetensors") for pair in PAIRS]


def test_records_and_connectors_come_back() -> None:
    for seed, pair in enumerate(PAIRS):
        alone = SearchResult("grid search", {pair: 0.5 + seed}, 2.0, {}, {pair: stitch(seed)}, steps=3)
        save(alone, Path("models/grid"), pair)
    save(result("HYMA", 1, {pair: stitch(5, True) for pair in PAIRS}), records.folder("hyma"))
    save(result("CKA", 2, {}), records.folder("cka"))
    lost = result("C-GS", 3, {"vit-mini": stitch(7)})
    lost = replace(lost, scores={"vit-mini": 3}, failed={"vit-bert": "lost"})
    save(lost, records.folder("cgs"))
    found = {method: records.read(method, PAIRS) for method in ("grid", "hyma", "cka", "cgs")}
    assert [record["label"] for record in found.values()] == ["grid search", "HYMA", "CKA", "C-GS"]
    assert [record["connectors"] for record in found.values()] == [
        "one-sided",
        "two-sided",
        "none",
        "one-sided",
    ]
    assert found["grid"]["scores"] == {"vit-bert": 0.5, "vit-mini": 1.5}
    assert (found["grid"]["seconds"], found["grid"]["steps"]) == (4, 6)
    kept = {method: load_connectors(method, record, PAIRS) for method, record in found.items()}
    assert {method: list(own) for method, own in kept.items()} == {
        "grid": PAIRS,
        "hyma": PAIRS,
        "cka": [],  # scores alone
        "cgs": ["vit-mini"],  # the pair that failed has none
    }
    for method, pair, expected in (
        ("grid", "vit-mini", stitch(1)),
        ("hyma", "vit-bert", stitch(5, True)),
        ("cgs", "vit-mini", stitch(7)),
    ):
        assert torch.equal(kept[method][pair].connector["weight0"], expected.connector["weight0"])
        own = kept[method][pair].image_connector
        if expected.image_connector is None:
            assert own is None
        else:
            assert own is not None
            assert torch.equal(own["weight0"], expected.image_connector["weight0"])


def test_what_is_missing_is_named() -> None:
    with pytest.raises(HymaError, match=r"models/grid/vit-bert\.json: file not found"):
        records.read("grid", PAIRS)
    with pytest.raises(HymaError, match=r"models/search/trained/cka/result\.json: file not found"):
        records.read("cka", PAIRS)
    save(result("HYMA", 1, {"vit-bert": stitch(0)}), records.folder("hyma"))
    with pytest.raises(HymaError, match="no connector for pair vit-mini"):
        load_connectors("hyma", records.read("hyma", PAIRS), PAIRS)


def test_what_a_benchmark_says_is_put_together() -> None:
    """The searches' scores and those of the pairs trained on their own: grid search's first, by both protocols."""
    measured = {"metric": "recall", "protocol": "paper"}
    for part, method in (("benchmarks", "hyma"), ("grid", "grid")):
        protocols = {
            name: {"methods": {method: {"vit-bert": {"score": value}}}}
            for name, value in (("standard", 0.5), ("paper", 0.25))
        }
        write_json(Path(f"metrics/{part}/toy.json"), measured | {"protocols": protocols})
    found = records.benchmark("toy")
    assert (found["metric"], found["protocol"]) == ("recall", "paper")
    for name, value in (("standard", 0.5), ("paper", 0.25)):
        methods = found["protocols"][name]["methods"]
        assert list(methods.items()) == [(one, {"vit-bert": {"score": value}}) for one in ("grid", "hyma")]
    Path("metrics/grid/toy.json").unlink()
    with pytest.raises(HymaError, match=r"metrics/grid/toy\.json: file not found"):
        records.benchmark("toy")


def test_of_an_audit_grid_search_has_the_pairs_that_were_trained() -> None:
    alone = SearchResult("grid search", {"vit-mini": 0.5}, 2.0, {}, {"vit-mini": stitch(0)}, steps=3)
    save(alone, Path("models/grid"), "vit-mini")
    save(result("HYMA", 1, {pair: stitch(5) for pair in PAIRS}), records.folder("hyma"))
    found = records.read_all(["grid", "hyma"], PAIRS, ["vit-mini"])
    assert {name: list(record["scores"]) for name, record in found.items()} == {
        "grid": ["vit-mini"],
        "hyma": PAIRS,
    }

"""What a change of the experiment runs again: the stages, and of what they keep apart only what it concerns."""

import json
import re

from tests.project import METHODS, Project, without_instance

AFTER_SEARCH = {"evaluate", "rank", "report", "export"}
BENCHMARKS = ("imagenet", "cifar100", "coco", "flickr8k", "okvqa", "textvqa")


def repro(project: Project) -> tuple[list[str], list[str]]:
    """Run ``dvc repro``; the stages that ran, and the results in them that were kept."""
    printed = project.run("dvc", "repro")
    return project.ran(printed), re.findall(r"^(\S+): nothing that it depends on has changed", printed, re.M)


def test_switching_a_method_on_runs_it_and_what_follows(changing: Project) -> None:
    params = changing.params()
    params["search"]["methods"] += ["cknna"]
    changing.write_params(params)
    ran, kept = repro(changing)
    assert without_instance(ran) == {"check", "search", "probe"} | AFTER_SEARCH
    assert set(METHODS) <= set(kept)
    assert "cknna" not in kept
    assert (changing.folder / "models/search/methods/cknna/result.json").is_file()
    params["search"] |= {"methods": [], "recorded": {}}
    changing.write_params(params)
    ran, kept = repro(changing)
    assert without_instance(ran) == {"check", "search", "probe"} | AFTER_SEARCH
    assert not set(METHODS) & set(kept)
    ranking = json.loads((changing.folder / "metrics/ranking.json").read_text())
    assert list(ranking["methods"]) == ["grid", "hyma", "refine", "unimodal"]


def test_connector_kind_runs_all_searches_but_no_extraction(changing: Project) -> None:
    ran = changing.stages("exp", "run", "-n", "linear", "-S", "connector.kind=linear")
    searches = {"train_hyma", "train_grid", "refine", "search"}
    assert without_instance(ran) == {"check"} | searches | AFTER_SEARCH
    assert {"train_grid@vit", "train_grid@byobnet"} <= set(ran)


def test_another_encoder_extracts_one_and_trains_its_pairs(changing: Project) -> None:
    params = changing.params()
    params["image_encoders"]["third"] = dict(params["image_encoders"]["vit"])
    changing.write_params(params)
    ran = changing.stages("repro")
    own = {stage for stage in ran if stage.startswith(("extract", "train_grid", "prepare"))}
    assert own == {"extract_image@third", "train_grid@third"}
    trained = {file.stem for file in (changing.folder / "models/grid/third").glob("*.json")}
    assert trained == {f"third-{text}" for text in params["text_encoders"]}


def test_another_benchmark_is_encoded_and_nothing_else(changing: Project) -> None:
    params = changing.params()
    params["benchmarks"]["again"] = {"format": "coco", "path": "data/raw/coco"}
    changing.write_params(params)
    ran, kept = repro(changing)
    assert "prepare@again" in ran
    assert "again" in json.loads((changing.folder / "metrics/ranking.json").read_text())["benchmarks"]
    encoders = len(params["image_encoders"]) + len(params["text_encoders"])
    assert kept.count("training-captions") == encoders
    assert all(kept.count(f"benchmarks-{name}") == encoders for name in BENCHMARKS)
    assert "benchmarks-again" not in kept
    assert {f"{name}-{method}" for name in BENCHMARKS for method in ("grid", "hyma")} <= set(kept)
    assert set(METHODS) <= set(kept)  # the stage depends on all names, the methods do not
    assert not without_instance(ran) & {"train_hyma", "train_grid", "world"}

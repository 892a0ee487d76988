"""The real pipeline on a small experiment: what it leaves behind, and what a change runs again."""

import json

import pytest

from tests.project import METHODS, Project, without_instance

BENCHMARKS = ["imagenet", "cifar100", "coco", "flickr8k", "okvqa", "textvqa"]
AFTER_SEARCH = {"evaluate", "rank", "report", "page", "export"}


def test_run_ends_in_a_ranked_report(fresh_run: tuple[Project, list[str]]) -> None:
    project, ran = fresh_run
    ranking = json.loads((project.folder / "metrics/ranking.json").read_text())
    pairs = {f"{image}-{text}" for image in ("vit", "byobnet") for text in ("minilm", "words")}
    assert ranking["pairs"] == 4
    assert ranking["winner"]["pair"] in pairs
    assert list(ranking["benchmarks"]) == BENCHMARKS
    for content in ranking["benchmarks"].values():
        assert set(content["methods"]) == {"grid", "hyma", "refine", *METHODS, "ask_llm", "unimodal"}
    for name in BENCHMARKS:
        content = json.loads((project.folder / f"metrics/benchmarks/{name}.json").read_text())
        assert content["protocols"][content["protocol"]]["methods"]["grid"].keys() == pairs
    for method, cost in ranking["cost"].items():
        assert cost["flops"] == pytest.approx(sum(cost["parts"].values()))
        assert cost["seconds"] > 0
        assert (cost["flops"] > 0) == (method not in ("random", "ask_llm"))
    assert {m for m, of in ranking["methods"].items() if of["connectors"] == "two-sided"} == {
        "hyma_two_sided",
        "cca",
    }
    methods = (project.folder / "reports/methods.md").read_text()
    assert all(of["label"] in methods for of in ranking["methods"].values())
    page = (project.folder / "reports/ranking.md").read_text()
    assert f"**Stitch {ranking['winner']['pair'].replace('-', ' × ')}.**" in page
    assert len([stage for stage in ran if stage.startswith("train_grid@")]) == 4
    assert len(ran) == len(set(ran))


def test_second_run_runs_nothing(done: Project) -> None:
    assert done.stages("repro") == []
    assert "up to date" in done.run("dvc", "status", "dvc.yaml")


def test_bm_runs_the_hypernetwork_and_what_follows(changing: Project) -> None:
    ran = without_instance(changing.stages("exp", "run", "-n", "wide", "-S", "hyma.bm=3"))
    assert ran == {"check", "train_hyma", "refine", "profile"} | AFTER_SEARCH
    shown = json.loads(changing.run("dvc", "exp", "show", "--json"))
    assert "wide" in json.dumps(shown)
    table = changing.run("dvc", "exp", "show", "--csv")
    assert "hyma.spearman" in table
    assert "winner.score" in table


def test_switching_a_method_on_runs_it_and_what_follows(changing: Project) -> None:
    params = changing.params()
    params["search"]["methods"] += ["cknna"]
    changing.write_params(params)
    ran = changing.stages("repro")
    assert {stage for stage in ran if stage.startswith("search@")} == {"search@cknna"}
    assert without_instance(ran) == {"check", "search", "profile"} | AFTER_SEARCH
    params["search"] |= {"methods": [], "recorded": {}}
    changing.write_params(params)
    assert without_instance(changing.stages("repro")) == {"check", "profile"} | AFTER_SEARCH
    ranking = json.loads((changing.folder / "metrics/ranking.json").read_text())
    assert list(ranking["methods"]) == ["grid", "hyma", "refine", "unimodal"]


def test_studies_end_in_reports(changing: Project) -> None:
    ran = changing.stages("repro", "studies/dvc.yaml")
    assert without_instance(ran) == {
        "study_seeds",
        "study_unseen",
        "study_bm",
        "study_budget",
        "study_stability",
        "study_report",
    }
    summary = json.loads((changing.folder / "metrics/studies.json").read_text())
    assert list(summary["methods"]) == ["grid", "hyma", "refine", *METHODS]
    for name in ("seeds", "unseen", "bm", "budget", "stability"):
        assert "nan" not in (changing.folder / f"reports/{name}.md").read_text().lower()
    assert changing.stages("repro", "studies/dvc.yaml") == []


def test_connector_kind_runs_all_searches_but_no_extraction(changing: Project) -> None:
    ran = changing.stages("exp", "run", "-n", "linear", "-S", "connector.kind=linear")
    searches = {"train_hyma", "train_grid", "refine", "search", "profile"}
    assert without_instance(ran) == {"check"} | searches | AFTER_SEARCH
    assert len([stage for stage in ran if stage.startswith("train_grid@")]) == 4


def test_another_encoder_extracts_one_and_trains_its_pairs(changing: Project) -> None:
    params = changing.params()
    params["image_encoders"]["third"] = dict(params["image_encoders"]["vit"])
    changing.write_params(params)
    ran = changing.stages("repro")
    own = {stage for stage in ran if stage.startswith(("extract", "train_grid", "prepare"))}
    grid = {f"train_grid@third-{text}" for text in params["text_encoders"]}
    assert own == {"extract_image@third", "extract_image_benchmarks@third"} | grid


def test_another_benchmark_extracts_no_training_features(changing: Project) -> None:
    params = changing.params()
    params["benchmarks"]["again"] = {"format": "coco", "path": "data/raw/coco"}
    changing.write_params(params)
    ran = changing.stages("repro")
    assert "prepare@again" in ran
    assert "evaluate@again" in ran
    assert not without_instance(ran) & {
        "extract_image",
        "extract_text",
        "train_hyma",
        "train_grid",
        "search",
        "world",
    }

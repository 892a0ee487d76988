"""The real pipeline on a small experiment: what it leaves behind, and what a change runs again."""

import json

import pytest

from tests.project import METHODS, Project, without_instance

BENCHMARKS = ["imagenet", "cifar100", "coco", "flickr8k", "okvqa", "textvqa"]
AFTER_SEARCH = {"evaluate", "finals", "rank", "report", "export"}


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
        own = json.loads((project.folder / f"metrics/grid/{name}.json").read_text())
        methods = content["protocols"][content["protocol"]]["methods"]
        assert (
            own["protocols"][content["protocol"]]["methods"]["grid"].keys() == methods["hyma"].keys() == pairs
        )
        assert "grid" not in methods
    for method, cost in ranking["cost"].items():
        assert cost["flops"] == pytest.approx(sum(cost["parts"].values()))
        assert cost["seconds"] > 0
        assert cost["cpu_seconds"] > 0
        assert (cost["threads"] > 0) == (method != "ask_llm")
        assert (cost["flops"] > 0) == (method not in ("random", "ask_llm"))
    assert {m for m, of in ranking["methods"].items() if of["connectors"] == "two-sided"} == {
        "hyma_two_sided",
        "cca",
    }
    for name, split in ranking["pairing"]["split"].items():
        assert name in ("mean", *BENCHMARKS)
        parts = [split[part] for part in ("image", "text", "interaction")]
        assert sum(parts) == pytest.approx(1) if split["variance"] else parts == [None] * 3
    assert ranking["pairing"]["methods"].keys() == ranking["overall"].keys()
    written = (project.folder / "reports/methods.md").read_text()
    assert all(of["label"] in written for of in ranking["methods"].values())
    page = (project.folder / "reports/ranking.md").read_text()
    assert f"**Stitch {ranking['winner']['pair'].replace('-', ' × ')}.**" in page
    assert {"untrained", "first", "finals", "train_grid", "search", "recorded@ask_llm"} <= set(ran)
    assert len(ran) == len(set(ran))


def test_second_run_runs_nothing(done: Project) -> None:
    assert done.stages("repro") == []
    assert "up to date" in done.run("dvc", "status", "dvc.yaml")


def test_bm_runs_the_hypernetwork_and_what_follows(changing: Project) -> None:
    ran = without_instance(changing.stages("exp", "run", "-n", "wide", "-S", "hyma.bm=3"))
    assert ran == {"check", "train_hyma", "refine"} | AFTER_SEARCH
    shown = json.loads(changing.run("dvc", "exp", "show", "--json"))
    assert "wide" in json.dumps(shown)
    table = changing.run("dvc", "exp", "show", "--csv")
    assert "hyma.spearman" in table
    assert "winner.score" in table


def test_studies_end_in_reports(changing: Project) -> None:
    ran = changing.stages("repro", "studies/dvc.yaml")
    assert without_instance(ran) == {
        "study_seeds",
        "study_unseen",
        "study_bm",
        "study_budget",
        "study_stability",
        "study_audit",
        "study_report",
    }
    summary = json.loads((changing.folder / "metrics/studies.json").read_text())
    assert list(summary["methods"]) == ["grid", "hyma", "refine", *METHODS]
    for name in ("seeds", "unseen", "bm", "budget", "stability", "audit"):
        assert "nan" not in (changing.folder / f"reports/{name}.md").read_text().lower()
    assert changing.stages("repro", "studies/dvc.yaml") == []
    # What they say of luck lies where the main pipeline's report, and nothing else, reads it.
    assert json.loads((changing.folder / "studies/luck.json").read_text()) == summary["luck"]
    assert changing.stages("repro") == ["report"]
    assert "by 2 seeds, scores of one pair" in (changing.folder / "reports/ranking.md").read_text()

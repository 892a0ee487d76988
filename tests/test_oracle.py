"""An experiment without an oracle: no pair is trained on its own, and all that follows gets along without."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from hyma import StitchedModel
from tests.project import METHODS, Project


def copied(project: Project, folder: Path) -> Project:
    """With its cache and history."""
    shutil.copytree(project.folder, folder, symlinks=True)
    return Project(folder)


def set_oracle(project: Project, kind: str) -> None:
    params = project.params()
    params["oracle"] = kind
    project.write_params(params)


@pytest.fixture(scope="module")
def none(
    untouched: tuple[Project, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, str]:
    """The small experiment, run with every pair trained, then without any; and what DVC printed of the latter."""
    project = copied(untouched[0], tmp_path_factory.mktemp("none") / "project")
    set_oracle(project, "none")
    return project, project.run("dvc", "repro")


def read(project: Project, file: str) -> Any:
    return json.loads((project.folder / file).read_text())


def empty_columns(page: str) -> list[str]:
    """The headings of columns that say nothing, in any table of a page."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", page, re.M):
        header, _, *rows = (
            [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
        )
        columns = list(zip(*rows, strict=True))
        assert len(columns) == len(header)
        found += [name for name, cells in zip(header, columns, strict=True) if {*cells} <= {"–", ""}]
    return found


def test_empty_columns_would_be_found() -> None:
    page = "| a | b | c |\n| :-- | --: | --: |\n| 1 | – | – |\n| 2 | – | 3 |\n\ntext\n| d |\n|:--|\n| – |\n"
    assert empty_columns(page) == ["b", "d"]


def test_no_pair_is_trained(none: tuple[Project, str]) -> None:
    project, printed = none
    assert {"finals", "train_grid", "evaluate_grid", "rank", "report", "export"} <= {*Project.ran(printed)}
    assert not {"train_hyma", "refine", "extract_image", "extract_text"} & {*Project.ran(printed)}
    assert read(project, "metrics/finals.json") == {"oracle": "none", "pairs": []}
    assert [file.name for file in (project.folder / "models/grid").iterdir()] == ["whole.json"]
    whole = read(project, "models/grid/whole.json")
    assert whole["pairs"] == 4
    assert sum(whole["flops"].values()) > 0


def test_it_ends_with_a_ranking_and_a_model(none: tuple[Project, str]) -> None:
    project, _ = none
    ranking = read(project, "metrics/ranking.json")
    assert (ranking["oracle"], ranking["audit"], ranking["unimodal"]) == (None, None, None)
    assert list(ranking["methods"]) == ["hyma", "refine", *METHODS, "ask_llm", "unimodal"]
    first = max(ranking["choose"]["hyma"], key=lambda pair: ranking["choose"]["hyma"][pair]["mean"])
    assert ranking["winner"]["pair"] == first
    assert ranking["winner"]["method"] in ranking["scores"].keys() - {"grid"}
    whole = sum(read(project, "models/grid/whole.json")["flops"].values())
    for cost in ranking["cost"].values():
        assert cost["time_ratio"] is None
        assert cost["flops_ratio"] == (pytest.approx(whole / cost["flops"]) if cost["flops"] else None)
    model = StitchedModel.from_pretrained(project.folder / "models/best", device="cpu")
    assert model.pair == first
    assert "grid search puts" not in (project.folder / "models/best/README.md").read_text()


def test_the_pages_say_so_and_leave_nothing_empty(none: tuple[Project, str]) -> None:
    project, _ = none
    pages = {file.name: file.read_text() for file in (project.folder / "reports").glob("*.md")}
    assert pages.keys() >= {"first.md", "ranking.md", "methods.md"}
    assert {name: empty_columns(page) for name, page in pages.items()} == {name: [] for name in pages}
    assert "`oracle: none`" in pages["ranking.md"]
    assert "`oracle: full`" in pages["methods.md"]
    html = (project.folder / "reports/index.html").read_text()
    whole = "".join([*pages.values(), re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.S)])
    assert not re.search(r"\b(nan|None|undefined)\b", whole)
    assert "regret" not in pages["methods.md"]  # which only the oracle could tell


def test_the_commands_get_along(none: tuple[Project, str]) -> None:
    project, _ = none
    pairs = ("vit-minilm", "byobnet-words")
    said = project.run("hyma", "compare", *pairs, "--method", "grid", code=1)
    assert "oracle" in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "HYMA" in project.run("hyma", "compare", *pairs)
    winner = read(project, "metrics/ranking.json")["winner"]["pair"].replace("-", " × ")
    assert project.run("hyma", "report").startswith(f"Stitch {winner}.")


@pytest.mark.parametrize("stage", ["seeds", "unseen", "bm", "budget", "audit"])
def test_a_study_names_what_it_needs(none: tuple[Project, str], stage: str) -> None:
    project, _ = none
    said = project.run("python", "-m", f"stages.study_{stage}", code=1)
    assert said.startswith("error: params.yaml: oracle: none: ")
    assert "full" in said
    assert said.count("\n") == 1
    assert not (project.folder / "metrics/studies").exists()


def test_it_is_compared_with_the_run_of_before(none: tuple[Project, str], tmp_path: Path) -> None:
    project, _ = none
    said = project.run("hyma", "report", "--compare", "HEAD", "--out", str(tmp_path))
    page = (tmp_path / "compare.md").read_text()
    assert "`oracle`" in page
    assert "grid search" not in " ".join(line for line in said.splitlines() if "→" in line)
    assert empty_columns(page) == ["change", "moved"]  # HYMA is the same in both
    found = json.loads(project.run("hyma", "report", "--compare", "HEAD", "--json", "--out", str(tmp_path)))
    assert found["common"]["oracle"] is None
    assert found["params"] == {"oracle": {"HEAD": "full", "workspace": "none"}}
    own = found["methods"]["hyma"]["runs"]
    assert own["HEAD"]["score"] == own["workspace"]["score"]
    assert found["methods"]["grid"]["runs"].keys() == {"HEAD"}


def test_back_to_all_pairs_trains_nothing_anew(none: tuple[Project, str], tmp_path: Path) -> None:
    """Ranking and report are those of before: seconds too, since nothing ran."""
    project = copied(none[0], tmp_path / "project")
    before = yaml.safe_load(project.run("git", "show", "HEAD:metrics/ranking.json"))
    set_oracle(project, "full")
    printed = project.run("dvc", "repro")
    pairs = sorted(before["scores"]["grid"])
    if "train_grid" in Project.ran(printed):  # else DVC has it from its own cache of runs
        assert sorted(re.findall(r"^(\S+-\w+): nothing .*: kept$", printed, re.M)) >= pairs
    assert sorted(file.stem for file in (project.folder / "models/grid").glob("*.safetensors")) == pairs
    after = read(project, "metrics/ranking.json")
    assert after | {"since": None} == before | {"since": None}


def test_the_first_answer_needs_no_training(none: tuple[Project, str], tmp_path: Path) -> None:
    """Neither of connectors nor of the hypernetwork, and no benchmark's scores; nor does it depend on the oracle."""
    project = copied(none[0], tmp_path / "project")
    listed = {
        stage.rpartition(":")[2].partition("@")[0]
        for stage in project.stages("repro", "--dry", "-f", "first")
    }
    assert {"extract_image", "extract_text", "untrained", "first"} <= listed
    trained = {"train_hyma", "train_grid", "refine", "search", "probe", "evaluate", "evaluate_grid", "rank"}
    assert listed.isdisjoint(trained)
    page = project.folder / "reports/first.md"
    before = page.read_text()
    page.unlink()
    set_oracle(project, "full")
    params = project.params()
    params["hyma"]["lr"] = 0.5
    project.write_params(params)
    assert {*project.stages("repro", "first")} <= {"check", "untrained", "first"}
    assert page.read_text() == before
    assert before.startswith("# First answer")
    assert before.count("CCA") >= 2  # the one closed form that runs here

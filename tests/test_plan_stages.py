"""Which stages will run: what changed, what follows from it, what is only to be fetched; held against DVC itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

from hyma.common.errors import HymaError
from hyma.plan import stages
from tests.project import Project
from tests.root import ROOT

PIPELINE = """
stages:
  check: {cmd: echo ok > checked, deps: [params.yaml], outs: [checked]}
  world: {cmd: "mkdir -p raw && cp source raw/a", deps: [checked, source], outs: [raw]}
  prepare: {cmd: cp raw/a prepared, deps: [raw], outs: [prepared]}
  train:
    foreach: ${rates}
    do: {cmd: "cat prepared > model-${key} && echo ${item} >> model-${key}", deps: [prepared], params: ["rates.${key}"],
      outs: ["model-${key}"]}
  rank: {cmd: cat model-a model-b > rank, deps: [model-a, model-b], outs: [rank: {cache: false}]}
  prepare_training:
    foreach: [one, two]
    do: {cmd: "mkdir -p parts && echo ${item} > parts/${item}", outs: ["parts/${item}"]}
  whole: {cmd: cat parts/* below/zoo > whole, deps: [parts, below/zoo], outs: [whole]}
"""
BELOW = """
stages:
  zoo:
    foreach: ${zoo}
    do: {cmd: "echo ${item} > zoo", params: ["zoo.${key}"], outs: [zoo]}
  unneeded: {cmd: echo 1 > unneeded, outs: [unneeded]}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small pipeline, run once."""
    project = Project(tmp_path_factory.mktemp("pipeline"))
    (project.folder / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", project.folder / ".dvc/config")
    (project.folder / "dvc.yaml").write_text(PIPELINE)
    (project.folder / "params.yaml").write_text("rates: {a: 1, b: 2}\nother: 1\n")
    (project.folder / "source").write_text("1\n")
    (project.folder / "below").mkdir()
    (project.folder / "below/dvc.yaml").write_text(BELOW)
    (project.folder / "below/params.yaml").write_text("zoo: {a: 1}\n")
    project.run("git", "init", "-q")
    project.run("dvc", "repro")
    return project


@pytest.fixture
def again(ran: Project, tmp_path: Path) -> Path:
    """A copy of it to change."""
    folder = tmp_path / "copy"
    shutil.copytree(ran.folder, folder)
    return folder


def runs(folder: Path) -> set[str]:
    return {stage.address for stage in stages.look(folder) if stage.state == stages.RUN}


def test_nothing_runs_twice(again: Path) -> None:
    assert runs(again) == set()


def test_a_param_runs_its_stage_and_what_follows(again: Path) -> None:
    (again / "params.yaml").write_text("rates: {a: 1, b: 3}\nother: 1\n")
    assert runs(again) == {"check", "train@b", "rank"}


def test_what_the_check_says_is_always_the_same(again: Path) -> None:
    (again / "params.yaml").write_text("rates: {a: 1, b: 2}\nother: 2\n")
    assert runs(again) == {"check"}


def test_a_changed_source_runs_all_that_comes_from_it(again: Path) -> None:
    (again / "source").write_text("2\n")
    assert runs(again) == {"world", "prepare", "train@a", "train@b", "rank"}


def test_a_new_member_of_a_group_runs_alone(again: Path) -> None:
    (again / "params.yaml").write_text("rates: {a: 1, b: 2, c: 3}\nother: 1\n")
    assert runs(again) == {"check", "train@c"}


def test_what_is_in_the_cache_is_fetched(again: Path) -> None:
    shutil.rmtree(again / "raw")
    (again / "model-a").unlink()
    found = {stage.address: stage.state for stage in stages.look(again)}
    assert (found["world"], found["train@a"], found["prepare"]) == (
        stages.RESTORE,
        stages.RESTORE,
        stages.KEEP,
    )
    assert runs(again) == set()


def test_what_is_nowhere_is_made_again_and_changes_nothing(again: Path) -> None:
    """As in a clone: what is drawn anew is what it was, so that nothing that is there runs for it."""
    shutil.rmtree(again / "raw")
    shutil.rmtree(again / ".dvc/cache")
    assert runs(again) == {"world"}


def test_a_folder_that_lost_one_of_its_files_is_completed(again: Path) -> None:
    """What one stage puts into a folder comes back as it was: who reads the whole folder is not concerned."""
    shutil.rmtree(again / ".dvc/cache")
    (again / "parts/two").unlink()
    assert runs(again) == {"prepare_training@two"}
    (again / "parts/two").write_text("3\n")
    assert "whole" in runs(again)


def test_stages_of_other_folders_count_where_they_are_needed(again: Path) -> None:
    found = {stage.address: stage for stage in stages.look(again)}
    assert "below/dvc.yaml:zoo@a" in found
    assert not any("unneeded" in address for address in found)
    assert (found["below/dvc.yaml:zoo@a"].name, found["below/dvc.yaml:zoo@a"].instance) == ("zoo", "a")
    assert found["below/dvc.yaml:zoo@a"].lock_lines < found["check"].lock_lines
    (again / "below/params.yaml").write_text("zoo: {a: 2}\n")
    assert runs(again) == {"below/dvc.yaml:zoo@a", "whole"}


def test_a_missing_source_does_not_stop_the_plan(again: Path) -> None:
    (again / "source").unlink()
    assert "world" in runs(again)


def test_dvc_runs_what_was_said(again: Path) -> None:
    (again / "params.yaml").write_text("rates: {a: 5, b: 2}\nother: 1\n")
    said = runs(again)
    assert set(Project(again).stages("repro")) == said


def test_nothing_is_written(again: Path) -> None:
    def files() -> dict[Path, int]:
        found = (path for path in again.rglob("*") if path.is_file())
        return {path: path.stat().st_mtime_ns for path in found if ".dvc/tmp" not in str(path)}

    before = files()
    stages.look(again)
    assert files() == before


def test_counted_by_name(again: Path) -> None:
    (again / "params.yaml").write_text("rates: {a: 1, b: 3}\nother: 1\n")
    found = stages.summary(stages.look(again))
    assert (found["total"], found["run"], found["keep"]) == (10, 3, 7)
    assert found["by_name"]["train"] == {"run": 1, "restore": 0, "keep": 1}


def test_a_folder_without_repository(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    with pytest.raises(HymaError, match="not a DVC repository; run `dvc init`"):
        stages.look(tmp_path)


def test_a_folder_without_git(ran: Project, tmp_path: Path) -> None:
    shutil.copytree(ran.folder, tmp_path / "copy", ignore=shutil.ignore_patterns(".git"))
    with pytest.raises(HymaError, match="not a git repository; run `git init`"):
        stages.look(tmp_path / "copy")


def test_a_folder_without_pipeline(tmp_path: Path) -> None:
    with pytest.raises(HymaError, match="run from the project's root"):
        stages.look(tmp_path)


def test_a_broken_pipeline(again: Path) -> None:
    (again / "dvc.yaml").write_text("stages: {a: {deps: [x]}}\n")
    subprocess.run(["git", "-C", str(again), "status", "-s"], check=True, capture_output=True)
    with pytest.raises(HymaError, match=r"dvc\.yaml"):
        stages.look(again)

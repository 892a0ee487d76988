"""What runs again after a change, and what of it is taken from what was kept: on a small experiment, by DVC's word."""

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.project import Project

BEFORE_A_SEARCH = ("extract", "inputs/", "embedded/")
AFTER_A_SEARCH = {"evaluate", "finals", "rank", "report", "export"}
UNTRAINED, TRAINED = ("cca", "cka", "random"), ("hyma_two_sided", "autopair")
"""Of the small experiment's methods, those of the stages ``untrained`` and ``search``."""


@pytest.fixture(scope="module")
def project(untouched: tuple[Project, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the small experiment, run, with its cache and a history of its own."""
    folder = tmp_path_factory.mktemp("invalidation") / "project"
    shutil.copytree(untouched[0].folder, folder, symlinks=True)
    return Project(folder)


@pytest.fixture(autouse=True)
def put_back(project: Project, tmp_path: Path) -> Iterator[None]:
    """The experiment as it was, after every test, the results that its stages keep included."""
    kept = project.folder / "data/kept"
    shutil.copytree(kept, tmp_path / "kept")
    yield
    shutil.rmtree(kept, ignore_errors=True)
    shutil.move(tmp_path / "kept", kept)
    project.run("git", "checkout", "-q", ".")
    project.run("git", "clean", "-qfdx", "hyma", "features", "models", "data/prepared", "data/weights")
    project.run("dvc", "checkout", "-q")


def edit(project: Project, file: str) -> None:
    """Change a file of code without changing what it does."""
    path = project.folder / file
    comment = "{# a remark #}" if path.suffix == ".j2" else "# a remark"
    path.write_text(f"{path.read_text()}\n{comment}\n")


def changed(project: Project) -> set[str]:
    """The stages that `dvc status` names, those of the studies left out."""
    found = json.loads(project.run("dvc", "status", "--json").strip().splitlines()[-1])
    return {name for name in found if not name.startswith("studies/")}


def add(project: Project, section: str, like: str) -> dict[str, Any]:
    """Add an entry ``again`` to a section, the same as another one; return all of params.yaml."""
    params = project.params()
    params[section]["again"] = dict(params[section][like])
    project.write_params(params)
    return params


def repro(project: Project) -> tuple[set[str], dict[str, list[str]]]:
    """The stages that `dvc repro` runs, and the results that each takes from what was kept."""
    printed = project.run("dvc", "repro")
    parts = re.split(r"Running stage '([^']+)'", printed)[1:]
    ran = dict(zip(parts[::2], parts[1::2], strict=True))
    return set(ran), {
        name: re.findall(r"^(\S+): nothing .*: kept$", text, re.M) for name, text in ran.items()
    }


def of_all_sets(params: dict[str, Any], encoders: Iterable[str], without: str = "") -> list[str]:
    """The names of what extraction keeps of these encoders."""
    sets = ["training-captions", *(f"benchmarks-{name}" for name in params["benchmarks"] if name != without)]
    return sorted(f"{encoder}-{name}" for encoder in encoders for name in sets)


def of_pairs(images: Iterable[str], texts: Iterable[str]) -> list[str]:
    return sorted(f"{image}-{text}" for image in images for text in texts)


def test_nothing_changed(project: Project) -> None:
    (project.folder / "hyma/stitching/.grid.py.swp").write_text("an editor's")
    (project.folder / "hyma/stitching/notes.txt").write_text("somebody's")
    assert changed(project) == set()


def test_a_search_method(project: Project) -> None:
    """It runs again, with what follows; no other method does, and no pair is trained."""
    edit(project, "hyma/methods/cca.py")
    assert changed(project) == {"check", "untrained", "search"}
    ran, kept = repro(project)
    assert ran <= {"check", "untrained", "first", "search"} | AFTER_A_SEARCH
    assert sorted(kept["untrained"]) == sorted({*UNTRAINED} - {"cca"})
    assert sorted(kept["search"]) == sorted(TRAINED)


def test_a_template_of_the_report(project: Project) -> None:
    edit(project, "hyma/report/templates/page.html.j2")
    assert changed(project) == {"first", "report"}
    assert repro(project)[0] == {"first", "report"}


def test_a_reader(project: Project) -> None:
    """Only data sets of its format are prepared again; they come out the same, and nothing follows."""
    edit(project, "hyma/readers/formats/coco.py")
    assert changed(project) == {"inputs/dvc.yaml:prepare@coco"}
    assert repro(project)[0] == {"inputs/dvc.yaml:prepare@coco"}


def test_pairs_a_step(project: Project) -> None:
    params = project.params()
    params["hyma"]["bm"] = 2
    project.write_params(params)
    assert changed(project) == {"check"}  # which writes the settings that the others depend on
    ran, kept = repro(project)
    assert ran == {"check", "train_hyma", "refine"} | AFTER_A_SEARCH
    again = {name for name in kept["evaluate"] if name.endswith(("-hyma", "-refine"))}
    assert not again
    assert any(name.endswith("-cca") for name in kept["evaluate"])


def test_what_pairs_are_picked_by(project: Project) -> None:
    """Nothing is trained or evaluated again; held-out captions pick the pair and the connector."""
    params = project.params()
    params["rank"] = {"by": "held_out"}
    project.write_params(params)
    ran, _ = repro(project)
    assert ran - {"report", "export"} == {"check", "finals", "rank"}
    ranking = json.loads((project.folder / "metrics/ranking.json").read_text())
    hyma = json.loads((project.folder / "models/hyma/result.json").read_text())["scores"]
    assert ranking["winner"]["pair"] == max(sorted(hyma), key=hyma.__getitem__)
    assert ranking["choosing"]["hyma"] == pytest.approx(hyma)  # HYMA's own signal is that recall
    assert "by recall on held-out captions" in (project.folder / "reports/ranking.md").read_text()


def test_another_salt(project: Project) -> None:
    """Other halves: encoders are probed and connectors evaluated again, none is trained."""
    params = project.params()
    params["evaluate"]["salt"] = 1
    project.write_params(params)
    before = (project.folder / "metrics/benchmarks/coco.json").read_text()
    ran, kept = repro(project)
    assert ran - {"report", "export"} == {"check", "probe", "evaluate", "evaluate_grid", "finals", "rank"}
    assert not kept["evaluate"]
    assert (project.folder / "metrics/benchmarks/coco.json").read_text() != before


def test_a_default_said_aloud(project: Project) -> None:
    """Nothing runs but the check: what stages depend on are the settings, and these stay."""
    params = project.params()
    assert "finals" not in params
    params["finals"] = {"top": "auto"}
    params["hyma"]["clip"] = 1.0
    project.write_params(params)
    assert repro(project)[0] == {"check"}


def test_a_new_image_encoder(project: Project) -> None:
    """It alone is extracted, and only its pairs are trained: in a clone, too, that has DVC's cache alone."""
    shutil.rmtree(project.folder / "data/kept")
    params = add(project, "image_encoders", "vit")
    ran, kept = repro(project)
    assert {name for name in ran if name.startswith(BEFORE_A_SEARCH)} == {
        "inputs/dvc.yaml:image_weights@again",
        "extract_image",
    }
    assert sorted(kept["extract_image"]) == of_all_sets(params, {"vit", "byobnet"})
    assert sorted(kept["train_grid"]) == of_pairs({"vit", "byobnet"}, params["text_encoders"])


def test_a_new_text_encoder(project: Project) -> None:
    """Every image encoder has a new pair; the others are not trained again."""
    params = add(project, "text_encoders", "words")
    old = params["text_encoders"].keys() - {"again"}
    ran, kept = repro(project)
    assert {name for name in ran if name.startswith(BEFORE_A_SEARCH)} == {
        "inputs/dvc.yaml:text_weights@again",
        "extract_text",
    }
    assert sorted(kept["extract_text"]) == of_all_sets(params, old)
    assert sorted(kept["train_grid"]) == of_pairs(params["image_encoders"], old)


def test_new_weights(project: Project) -> None:
    """Under the same name: their encoder alone is extracted again, and only its pairs are trained."""
    params = project.params()
    zoo = project.folder / "zoo"
    shutil.copytree(zoo / "vit", zoo / "other")
    params["image_encoders"]["vit"]["weights"] = "zoo/other"
    project.write_params(params)
    repro(project)
    file = zoo / "other/model.safetensors"
    weights = load_file(file)
    save_file({name: 1.01 * weight for name, weight in weights.items()}, file)
    assert changed(project) == {"inputs/dvc.yaml:image_weights@vit"}
    ran, kept = repro(project)
    assert {"inputs/dvc.yaml:image_weights@vit", "extract_image", "train_grid"} <= ran
    assert sorted(kept["extract_image"]) == of_all_sets(params, {"byobnet"})
    assert sorted(kept["train_grid"]) == of_pairs({"byobnet"}, params["text_encoders"])
    shutil.rmtree(zoo / "other")


def test_a_new_benchmark(project: Project) -> None:
    """Every encoder encodes it, and nothing else; nothing is trained."""
    params = add(project, "benchmarks", "cifar100")
    ran, kept = repro(project)
    assert not {name for name in ran if name.startswith(("train", "search", "untrained", "refine"))}
    taken_in = {f"inputs/dvc.yaml:{name}" for name in ("prepare@again", "leaks")}
    assert {name for name in ran if name.startswith("inputs/")} == taken_in
    for side in ("image", "text"):
        assert sorted(kept[f"extract_{side}"]) == of_all_sets(
            params, params[f"{side}_encoders"], without="again"
        )


def test_a_method_switched_on(project: Project) -> None:
    params = project.params()
    before = list(params["search"]["methods"])
    params["search"]["methods"] = [*before, "ridge"]
    params["search"]["ridge"] = {"samples": 200}
    project.write_params(params)
    ran, kept = repro(project)
    assert ran - {"search"} == {"check", "untrained", "first", "evaluate_grid"} | AFTER_A_SEARCH
    assert sorted(kept["untrained"]) == sorted(UNTRAINED)
    assert sorted(kept.get("search", TRAINED)) == sorted(TRAINED)


def test_no_method_at_all(project: Project) -> None:
    """The oracle and HYMA remain, and nothing is searched."""
    params = project.params()
    params["search"] |= {"methods": [], "recorded": {}}
    project.write_params(params)
    ran, kept = repro(project)
    assert ran == {"check", "untrained", "first", "search", "evaluate_grid"} | AFTER_A_SEARCH
    assert (kept["untrained"], kept["search"]) == ([], [])
    assert "There is none" in (project.folder / "reports/first.md").read_text()
    ranking = json.loads((project.folder / "metrics/ranking.json").read_text())
    assert list(ranking["methods"]) == ["grid", "hyma", "refine", "unimodal"]


def test_the_kind_of_connector(project: Project) -> None:
    """All searches run, and no extraction."""
    params = project.params()
    params["connector"]["kind"] = "linear"
    project.write_params(params)
    searches = {"train_hyma", "train_grid", "refine", "untrained", "search"}
    assert repro(project)[0] == {"check"} | searches | AFTER_A_SEARCH | {"first", "evaluate_grid"}


def test_what_was_kept_may_be_deleted(project: Project) -> None:
    """Nothing changes by it, and a stage that has to run makes it anew."""
    before = (project.folder / "metrics/benchmarks/coco.json").read_text()
    shutil.rmtree(project.folder / "data/kept")
    assert changed(project) == set()
    edit(project, "hyma/evaluation/assess.py")
    ran, again = repro(project)
    assert "evaluate" in ran
    assert again["evaluate"] == []
    assert (project.folder / "metrics/benchmarks/coco.json").read_text() == before

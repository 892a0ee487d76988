"""An experiment in a folder of its own: what it shares with the project, and that the project does not notice it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from hyma.common import params
from hyma.common.errors import HymaError
from hyma.plan import beside, stages
from hyma.plan.experiment import settings
from tests.project import Project, create
from tests.root import ROOT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What a project's folder has to have."""
    for place in (".dvc/config", "dvc.yaml", "inputs/dvc.yaml", "zoo/HUB", "hyma/a.py", "presets/mine.yaml"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(place)
    return tmp_path


def test_links_lead_to_the_projects_own(root: Path) -> None:
    folder = beside.lay(root, "mine")
    assert folder == root / "experiments/mine"
    assert (folder / "params.yaml").read_text() == "presets/mine.yaml"
    assert (folder / "inputs/dvc.yaml").read_text() == "inputs/dvc.yaml"
    assert (folder / "hyma/a.py").read_text() == "hyma/a.py"
    (folder / "reports/ranking.md").write_text("here")
    (folder / "inputs/dvc.lock").write_text("own")
    assert (root / "reports/mine/ranking.md").read_text() == "here"
    assert not (root / "inputs/dvc.lock").exists()
    # Nothing was studied there yet, and what it is held against is the project's own ranking.
    assert json.loads((folder / "studies/luck.json").read_text()) == {}
    assert (folder / "studies/beside.json").readlink() == Path("../../../metrics/ranking.json")
    moved = root.rename(root.with_name("moved"))
    assert (moved / "experiments/mine/params.yaml").read_text() == "presets/mine.yaml"


def test_what_is_there_stays(root: Path) -> None:
    folder = beside.lay(root, "mine")
    (folder / "params.yaml").unlink()
    (folder / "params.yaml").write_text("changed")
    (folder / "stages").symlink_to("nowhere")
    assert beside.lay(root, "mine") == folder
    assert (folder / "params.yaml").read_text() == "changed"


@pytest.mark.parametrize("name", ["other", "../mine", "", "mine.yaml"])
def test_a_name_without_a_preset_is_refused(root: Path, name: str) -> None:
    with pytest.raises(HymaError, match=r"there is no .*; presets: mine$"):
        beside.lay(root, name)


def test_elsewhere_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HymaError, match="run from the project's root"):
        beside.lay(tmp_path, "mine")


@pytest.mark.parametrize("folder", sorted((ROOT / "experiments").iterdir()), ids=lambda folder: folder.name)
def test_the_committed_ones_are_whole(folder: Path) -> None:
    for place, target in beside.links(ROOT, folder.name).items():
        assert (folder / place).is_symlink(), place
        assert (folder / place).resolve() == target.resolve()


def write_captions(folder: Path, count: int, seed: int) -> None:
    """So many captioned pictures of one colour each, and features for two encoders a side."""
    rng, lines = np.random.default_rng(seed), ["image,caption"]
    (folder / "features").mkdir(parents=True)
    for number, colour in enumerate(rng.choice(256**3, count, replace=False).tolist()):
        Image.new("RGB", (8, 8), (colour % 256, colour // 256 % 256, colour // 256**2)).save(
            folder / f"{number}.png"
        )
        lines.append(f"{number}.png,colour {colour}")
    (folder / "captions.csv").write_text("\n".join(lines))


def test_a_run(tmp_path: Path) -> None:
    """As far as the provisional order, on features that are given."""
    project = create(tmp_path / "project")
    data, rng = tmp_path / "data", np.random.default_rng(0)
    sets = {"mine": 60, "other": 20}
    for seed, (name, count) in enumerate(sets.items()):
        write_captions(data / name, count, seed)
    encoders: dict[str, dict[str, dict[str, str]]] = {"image": {}, "text": {}}
    for side, slugs in (("image", "ab"), ("text", "st")):
        for slug in slugs:
            place = data / "features" / slug
            place.mkdir(parents=True)
            for name, count in sets.items():
                np.save(place / f"{name}.npy", rng.normal(size=(count, 6)).astype(np.float32))
            encoders[side][slug] = {"source": "precomputed", "name": slug, "weights": str(place)}
    preset = {
        "oracle": "none",
        "training": {"mine": {"format": "captions", "path": str(data / "mine")}},
        "benchmarks": {"other": {"format": "captions", "path": str(data / "other")}},
        **{f"{side}_encoders": own for side, own in encoders.items()},
        "search": {"methods": ["cca", "cka"]},
    }
    (project.folder / "presets/tiny.yaml").write_text(yaml.safe_dump(preset))
    before = known(project)
    ran = project.ran(project.run("hyma", "experiment", "tiny", "first"))
    assert {"check", "extract_image", "untrained", "first"} <= set(ran)
    folder = Project(project.folder / "experiments/tiny")
    names = json.loads((folder.folder / "metrics/names/image_encoders.json").read_text())
    assert names == ["a", "b"]
    assert "a × s" in (project.folder / "reports/tiny/first.md").read_text()
    assert {"untrained", "first"} <= yaml.safe_load((folder.folder / "dvc.lock").read_text())["stages"].keys()
    assert folder.stages("repro", "first") == []
    assert project.ran(project.run("hyma", "experiment", "tiny", "first")) == []
    looked = stages.look(folder.folder, settings(params.load(folder.folder / "params.yaml")))
    planned = {stage.address: stage.state for stage in looked}
    assert planned["first"] == planned["inputs/dvc.yaml:prepare@other"] == stages.KEEP
    assert planned["train_hyma"] == stages.RUN
    # The project has noticed nothing, and git sees links, lock files, metrics and reports.
    assert known(project) == before
    assert not (project.folder / "dvc.lock").exists()
    new = project.run("git", "status", "--porcelain", "-uall").splitlines()
    top = {line.split()[1].split("/")[2] for line in new if "experiments/tiny/" in line}
    assert {"dvc.lock", "dvc.yaml", "metrics", "params.yaml", "reports"} <= top
    assert not top & {"data", "features", "models"}
    assert not any(line.endswith(".dvc/.gitignore") for line in new)  # DVC has nothing to add to git's
    shutil.rmtree(folder.folder / "data/kept", ignore_errors=True)


def known(project: Project) -> str:
    """The stages that DVC knows in the project."""
    return project.run("dvc", "stage", "list", "--all", "--names-only")

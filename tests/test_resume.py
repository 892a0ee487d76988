"""Extraction killed at random moments under DVC, and run again: the same file, and no finished chunk twice."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import timm
import torch
import yaml
from PIL import Image
from timm.models import save_for_hf

from hyma.common.features import Features
from hyma.common.files import write_json
from tests.project import environment
from tests.warm import ROOT, server

ROWS, CHUNK, BATCH = 168, 16, 8
PARAMS: dict[str, Any] = {
    "device": "cpu",
    "training": {"captions": {"format": "llava", "path": "data/raw"}},
    "benchmarks": {
        "first": {"format": "llava", "path": "data/raw"},
        "second": {"format": "llava", "path": "data/raw"},
    },
    "image_encoders": {"pic": {"source": "timm", "name": "test_vit", "weights": "weights"}},
    "extract": {"batch": BATCH, "chunk": CHUNK, "workers": 2, "precision": "fp32"},
}
INPUTS = ("prepare_training", "prepare", "image_weights")
STAGE = "extract_image"


class Project:
    """A folder with the pipeline's own stages that prepare and extract."""

    def __init__(self, folder: Path):
        self.folder = folder

    def copy(self, folder: Path) -> "Project":
        """The same in another folder."""
        shutil.copytree(self.folder, folder)
        return Project(folder)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Begin a command. It prints to a file: a pipe would be held open by workers of what is killed."""
        with self.log.open("wb") as stream:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment(), stdout=stream, stderr=subprocess.STDOUT
            )

    @property
    def log(self) -> Path:
        """What the last command printed."""
        return self.folder.parent / "log"

    def repro(self, *stages: str) -> str:
        """Run ``dvc repro`` to its end; return what it printed."""
        code = self.start("dvc", "repro", *stages).wait()
        assert code == 0, self.log.read_text()
        return self.log.read_text()

    def repro_killed(self, data_set: str, chunks: int, pause: float) -> list[psutil.Process]:
        """Kill the extraction `pause` seconds after a data set's `chunks` are on disk; return its worker processes."""
        process = self.start("dvc", "repro", STAGE)
        mark = self.kept(data_set) / (f"{chunks - 1:06d}.arrow" if chunks else "fingerprint")
        while not mark.exists():
            assert process.poll() is None, self.log.read_text()
            time.sleep(0.002)
        time.sleep(pause)
        running = psutil.Process(server()[0].pid).children()
        extraction = max(running, key=psutil.Process.create_time)  # DVC itself was there before
        workers = extraction.children()
        extraction.kill()
        assert process.wait() != 0
        assert "exited with 137" in self.log.read_text()
        return workers

    def kept(self, data_set: str) -> Path:
        """Where a data set's finished chunks are."""
        return self.folder / "data/unfinished" / part(data_set) / "image/pic" / data_set

    def features(self, data_set: str) -> Path:
        """A feature file."""
        return self.folder / "features" / part(data_set) / "image/pic" / f"{data_set}.arrow"


def part(data_set: str) -> str:
    return "training" if data_set in PARAMS["training"] else "benchmarks"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with everything prepared and nothing extracted."""
    folder = tmp_path_factory.mktemp("project") / "project"
    for name in ("hyma", "stages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    kept = {STAGE: yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][STAGE]}
    for name, stage in yaml.safe_load((ROOT / "inputs/dvc.yaml").read_text())["stages"].items():
        if name in INPUTS:
            kept[name] = stage | {"do": {key: value for key, value in stage["do"].items() if key != "wdir"}}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": kept}, sort_keys=False))
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    write_data(folder)
    torch.manual_seed(0)
    save_for_hf(
        timm.create_model("test_vit", num_classes=3), str(folder / "weights"), safe_serialization=True
    )
    made = Project(folder)
    made.start("dvc", "init", "-q", "--no-scm").wait()
    made.repro(*INPUTS)
    return made


def write_data(folder: Path) -> None:
    """Captioned pictures as LLaVA-Pretrain has them, and what `check` says of the experiment."""
    for name in ("training", "benchmarks"):
        write_json(folder / f"metrics/names/{name}.json", list(PARAMS[name]))
    (folder / "metrics/names/checked.txt").touch()
    settings = {name: PARAMS[name] for name in ("device", "extract")}
    (folder / "metrics/settings.yaml").write_text(yaml.safe_dump(settings))
    raw = folder / "data/raw"
    raw.mkdir(parents=True)
    rng, records = np.random.default_rng(0), []
    for row in range(ROWS):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(raw / f"{row}.jpg")
        answer = {"from": "gpt", "value": f"picture {row}"}
        records.append({"image": f"{row}.jpg", "conversations": [answer]})
    (raw / "chat.json").write_text(json.dumps(records))


@pytest.fixture(scope="module")
def uninterrupted(start: Project, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The training set's feature file of a run that nobody killed; the benchmarks are the same pictures."""
    project = start.copy(tmp_path_factory.mktemp("uninterrupted") / "project")
    project.repro(STAGE)
    file = project.features("captions")
    assert [len(chunk) for chunk in Features(file).chunks()] == [CHUNK] * 10 + [8]
    return file.read_bytes()


def going_on(printed: str, data_set: str) -> int:
    """The row at which a run went on, from its log; 0 if it began anew."""
    found = re.search(rf"pic/{data_set}: going on at row (\d+) of {ROWS}\n", printed)
    return int(found[1]) if found else 0


@pytest.fixture(scope="module")
def orphans() -> Iterator[list[psutil.Process]]:
    """The worker processes of what was killed: they notice within seconds, and end."""
    left: list[psutil.Process] = []
    yield left
    _, alive = psutil.wait_procs(left, timeout=20)
    assert not alive


@pytest.mark.parametrize("seed", range(5))
def test_killed_and_run_again(
    start: Project, uninterrupted: bytes, orphans: list[psutil.Process], tmp_path: Path, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    project = start.copy(tmp_path / "project")
    orphans += project.repro_killed("captions", int(rng.integers(0, 6)), rng.uniform(0, 0.05))
    assert not project.features("captions").exists()
    finished = len(list(project.kept("captions").glob("*.arrow")))
    printed = project.repro(STAGE)
    # The first run had begun at most one chunk more, so both together encoded less than all rows and one chunk.
    assert going_on(printed, "captions") == finished * CHUNK < ROWS
    assert project.features("captions").read_bytes() == uninterrupted
    assert not project.kept("captions").exists()
    assert not list(project.folder.glob("features/**/.*"))


def test_finished_data_sets_of_a_killed_stage_are_not_encoded_again(
    start: Project, uninterrupted: bytes, tmp_path: Path
) -> None:
    """DVC deletes their feature files before the stage runs again; they are kept elsewhere."""
    project = start.copy(tmp_path / "project")
    project.repro_killed("second", 2, 0.01)
    finished = len(list(project.kept("second").glob("*.arrow")))
    printed = project.repro(STAGE)
    for name in ("pic-training-captions", "pic-benchmarks-first"):
        assert f"{name}: nothing that it depends on has changed: kept\n" in printed
    assert going_on(printed, "second") == finished * CHUNK
    assert project.features("captions").read_bytes() == uninterrupted
    first, second = (Features(project.features(name)) for name in ("first", "second"))
    assert first.table.equals(second.table)
    np.testing.assert_array_equal(first.to_numpy(), Features(project.features("captions")).to_numpy())
    assert not (project.folder / "data/unfinished/benchmarks/image").exists()

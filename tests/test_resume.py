"""Extraction killed at random moments under DVC, and run again: the same file, and no finished chunk twice."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import timm
import torch
import yaml
from PIL import Image
from timm.models import save_for_hf

from hyma.common.features import Features
from tests.imports import ROOT

ROWS, CHUNK, BATCH = 168, 16, 8
PARAMS = {
    "device": "cpu",
    "training": {"captions": {"format": "llava", "path": "data/raw"}},
    "benchmarks": {
        "first": {"format": "llava", "path": "data/raw"},
        "second": {"format": "llava", "path": "data/raw"},
    },
    "image_encoders": {"pic": {"source": "timm", "name": "test_vit", "weights": "weights"}},
    "extract": {"batch": BATCH, "chunk": CHUNK, "workers": 2, "precision": "fp32"},
}
PREPARE, EXTRACT = ("prepare_training", "prepare"), ("extract_image", "extract_image_benchmarks")
TRAINING, BENCHMARKS = "extract_image@pic", "extract_image_benchmarks@pic"


class Project:
    """A folder with the pipeline's own stages that prepare and extract."""

    def __init__(self, folder: Path, python: Path, server: psutil.Process):
        self.folder, self.python, self.server = folder, python, server

    def copy(self, folder: Path) -> "Project":
        """The same in another folder."""
        shutil.copytree(self.folder, folder)
        return Project(folder, self.python, self.server)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Begin a command. It prints to a file: a pipe would be held open by workers of what is killed."""
        path = (
            f"{self.python.parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        )
        environment = os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1"}
        with self.log.open("wb") as stream:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=stream, stderr=subprocess.STDOUT
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

    def repro_killed(self, stage: str, data_set: str, chunks: int, pause: float) -> list[psutil.Process]:
        """Kill the extraction `pause` seconds after a data set's `chunks` are on disk; return its worker processes."""
        process = self.start("dvc", "repro", stage)
        mark = self.kept(stage, data_set) / (f"{chunks - 1:06d}.arrow" if chunks else "fingerprint")
        while not mark.exists():
            assert process.poll() is None, self.log.read_text()
            time.sleep(0.002)
        time.sleep(pause)
        (extraction,) = self.server.children()
        workers = extraction.children()
        extraction.kill()
        assert process.wait() != 0
        assert "exited with 137" in self.log.read_text()
        return workers

    def kept(self, stage: str, data_set: str) -> Path:
        """Where a data set's finished chunks are."""
        return self.folder / "data/unfinished" / part(stage) / "pic" / data_set

    def features(self, stage: str, data_set: str) -> Path:
        """A feature file."""
        return self.folder / "features" / part(stage) / "pic" / f"{data_set}.arrow"


def part(stage: str) -> str:
    return "benchmarks" if "benchmarks" in stage else "training"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, psutil.Process]]:
    """The command python with its slow imports done, and the process whose children are the stages."""
    folder = tmp_path_factory.mktemp("python")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.warm", str(folder)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield folder / "python", psutil.Process(process.pid)
        process.kill()


@pytest.fixture(scope="module")
def start(server: tuple[Path, psutil.Process], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with everything prepared and nothing extracted."""
    folder = tmp_path_factory.mktemp("project") / "project"
    for name in ("hyma", "stages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    kept = {name: stages[name] for name in PREPARE + EXTRACT}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": kept}, sort_keys=False))
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    write_data(folder / "data")
    torch.manual_seed(0)
    save_for_hf(
        timm.create_model("test_vit", num_classes=3), str(folder / "weights"), safe_serialization=True
    )
    made = Project(folder, *server)
    made.start("dvc", "init", "-q", "--no-scm").wait()
    made.repro(*PREPARE)
    return made


def write_data(folder: Path) -> None:
    """Captioned pictures as LLaVA-Pretrain has them."""
    (folder / "raw").mkdir(parents=True)
    (folder / "params.checked").touch()
    rng, records = np.random.default_rng(0), []
    for row in range(ROWS):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / f"raw/{row}.jpg")
        answer = {"from": "gpt", "value": f"picture {row}"}
        records.append({"image": f"{row}.jpg", "conversations": [answer]})
    (folder / "raw/chat.json").write_text(json.dumps(records))


@pytest.fixture(scope="module")
def uninterrupted(start: Project, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The feature file of a run that nobody killed; the benchmarks are the same pictures."""
    project = start.copy(tmp_path_factory.mktemp("uninterrupted") / "project")
    project.repro(TRAINING)
    file = project.features(TRAINING, "captions")
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
    orphans += project.repro_killed(TRAINING, "captions", int(rng.integers(0, 6)), rng.uniform(0, 0.05))
    assert not project.features(TRAINING, "captions").exists()
    finished = len(list(project.kept(TRAINING, "captions").glob("*.arrow")))
    printed = project.repro(TRAINING)
    # The first run had begun at most one chunk more, so both together encoded less than all rows and one chunk.
    assert going_on(printed, "captions") == finished * CHUNK < ROWS
    assert project.features(TRAINING, "captions").read_bytes() == uninterrupted
    assert not project.kept(TRAINING, "captions").parent.exists()
    assert not list(project.folder.glob("features/**/.*"))


def test_a_finished_data_set_of_a_killed_stage_is_not_encoded_again(
    start: Project, uninterrupted: bytes, tmp_path: Path
) -> None:
    """DVC deletes its feature file before the stage runs again; its chunks are still there."""
    project = start.copy(tmp_path / "project")
    project.repro_killed(BENCHMARKS, "second", 2, 0.01)
    finished = len(list(project.kept(BENCHMARKS, "second").glob("*.arrow")))
    printed = project.repro(BENCHMARKS)
    assert going_on(printed, "first") == ROWS
    assert going_on(printed, "second") == finished * CHUNK
    first, second = (Features(project.features(BENCHMARKS, name)) for name in ("first", "second"))
    assert first.table.equals(second.table)
    np.testing.assert_array_equal(first.to_numpy(), features_of(uninterrupted, tmp_path))
    assert not (project.folder / "data/unfinished/benchmarks/pic").exists()


def features_of(content: bytes, folder: Path) -> np.ndarray:
    (folder / "training.arrow").write_bytes(content)
    return Features(folder / "training.arrow").to_numpy()

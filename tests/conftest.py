"""The pipeline, run once on the small experiment, for all tests that look at it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests import project

torch.set_num_threads(1)  # tests are small: threads cost more than they give, above all on a busy machine


OF_PIPELINE = {"untouched", "fresh_run", "done", "changing", "scratch"}
SLOW_FILES = (
    *(
        "command",
        "docs",
        "dry_run",
        "notebook",
        "own_data",
        "page",
        "plan_stages",
        "presets",
        "readme",
        "real_formats",
        "report",
    ),
    *(
        "resume",
        "revisions",
        "stability",
        "startup",
        "peer",
        "peer_model",
        "open_clip",
        "world",
        "zoo",
        "gpu_benchmark",
        "terminal",
        "faults",
        "beside",
        "fetched",
    ),
)
"""Of tests/test_<name>.py: those that start processes, or work for long."""


LONG = ("notebook", "own_data", "real_formats", "resume", "peer_model", "docs", "zoo")
"""Of these, what takes longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is quick. One file of the one pipeline comes first, its others after what takes long beside them.

    All wait for the pipeline to have been run once: one process does that, while the other has something to do.
    """
    slow, long = ({f"test_{name}" for name in names} for names in (SLOW_FILES, LONG))
    of_pipeline: list[Path] = []
    for item in items:
        if OF_PIPELINE & set(getattr(item, "fixturenames", ())):
            of_pipeline.append(item.path)
        elif item.path.stem not in slow:
            item.add_marker("quick")

    def turn(item: pytest.Item) -> int:
        if item.path in of_pipeline:
            return 0 if item.path == of_pipeline[0] else 2
        return 1 if item.path.stem in long else 3

    items.sort(key=turn)


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> tuple[project.Project, list[str]]:
    """The small experiment after its first `dvc repro`, built once for all workers, to copy; and what ran."""
    own = tmp_path_factory.getbasetemp()
    return project.built(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture(scope="session")
def fresh_run(
    untouched: tuple[project.Project, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[project.Project, list[str]]:
    """This worker's copy of it, and the stages that ran."""
    made, ran = untouched
    own = tmp_path_factory.getbasetemp() / "project"
    shutil.copytree(made.folder, own)
    return project.Project(own), ran


@pytest.fixture(scope="session")
def done(fresh_run: tuple[project.Project, list[str]]) -> project.Project:
    """The small experiment, run. Tests that change anything take `changing` or `scratch` instead."""
    return fresh_run[0]


@pytest.fixture
def changing(done: project.Project, tmp_path: Path) -> Iterator[project.Project]:
    """The small experiment itself; put back afterwards, the results that its stages keep included."""
    kept = done.folder / "data/kept"
    shutil.copytree(kept, tmp_path / "kept")
    yield done
    done.run("git", "checkout", "-q", ".")
    done.run("dvc", "checkout", "-q")
    shutil.rmtree(kept)
    shutil.move(tmp_path / "kept", kept)


@pytest.fixture
def scratch(done: project.Project, tmp_path: Path) -> project.Project:
    """A copy of the small experiment, run, to spoil."""
    return done.copy(tmp_path / "project")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a small model, for tests of the command line."""
    from tests import models

    folder = tmp_path_factory.mktemp("model")
    models.model().save_pretrained(folder)
    return str(folder)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with five pictures in photos/."""
    from tests import models

    monkeypatch.chdir(tmp_path)
    models.pictures(tmp_path / "photos", 5)
    return tmp_path

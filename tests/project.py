"""A small experiment in a folder of its own, for tests that run the real commands."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from tests import warm
from tests.warm import ROOT

WORLD = {
    "train_pairs": 300,
    "label_images": 80,
    "corpus_lines": 700,
    "imagenet_per_class": 4,
    "cifar_per_class": 2,
    "coco_images": 12,
    "coco_2017_images": 12,
    "flickr_images": 12,
    "okvqa_questions": 24,
    "textvqa_questions": 24,
}
HYMA = {"batch": 64, "epochs": 2, "samples": 200, "components": 32}
METHODS = ("hyma_two_sided", "autopair", "cca", "cka", "random")
SEARCH: dict[str, dict[str, Any]] = {
    "hyma_two_sided": HYMA | {"bm": 4},
    "grid_large": {"batch": 256, "epochs": 2},
    "cgs": {"samples": 128, "batch": 64},
    "autopair": {"flops": 5.0e8, "batch": 64},
    "cca": {},
}
ANSWER = "answers/ask_llm.json"
RANKING = ("vit-minilm", "vit-words", "byobnet-minilm", "byobnet-words")
ENVIRONMENT = os.environ | {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",  # two tests run at a time, and threads that wait for each other cost more than they give
    "GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@localhost",
    "GIT_COMMITTER_NAME": "test", "GIT_COMMITTER_EMAIL": "test@localhost",
}  # fmt: skip


def environment() -> dict[str, str]:
    """Of commands: with the warm ``python``, ``dvc`` and ``hyma`` first on PATH, then this interpreter's."""
    places = (warm.commands(), Path(sys.executable).parent, os.environ["PATH"])
    return ENVIRONMENT | {"PATH": os.pathsep.join(map(str, places))}


def small(params: dict[str, Any]) -> dict[str, Any]:
    """The committed experiment with two encoders a side, little data and few epochs."""
    params = copy.deepcopy(params)
    params["world"]["embedded"] |= WORLD
    for side, kept in (("image", ("vit", "byobnet")), ("text", ("words",))):
        params["zoo"][side] = {slug: params["zoo"][side][slug] | {"epochs": 1} for slug in kept}
    params["image_encoders"] = {slug: params["image_encoders"][slug] for slug in ("vit", "byobnet")}
    params["text_encoders"] = {slug: params["text_encoders"][slug] for slug in ("minilm", "words")}
    params["connector"] |= {"hidden": 16}
    params["hyma"] |= HYMA | {"bm": 1}
    params["grid"] |= {"batch": 64, "epochs": 2}
    params["refine"] |= {"top": 2, "flops": 1.0e8, "batch": 64}
    params["search"]["methods"] = list(METHODS)
    for name, settings in SEARCH.items():
        params["search"][name] = params["search"].get(name, {}) | settings
    for name, settings in params["search"].items():
        if name not in ("methods", "recorded") and "samples" in settings:
            settings["samples"] = min(settings["samples"], 200)
    params["search"]["recorded"] = {"ask_llm": {"file": ANSWER}}
    params["studies"] |= {"seeds": [0, 1], "resamples": 100, "bm": [1, 4], "folds": 2}
    return params


def create(folder: Path) -> "Project":
    """Copy what git tracks, or would, to `folder`, make it a repository and the experiment small."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    for name in listed.stdout.decode().split("\0"):
        if (
            name
            and (ROOT / name).is_file()
            and name != "dvc.lock"
            and name.split("/")[0] not in ("metrics", "reports", "experiments")
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    project = Project(folder)
    project.write_params(small(project.params()))
    project.write_answer(RANKING)
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        project.run("git", *arguments)
    return project


def pipeline_alone(folder: Path, params: dict[str, Any]) -> None:
    """Make `folder` a repository with the pipeline and an experiment, but without code and data."""
    for name in ("dvc.yaml", "embedded", "inputs", ".dvc/config", "zoo", "answers"):
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.is_file():
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)


def built(shared: Path) -> "tuple[Project, list[str]]":
    """The small experiment after its first ``dvc repro``, built once in a folder that processes share; what ran."""
    made, record = Project(shared / "experiment"), shared / "experiment.json"
    with FileLock(shared / "experiment.lock"):
        if not record.exists():
            create(made.folder)
            ran = made.stages("repro")
            made.run("git", "add", "-A")
            made.run("git", "commit", "-qm", "run")
            record.write_text(json.dumps(ran))
    return made, json.loads(record.read_text())


class Project:
    """A folder with an experiment."""

    def __init__(self, folder: Path):
        self.folder = folder

    def params(self) -> dict[str, Any]:
        """The content of params.yaml."""
        return yaml.safe_load((self.folder / "params.yaml").read_text())

    def write_params(self, params: dict[str, Any]) -> None:
        """Replace params.yaml."""
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def write_answer(self, ranking: Sequence[str]) -> None:
        """Replace the recorded ranking by one of this experiment's pairs."""
        answer = {
            "model": "nobody",
            "date": "2026-01-01",
            "question": "Which pair?",
            "ranking": list(ranking),
        }
        (self.folder / ANSWER).parent.mkdir(exist_ok=True)
        (self.folder / ANSWER).write_text(json.dumps(answer))

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command in the folder, expect its exit code, return what it printed to both streams."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def stages(self, *command: str) -> list[str]:
        """Run a dvc command and return the names of the stages that it ran."""
        return self.ran(self.run("dvc", *command))

    @staticmethod
    def ran(printed: str) -> list[str]:
        """The stages that DVC says it ran."""
        return re.findall(r"Running stage '([^']+)'", printed)

    def copy(self, folder: Path) -> "Project":
        """A copy without its history and cache."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns(".git", ".dvc"))
        return Project(folder)


def without_instance(stages: Sequence[str]) -> set[str]:
    """The stages' names without the pipeline's file, and without what foreach or matrix appended."""
    return {stage.rpartition(":")[2].partition("@")[0] for stage in stages}

"""The smallest experiment that has every stage, run once undisturbed, to be disturbed in fresh copies."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import psutil
import yaml

from benchmarks.faults.figures import Figures, figures
from hyma.common.files import remove
from tests import project

WORLD = {
    "train_pairs": 120,
    "label_images": 40,
    "corpus_lines": 100,
    "imagenet_per_class": 2,
    "cifar_per_class": 1,
    "coco_images": 4,
    "coco_2017_images": 4,
    "flickr_images": 8,
    "okvqa_questions": 12,
    "textvqa_questions": 6,
}
METHODS: dict[str, dict[str, Any]] = {"cca": {}, "autopair": {"flops": 1.0e8, "batch": 32}, "random": {}}
ZOO = ("vit", "byobnet", "words", "things")
RANKING = ("vit-words", "byobnet-words", "vit-things", "byobnet-things")
CUT_SHORT = "DVC's dvc.lock was cut short"
LOCK_CUT_SHORT = re.compile(r"'\./([\w/]*dvc\.lock)' (is invalid|validation failed)")
LOCKS = ("embedded/dvc.lock", "inputs/dvc.lock", "dvc.lock")
State = Literal["start", "prepared", "done"]


def smallest(params: dict[str, Any], committed: dict[str, Any]) -> dict[str, Any]:
    """The tests' small experiment, smaller: three benchmarks, one a kind, and two text encoders of the zoo."""
    params["world"]["embedded"] |= WORLD
    params["benchmarks"] = {name: params["benchmarks"][name] for name in ("imagenet", "flickr8k", "okvqa")}
    zoo, texts = committed["zoo"]["text"], ZOO[2:]
    params["zoo"]["text"] = {slug: zoo[slug] | {"epochs": 1, "dim": 32} for slug in texts}
    params["text_encoders"] = {slug: committed["text_encoders"][slug] for slug in texts}
    params["extract"] |= {"chunk": 48, "batch": 16}
    recorded = params["search"]["recorded"]
    params["search"] = {"methods": list(METHODS), "recorded": recorded, **METHODS}
    for name in ("hyma", "grid"):
        params[name] |= {"epochs": 1, "batch": 32}
    params["hyma"] |= {"samples": 100, "components": 16}
    params["refine"] |= {"flops": 1.0e7, "batch": 32}
    return params


class Running:
    """A command that has begun, in a process group of its own; what it prints goes to a file."""

    def __init__(self, folder: Path, *command: str, log: Path | None = None):
        self.log = log or folder.with_name(f"{folder.name}-{time.monotonic_ns()}.log")
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=project.environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def printed(self) -> str:
        """What it has said up to now."""
        return self.log.read_text(errors="replace")

    def begun(self) -> list[str]:
        """The stages that DVC began."""
        return project.Project.ran(self.printed)

    def stage(self) -> str | None:
        """The stage that runs; none while DVC works between them."""
        last = self.printed.rpartition("Running stage '")[2]
        return self.begun()[-1] if self.begun() and "Updating lock file" not in last else None

    def kill(self) -> None:
        """Signal 9 to the whole group, until none of it is left."""
        while self._members():
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                break
            self.process.poll()
            time.sleep(0.01)
        self.process.wait()

    def _members(self) -> list[int]:
        def belongs(each: psutil.Process) -> bool:
            try:
                return os.getpgid(each.pid) == self.process.pid and each.status() != psutil.STATUS_ZOMBIE
            except (ProcessLookupError, psutil.Error):
                return False

        return [each.pid for each in psutil.process_iter() if belongs(each)]

    def end(self) -> int:
        """Wait for its end; return its exit code."""
        return self.process.wait()


class Tiny:
    """The experiment in three states, in folders of `root`, and what its undisturbed run gave."""

    def __init__(self, root: Path):
        """Make it, and run it to its end."""
        project.ENVIRONMENT["DVC_SITE_CACHE_DIR"] = str(root / "site")
        self.root, self.copies = root, 0
        start = project.create(self.folder("start"))
        committed = yaml.safe_load((project.ROOT / "params.yaml").read_text())
        start.write_params(smallest(start.params(), committed))
        start.write_answer(RANKING)
        for left in (
            "embedded/dvc.lock",
            "inputs/dvc.lock",
            "studies/dvc.lock",
            *(f"zoo/{slug}" for slug in ZOO),
        ):
            remove(start.folder / left)  # of the committed run
        start.run("git", "commit", "-qam", "smallest")
        self.seconds: dict[str, float] = {}
        """Of each stage, in the order in which they ran."""
        for before, state, target in (
            ("start", "prepared", ("inputs/dvc.yaml",)),
            ("prepared", "done", ()),
        ):
            shutil.copytree(self.folder(before), self.folder(state), symlinks=True)
            self._run(self.folder(state), *target)
        self.figures: Figures = figures(self.folder("done"), self.outs())

    def folder(self, state: str) -> Path:
        """Where a state lies: ``start``, nothing run; ``prepared``, up to what is encoded; ``done``."""
        return self.root / state

    def _run(self, folder: Path, *target: str) -> None:
        """Run it, timing the stages."""
        run, last = Running(folder, "dvc", "repro", *target), time.perf_counter()
        while run.process.poll() is None:
            for name in run.begun():
                if name not in self.seconds:
                    self.seconds[name], last = 0.0, time.perf_counter()
            if name := run.stage():
                self.seconds[name] = time.perf_counter() - last
            time.sleep(0.01)
        if run.end():
            raise SystemExit(f"the undisturbed run failed:\n{run.printed}")

    def locked(self) -> dict[str, dict[str, Any]]:
        """What the lock files of the finished run say of each stage, in the order in which they ran."""
        found = locked(self.folder("done"))
        return {name: found[name] for name in self.seconds}

    def noted(self, folder: Path) -> set[str]:
        """The stages of which the lock files in a folder say as much as those of the finished run."""
        whole = self.locked()
        return {name for name, entry in locked(folder).items() if _shape(entry) == _shape(whole.get(name))}

    def outs(self) -> list[str]:
        """The outputs of all stages."""
        return [out["path"] for entry in self.locked().values() for out in entry["outs"]]

    @contextmanager
    def copy(self, state: State) -> Iterator[project.Project]:
        """A fresh copy of a state, deleted afterwards."""
        self.copies += 1
        folder = self.root / "copies" / str(self.copies)
        folder.parent.mkdir(exist_ok=True)
        shutil.copytree(self.folder(state), folder, symlinks=True)
        try:
            yield project.Project(folder)
        finally:
            shutil.rmtree(folder)
            for log in folder.parent.glob("*.log"):
                log.unlink()

    def differing(self, folder: Path, outs: Sequence[str] | None = None) -> list[str]:
        """The files of these outputs, all unless given, that are not those of the undisturbed run, or are missing."""
        outs = self.outs() if outs is None else outs
        found = figures(folder, outs)
        wanted = {
            name: digest
            for name, digest in self.figures.items()
            if any(name == out or name.startswith(f"{out}/") for out in outs)
        }
        return sorted(name for name in wanted | found if wanted.get(name) != found.get(name))

    def half_written(self, folder: Path, outs: Sequence[str] | None = None) -> list[str]:
        """Of these, the files that are there."""
        return [name for name in self.differing(folder, outs) if (folder / name).exists()]


def locked(folder: Path) -> dict[str, dict[str, Any]]:
    """What the lock files in a folder say of each stage, by the name that DVC prints; nothing of one cut short."""
    found = {}
    for file in LOCKS:
        try:
            stages = yaml.load((folder / file).read_text(), yaml.CSafeLoader)["stages"] or {}
        except (FileNotFoundError, yaml.YAMLError, TypeError, KeyError):
            continue
        where = "" if file == "dvc.lock" else file.replace(".lock", ".yaml:")
        found.update({f"{where}{name}": entry for name, entry in stages.items()})
    return found


def _shape(value: Any) -> Any:
    """Keys and lengths."""
    if isinstance(value, dict):
        return {key: _shape(each) for key, each in value.items()}
    return [_shape(each) for each in value] if isinstance(value, list) else None


def remedy(folder: Path, printed: str) -> str | None:
    """Do by hand what DVC asks for where a file of its own was cut short; say what."""
    if "Unable to read RWLock-file" in printed:
        remove(folder / ".dvc/tmp/rwlock")
        return "DVC's .dvc/tmp/rwlock was cut short, said so, and was deleted by hand"
    if found := LOCK_CUT_SHORT.search(printed):
        remove(folder / found[1])
        return f"{CUT_SHORT}, said so, and was deleted by hand"
    return None


def last_words(printed: str) -> str:
    """The line of what a command printed that says what was wrong."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return next(
        (line for line in lines if line.lower().startswith("error")), lines[-1] if lines else "nothing"
    )

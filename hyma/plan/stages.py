"""Which stages `dvc repro` will run: those that changed, and what depends on them.

A dry run of DVC does not say so: it follows no change beyond the stage itself, and in a fresh clone it stops at the
first output that is not there. So DVC's own status is asked stage by stage, and followed here. Nothing is run, and
nothing is written but DVC's own notes, in .dvc/tmp and outside the project. DVC may still take a stage from its run
cache, where an earlier run with the same inputs is kept; here such a stage counts as one that runs.
"""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyma.common.errors import HymaError

RUN, RESTORE, KEEP = "run", "restore", "keep"
"""It will run; only its outputs are fetched from DVC's cache; it stays as it is."""
PIPELINE = "dvc.yaml"
SETTINGS = "metrics/settings.yaml"
CONSTANT = "check"
"""The stage that reads all of params.yaml and so runs for any change; what follows from one, other stages tell."""
REPEATS = {"fetch", "world", "prepare_training", "prepare"}
"""Stages that make the same again from the same inputs: what they make is missing, but not changed. All others
measure seconds or round differently elsewhere."""


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline, and what `dvc repro` will do with it."""

    address: str
    """As DVC shows it, such as ``embedded/dvc.yaml:world@embedded``."""
    state: str
    """`RUN`, `RESTORE` or `KEEP`."""
    lock_lines: float
    """Of the lock file that it stands in, read and written with every stage: the mean of now and later."""

    @property
    def name(self) -> str:
        """Without its folder, and without what ``foreach`` or ``matrix`` appended."""
        return self.address.rpartition(":")[2].partition("@")[0]

    @property
    def instance(self) -> str:
        """What ``foreach`` or ``matrix`` appended; nothing where there is neither."""
        return self.address.partition("@")[2]


def look(folder: Path, settings: dict[str, Any] | None = None) -> list[Stage]:
    """Look at every stage of the pipeline in `folder`, and at those in folders below that it needs, these first.

    Args:
        folder: with dvc.yaml.
        settings: what metrics/settings.yaml will hold once `check` has run; as it is, unless given.

    Raises:
        HymaError: if there is no pipeline, or it is not in a DVC and git repository, or has a mistake.
    """
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo
    from dvc.scm import SCMError

    if not (folder / PIPELINE).is_file():
        raise HymaError(f"{folder / PIPELINE}: file not found; run from the project's root")
    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        with Repo(str(folder)) as repo:
            return _decide(repo.index.graph, folder.resolve() / PIPELINE, settings)
    except NotDvcRepoError:
        raise HymaError(f"{folder.resolve()}: not a DVC repository; run `dvc init` there") from None
    except SCMError:
        raise HymaError(f"{folder.resolve()}: not a git repository; run `git init` there") from None
    except DvcException as error:
        raise HymaError(f"{folder / PIPELINE}: {' '.join(str(error).split())}") from None


def _decide(graph: Any, pipeline: Path, settings: dict[str, Any] | None) -> list[Stage]:
    """Decide in the order of `graph`, in which an edge leads from a stage to what it depends on."""
    import networkx

    own = [stage for stage in graph if Path(stage.path) == pipeline]
    needed = graph.subgraph({*own}.union(*(networkx.descendants(graph, stage) for stage in own)))
    lines = {path: _lock_lines(Path(path), needed) for path in {stage.path for stage in needed}}
    spreads: set[Any] = set()
    decided = []
    for stage in reversed(list(networkx.topological_sort(needed))):
        upstream = list(graph.successors(stage))
        changed = bool(spreads.intersection(upstream)) or _changed(stage, upstream, settings)
        state = RUN if changed else _outputs(stage.outs)
        found = Stage(_address(stage, pipeline), state, lines[stage.path])
        if state == RUN and found.name != CONSTANT and (changed or found.name not in REPEATS):
            spreads.add(stage)
        decided.append(found)
    return decided


def _address(stage: Any, pipeline: Path) -> str:
    name, file = getattr(stage, "name", stage.addressing), Path(stage.path)
    return name if file == pipeline else f"{os.path.relpath(file, pipeline.parent)}:{name}"


def _lock_lines(pipeline: Path, stages: Iterable[Any]) -> float:
    lock = pipeline.with_suffix(".lock")
    now = len(lock.read_bytes().splitlines()) if lock.is_file() else 0
    # A stage's name, command and headings, and four lines a file: path, hash, digest, size.
    later = sum(5 + 4 * len([*one.deps, *one.outs]) for one in stages if Path(one.path) == pipeline)
    return (now + later) / 2


def _changed(stage: Any, upstream: list[Any], settings: dict[str, Any] | None) -> bool:
    """Whether a stage's command, params or inputs changed, as far as they are there; cheap looks come first."""
    from dvc.dependency import ParamsDependency

    if stage.always_changed or stage.changed_stage() or stage.is_callback:
        return True
    made = {Path(output.fs_path): output for before in upstream for output in before.outs}
    inputs = sorted(stage.deps, key=lambda one: not isinstance(one, ParamsDependency))
    if settings is not None:
        own = [one for one in inputs if isinstance(one, ParamsDependency) and one.def_path.endswith(SETTINGS)]
        if any(_set_anew(one, settings) for one in own):
            return True
        inputs = [one for one in inputs if one not in own]
    return any(_changed_input(one, made) for one in inputs)


def _set_anew(dependency: Any, settings: dict[str, Any]) -> bool:
    """Whether settings are not those that the lock file has of a stage."""
    ran = dependency.hash_info.value if dependency.hash_info else {}
    return set(ran) != set(dependency.params) or any(
        _lookup(settings, key) != value for key, value in ran.items()
    )


def _lookup(settings: Any, key: str) -> Any:
    for part in key.split("."):
        settings = settings.get(part) if isinstance(settings, dict) else None
    return settings


def _changed_input(dependency: Any, made: dict[Path, Any]) -> bool:
    """Whether an input differs from what the lock file says of it, given what the stages before it make."""
    path = Path(dependency.fs_path)
    # Without a digest in the lock file it is new: nothing, however large, is read to find that out.
    if not dependency.hash_info or (path in made and made[path].hash_info != dependency.hash_info):
        return True
    within = [
        output
        for place, output in made.items()
        if path == place or path in place.parents or place in path.parents
    ]
    # What is missing is made again as it was, or the stage that makes it has changed itself.
    return all(output.exists for output in within) and bool(dependency.status())


def _outputs(outputs: list[Any]) -> str:
    changed = [output for output in outputs if not output.hash_info or output.workspace_status()]
    if not changed:
        return KEEP
    cached = all(output.use_cache and output.hash_info and not output.changed_cache() for output in changed)
    return RESTORE if cached else RUN


def summary(stages: list[Stage]) -> dict[str, Any]:
    """The stages counted by state, and by name and state, in the pipeline's order."""
    by_name: dict[str, dict[str, int]] = {}
    for stage in stages:
        by_name.setdefault(stage.name, {RUN: 0, RESTORE: 0, KEEP: 0})[stage.state] += 1
    total = {state: sum(count[state] for count in by_name.values()) for state in (RUN, RESTORE, KEEP)}
    return {"total": len(stages), **total, "by_name": by_name}

"""Which stages of dvc.yaml `dvc repro` will run: those that changed, and what depends on them.

DVC's own status looks at stages one by one. Nothing is run or locked here, and nothing is written but DVC's
own notes, in .dvc/tmp and outside the project. DVC may still take a stage from its run cache, where an
earlier run with the same inputs is kept; here such a stage counts as one that runs.
"""

import logging
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyma.common.errors import HymaError

RUN, RESTORE, KEEP = "run", "restore", "keep"
"""It will run; only its outputs are fetched from DVC's cache; it stays as it is."""
PIPELINE = "dvc.yaml"
CONSTANT = {"check"}
"""Stages whose output is always the same: they run, and nothing follows from it."""
REPEATS = {"world", "prepare_training", "prepare"}
"""Stages that make the same again from the same inputs: what they make is missing, but not changed. All others
measure seconds or round differently elsewhere."""


@dataclass(frozen=True)
class Pipeline:
    """What `dvc repro` will do."""

    states: dict[str, str]
    """Stage → `RUN`, `RESTORE` or `KEEP`, those it depends on first."""
    lock_lines: float
    """Of dvc.lock, which is read and written with every stage: the mean of what it has and what it will have."""


def look(folder: Path) -> Pipeline:
    """Look at every stage of the pipeline in `folder`.

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
            return _decide(repo, (folder / PIPELINE).resolve())
    except NotDvcRepoError:
        raise HymaError(f"{folder.resolve()}: not a DVC repository; run `dvc init` there") from None
    except SCMError:
        raise HymaError(f"{folder.resolve()}: not a git repository; run `git init` there") from None
    except DvcException as error:
        raise HymaError(f"{folder / PIPELINE}: {' '.join(str(error).split())}") from None


def _decide(repo: Any, pipeline: Path) -> Pipeline:
    import networkx

    graph = repo.index.graph  # an edge leads from a stage to what it depends on
    decided: dict[Any, str] = {}
    spreads: set[Any] = set()
    for stage in reversed(list(networkx.topological_sort(graph))):
        if Path(stage.path) != pipeline:
            continue
        upstream = list(graph.successors(stage))
        changed = bool(spreads.intersection(upstream)) or _changed(stage, upstream)
        decided[stage] = RUN if changed else _outputs(stage.outs)
        name = stage.name.partition("@")[0]
        if decided[stage] == RUN and name not in CONSTANT and (changed or name not in REPEATS):
            spreads.add(stage)
    return Pipeline({stage.name: state for stage, state in decided.items()}, _lock_lines(pipeline, decided))


def _lock_lines(pipeline: Path, stages: Collection[Any]) -> float:
    lock = pipeline.with_suffix(".lock")
    now = len(lock.read_bytes().splitlines()) if lock.is_file() else 0
    # A stage's name, command and headings, and four lines a file: path, hash, digest, size.
    later = sum(5 + 4 * len([*stage.deps, *stage.outs]) for stage in stages)
    return (now + later) / 2


def _changed(stage: Any, upstream: list[Any]) -> bool:
    """Whether a stage's command, params or inputs changed, as far as they are there; cheap looks come first."""
    from dvc.dependency import ParamsDependency

    if stage.always_changed or stage.changed_stage() or (stage.is_callback and not stage.frozen):
        return True
    outputs = {Path(output.fs_path): output.hash_info for before in upstream for output in before.outs}
    inputs = [] if stage.frozen else stage.deps
    return any(
        _changed_input(dependency, outputs, isinstance(dependency, ParamsDependency))
        for dependency in sorted(inputs, key=lambda one: not isinstance(one, ParamsDependency))
    )


def _changed_input(dependency: Any, outputs: dict[Path, Any], is_param: bool) -> bool:
    """Whether an input differs from what dvc.lock says of it, given what the stages before it make."""
    # Without a digest in dvc.lock it is new: nothing, however large, is read to find that out.
    if not dependency.hash_info:
        return True
    path = Path(dependency.fs_path)
    if is_param:
        return bool(dependency.status())
    if outputs.get(path, dependency.hash_info) != dependency.hash_info:
        return True
    made = any(path == one or path in one.parents or one in path.parents for one in outputs)
    if not dependency.exists:
        return not made
    return bool(dependency.status()) and not (made and _partly_missing(dependency))


def _partly_missing(dependency: Any) -> bool:
    """Whether a folder lacks files that it held when dvc.lock was written, and holds no others."""
    obj = dependency.get_obj() if dependency.hash_info.isdir else None
    if obj is None:
        return False
    root = Path(dependency.fs_path)
    before = {"/".join(key) for key, *_ in obj}
    now = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    return now < before


def _outputs(outputs: list[Any]) -> str:
    changed = [output for output in outputs if not output.hash_info or output.workspace_status()]
    if not changed:
        return KEEP
    cached = all(output.use_cache and output.hash_info and not output.changed_cache() for output in changed)
    return RESTORE if cached else RUN


def summary(states: dict[str, str]) -> dict[str, Any]:
    """The stages counted by name, without what ``foreach`` or ``matrix`` appended, in the pipeline's order."""
    groups: dict[str, Counter[str]] = {}
    for stage, state in states.items():
        groups.setdefault(stage.partition("@")[0], Counter())[state] += 1
    total = Counter(states.values())
    return {
        "total": len(states),
        **{state: total[state] for state in (RUN, RESTORE, KEEP)},
        "by_name": {
            name: {state: count[state] for state in (RUN, RESTORE, KEEP)} for name, count in groups.items()
        },
    }

"""What a run left in git, read at any revision: a commit, a branch, a tag, or an experiment of DVC."""

import json
import subprocess
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hyma.common.errors import HymaError
from hyma.ranking.movement import Run
from hyma.report.environment import git

Json = dict[str, Any]
WORKSPACE = "workspace"
"""The working tree, as DVC calls it."""
PARAMS, RANKING, STUDIES, LOCK = "params.yaml", "metrics/ranking.json", "metrics/studies.json", "dvc.lock"
NEEDED = ("oracle", "protocol", "benchmarks", "scores", "cost", "winner")


def read(revisions: Sequence[str], workspace: bool = True, root: Path | None = None) -> list[Run]:
    """The runs at `revisions`, in that order and each once, and that of the working tree last.

    Args:
        revisions: what git or DVC knows: commits, branches, tags, names of experiments.
        workspace: whether the working tree is one of them.
        root: the project's folder or one in it; the current one if None.

    Raises:
        HymaError: if this is no project under git and DVC, a revision is unknown or has no ranking, or there
            are fewer than two runs.
    """
    names = [name for name in dict.fromkeys(revisions) if name != WORKSPACE]
    last = [WORKSPACE] if workspace or WORKSPACE in revisions else []
    if len(names + last) < 2:
        raise HymaError("--compare needs two runs: name another revision, or leave out --no-workspace")
    project = _project((root or Path()).resolve())
    commits = {name: _resolve(project, name) for name in names}
    runs = [_at(project, name, commit) for name, commit in commits.items()]
    return runs + [_working_tree(project) for _ in last]


def _project(folder: Path) -> Path:
    """The project that a folder is in, under git and DVC."""
    found = next((place for place in (folder, *folder.parents) if (place / ".dvc").is_dir()), None)
    if found is None:
        raise HymaError(f"{folder}: no git repository with a DVC project; run from the project's root")
    try:
        git("rev-parse", "HEAD", folder=found)
    except (OSError, subprocess.CalledProcessError):
        raise HymaError(
            f"{found}: not a git repository with commits, so there is no other run to compare with"
        ) from None
    return found


def _resolve(project: Path, name: str) -> str:
    """The commit that a revision or an experiment stands for."""
    try:
        return git(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", folder=project
        )
    except subprocess.CalledProcessError:
        pass
    listed = git("for-each-ref", "--format=%(refname) %(objectname)", "refs/exps/*/*/*", folder=project)
    refs = [(ref.split("/"), commit) for ref, commit in map(str.split, listed.splitlines())]
    own = {"".join(parts[2:4]): commit for parts, commit in refs if parts[4] == name}
    if len(own) > 1:
        # As DVC has it, the one that began from the current commit is meant.
        head = git("rev-parse", "HEAD", folder=project)
        own = {head: own[head]} if head in own else own
    if len(own) == 1:
        return next(iter(own.values()))
    if own:
        raise HymaError(
            f"revision {name}: several experiments are called so; give the whole hash (`dvc exp list -A --sha-only`)"
        )
    known = git(
        "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", folder=project
    ).split()
    close = get_close_matches(name, dict.fromkeys([*known, *(parts[4] for parts, _ in refs)]), cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else "see `git log --oneline` and `dvc exp list -A`"
    raise HymaError(f"revision {name or repr(name)}: neither git nor DVC knows it; {hint}")


def _at(project: Path, name: str, commit: str) -> Run:
    date, subject = git("show", "--no-patch", "--format=%cs%n%s", commit, folder=project).split("\n", 1)

    def text(path: str) -> str:
        try:
            return git("show", f"{commit}:./{path}", folder=project)
        except subprocess.CalledProcessError:
            raise FileNotFoundError(path) from None

    return _run(
        name,
        text,
        "was the pipeline run, and its result committed?",
        commit=commit[:7],
        date=date,
        subject="an experiment of DVC" if subject.startswith("dvc: commit experiment") else subject,
    )


def _working_tree(project: Path) -> Run:
    return _run(
        WORKSPACE,
        lambda path: (project / path).read_text(encoding="utf-8"),
        "run `dvc repro`, or leave the working tree out with --no-workspace",
        commit=git("rev-parse", "HEAD", folder=project)[:7],
        subject="the working tree, on this commit",
    )


def _run(name: str, read_text: Callable[[str], str], hint: str, **about: str) -> Run:
    """A run from its files, of which the lock and the studies need not be there."""

    def content(path: str, parse: Callable[[str], Any], needed: bool = True) -> Json:
        kind, shape = ("json", "a json object") if parse is json.loads else ("YAML", "a mapping of sections")
        try:
            found = parse(read_text(path))
        except FileNotFoundError:
            if not needed:
                return {}
            raise HymaError(f"revision {name}: no {path} there; {hint}") from None
        except (json.JSONDecodeError, YAMLError) as error:
            raise HymaError(f"revision {name}: {path} is no valid {kind}: {_line(error)}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise HymaError(f"revision {name}: {path} cannot be read: {_line(error)}") from None
        if not isinstance(found, dict | None):
            raise HymaError(f"revision {name}: {path} should be {shape}; run `dvc repro` there")
        return found or {}

    # YAML as DVC reads it, by its version 1.2, so that numbers compare as they do in the lock.
    yaml = YAML(typ="safe").load
    params, ranking = content(PARAMS, yaml), content(RANKING, json.loads)
    for key in NEEDED:
        if key not in ranking:
            raise HymaError(
                f"revision {name}: {RANKING} has no {key!r}: not a ranking, or of another version; run `dvc repro`"
            )
    return Run(
        name,
        params=params,
        ranking=ranking,
        lock=content(LOCK, yaml, needed=False),
        studies=content(STUDIES, json.loads, needed=False),
        **about,
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())

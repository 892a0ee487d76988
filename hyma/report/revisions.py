"""What a run left in git, read at any revision: a commit, a branch, a tag, or an experiment of DVC."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.repo import Repo
from dvc.repo.experiments.utils import exp_refs
from dvc.scm import Git, RevError, resolve_rev
from dvc.utils.serialize import parse_yaml

from hyma.common.errors import HymaError

Json = dict[str, Any]
Read = Callable[[str], str]
"""From a file's path within the project to its text."""
WORKSPACE = "workspace"
"""The working tree, as DVC calls it."""
PARAMS, RANKING, STUDIES, LOCK = "params.yaml", "metrics/ranking.json", "metrics/studies.json", "dvc.lock"
NEEDED = ("oracle", "protocol", "benchmarks", "scores", "cost", "winner")


@dataclass(frozen=True)
class Run:
    """One run of the pipeline: what it was told to do, and what came out."""

    name: str
    """As the user named the revision, or `WORKSPACE`."""
    params: Json
    """Content of params.yaml."""
    ranking: Json
    """Content of metrics/ranking.json."""
    lock: Json
    """Content of dvc.lock; empty where there is none."""
    studies: Json = field(default_factory=dict)
    """Content of metrics/studies.json, every method with several seeds; empty where they were not run."""
    commit: str = ""
    date: str = ""
    subject: str = ""


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
    with _project(root or Path()) as repo:
        commits = {name: _resolve(repo.scm, name) for name in names}
        runs = [_at(repo, name, commit) for name, commit in commits.items()]
        return runs + [_working_tree(repo) for _ in last]


@contextmanager
def _project(folder: Path) -> Iterator[Repo]:
    """The project that a folder is in, under git and DVC."""
    try:
        repo = Repo(str(folder))
    except NotDvcRepoError:
        raise HymaError(
            f"{folder.resolve()}: no git repository with a DVC project; run from the project's root"
        ) from None
    with closing(repo):
        if not isinstance(repo.scm, Git):
            raise HymaError(
                f"{repo.root_dir}: not a git repository, so there is no other run to compare with"
            )
        yield repo


def _resolve(git: Git, name: str) -> str:
    """The commit that a revision or an experiment stands for."""
    try:
        if not name.strip():
            raise RevError("no name")
        return resolve_rev(git, name)
    except RevError as error:
        if "ambiguous" in str(error):
            raise HymaError(
                f"revision {name}: several experiments or commits are called so; give the whole hash "
                "(`dvc exp list -A --sha-only`)"
            ) from None
    known = [*git.list_branches(), *git.list_tags(), *(found.name for found in exp_refs(git))]
    close = get_close_matches(name, dict.fromkeys(known), cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else "see `git log --oneline` and `dvc exp list -A`"
    raise HymaError(f"revision {name or repr(name)}: neither git nor DVC knows it; {hint}")


def _at(repo: Repo, name: str, commit: str) -> Run:
    about = repo.scm.resolve_commit(commit)
    subject = about.message.strip().split("\n")[0]
    # At a revision DVC's root is git's, and a project below it is one of its "subrepos".
    below = Path(repo.root_dir).resolve().relative_to(Path(repo.scm.root_dir).resolve()).as_posix()
    with closing(DVCFileSystem(repo.root_dir, rev=commit, subrepos=below != ".")) as files:

        def text(path: str) -> str:
            return str(files.read_text(f"/{below}/{path}", encoding="utf-8"))

        return _run(
            name,
            text,
            "was the pipeline run, and its result committed?",
            commit=commit[:7],
            date=f"{about.commit_datetime:%Y-%m-%d}",
            subject="an experiment of DVC" if subject.startswith("dvc: commit experiment") else subject,
        )


def _working_tree(repo: Repo) -> Run:
    return _run(
        WORKSPACE,
        lambda path: (Path(repo.root_dir) / path).read_text(encoding="utf-8"),
        "run `dvc repro`, or leave the working tree out with --no-workspace",
        commit=repo.scm.get_rev()[:7],
        subject="the working tree, on this commit",
    )


def _run(name: str, read_text: Read, hint: str, **about: str) -> Run:
    """A run from its files, of which the lock and the studies need not be there."""

    def text(path: str, otherwise: str | None = None) -> str:
        try:
            return read_text(path)
        except (OSError, DvcException, UnicodeDecodeError) as error:
            if otherwise is not None:
                return otherwise
            if isinstance(error, FileNotFoundError):
                raise HymaError(f"revision {name}: no {path} there; {hint}") from None
            raise HymaError(f"revision {name}: {path} cannot be read: {_line(error)}") from None

    return Run(
        name,
        params=_yaml(text(PARAMS), PARAMS, name),
        ranking=_ranking(text(RANKING), name),
        lock=_yaml(text(LOCK, ""), LOCK, name),
        studies=_json(text(STUDIES, "{}"), STUDIES, name),
        **about,
    )


def _yaml(text: str, path: str, name: str) -> Json:
    """As DVC parses it, so that numbers compare as they do in the lock."""
    try:
        content = parse_yaml(text, path)
    except DvcException as error:
        raise HymaError(
            f"revision {name}: {path} is no valid YAML: {_line(error.__cause__ or error)}"
        ) from None
    if not isinstance(content, dict):
        raise HymaError(f"revision {name}: {path} should be a mapping of sections")
    return content


def _json(text: str, path: str, name: str) -> Json:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise HymaError(
            f"revision {name}: {path} is no valid json ({error}); run `dvc repro` there"
        ) from None
    if not isinstance(content, dict):
        raise HymaError(f"revision {name}: {path} should be a json object; run `dvc repro` there")
    return content


def _ranking(text: str, name: str) -> Json:
    content = _json(text, RANKING, name)
    missing = [key for key in NEEDED if key not in content]
    if missing:
        raise HymaError(
            f"revision {name}: {RANKING} has no {missing[0]!r}: not a ranking, or of another version; run `dvc repro`"
        )
    return content


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())

"""Runs read from a small repository, at commits, tags and experiments; and the command that compares them."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from PIL import Image

from hyma.cli import command
from hyma.common.errors import HymaError
from hyma.common.files import write_json, write_text
from hyma.ranking.movement import Run
from hyma.ranking.movement import compare as compared
from hyma.report import compare
from hyma.report.revisions import WORKSPACE, read
from tests.test_compare_runs import BEFORE, LATER
from tests.test_report import outside_git


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(root: Path, one: Run, message: str) -> str:
    write_text(root / "params.yaml", yaml.safe_dump(one.params))
    write_json(root / "metrics/ranking.json", one.ranking)
    git(root, "add", "-A")
    git(root, "commit", "-qm", message)
    return git(root, "rev-parse", "HEAD")


def experiment(root: Path, name: str, baseline: str, revision: str) -> None:
    """Keep a commit as `dvc exp run` does: under a ref that names the commit it began from."""
    git(root, "update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", revision)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A commit without a ranking, one with (tag `base`), an experiment `wide` on it; the tree is at `base`."""
    root = tmp_path / "project"
    root.mkdir()
    outside_git(monkeypatch, root)
    monkeypatch.chdir(root)
    git(root, "init", "-qb", "trunk")
    for key, value in (("user.name", "n"), ("user.email", "n@example.org"), ("commit.gpgsign", "false")):
        git(root, "config", key, value)
    write_text(root / ".dvc/config", "")
    write_text(root / ".dvc/.gitignore", "/tmp\n/cache\n")
    write_text(root / "params.yaml", "seed: 0\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "nothing yet")
    base = commit(root, BEFORE, "twenty-seven\n\npairs a step")
    git(root, "tag", "base")
    experiment(root, "wide", base, commit(root, LATER, "dvc: commit experiment 0123"))
    git(root, "reset", "-q", "--hard", "base")
    return root


def test_revisions_and_experiments_are_read(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    wide, base, short, tree = read(["wide", "base", head[:8], "wide", WORKSPACE], workspace=False)
    assert [one.name for one in (wide, base, short, tree)] == ["wide", "base", head[:8], WORKSPACE]
    assert (wide.params, wide.ranking) == (LATER.params, LATER.ranking)
    assert (base.params, base.ranking) == (short.params, short.ranking) == (BEFORE.params, BEFORE.ranking)
    assert (base.commit, base.subject, wide.subject) == (head[:7], "twenty-seven", "an experiment of DVC")
    assert (tree.params, tree.commit, base.lock, base.studies) == (BEFORE.params, head[:7], {}, {})
    # The tree itself, not what was committed last.
    write_text(repository / "params.yaml", "{seed: 7}")
    write_json(repository / "metrics/studies.json", {"seeds": 3})
    write_text(repository / "dvc.lock", "schema: '2.0'")
    changed = read(["trunk"])[-1]
    assert (changed.params, changed.studies, changed.lock) == ({"seed": 7}, {"seeds": 3}, {"schema": "2.0"})


def test_a_project_below_the_root_of_its_repository(repository: Path) -> None:
    inner = repository / "inner"
    write_text(inner / ".dvc/config", "")
    commit(inner, LATER, "a project in a project")
    assert [one.ranking for one in read(["HEAD"], root=inner / "metrics")] == [LATER.ranking] * 2
    assert read(["HEAD"])[0].ranking == BEFORE.ranking


def test_a_pipeline_that_cannot_be_parsed_is_no_hindrance(repository: Path) -> None:
    write_text(repository / "dvc.yaml", "stages: {a: {cmd: '${nowhere}'}}")
    commit(repository, LATER, "broken")
    assert [one.lock for one in read(["HEAD", "base"])] == [{}] * 3


def test_numbers_are_read_as_dvc_reads_them(repository: Path) -> None:
    write_text(repository / "params.yaml", "lr: 1e-5")
    assert read(["base"])[-1].params == {"lr": 1e-5}


@pytest.mark.usefixtures("repository")
def test_unknown_revisions_name_close_ones() -> None:
    for name, said in (
        ("wid", "did you mean wide?"),
        ("bose", "did you mean base?"),
        ("trnk", "did you mean trunk?"),
        ("xyzzy", "see `git log --oneline` and `dvc exp list -A`"),
        (" ", "neither git nor DVC knows it"),
    ):
        with pytest.raises(HymaError) as raised:
            read([name])
        assert said in str(raised.value)
        assert "\n" not in str(raised.value)


def test_one_name_for_two_experiments(repository: Path) -> None:
    first, head = git(repository, "rev-parse", "HEAD~1"), git(repository, "rev-parse", "HEAD")
    experiment(repository, "twice", first, head)
    experiment(repository, "twice", head, first)
    # That of the current commit is meant; where neither is, it cannot be told.
    with pytest.raises(HymaError, match=r"revision twice: no metrics/ranking.json there"):
        read(["twice"])
    git(repository, "commit", "-q", "--allow-empty", "-m", "further on")
    with pytest.raises(HymaError, match="revision twice: several experiments are called so"):
        read(["twice"])


def test_what_cannot_be_compared(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(HymaError, match="--compare needs two runs"):
        read(["base"], workspace=False)
    with pytest.raises(
        HymaError, match=r"revision HEAD~1: no metrics/ranking.json there; was the pipeline run"
    ):
        read(["HEAD~1"])
    (repository / "metrics/ranking.json").unlink()
    with pytest.raises(
        HymaError, match=r"revision workspace: no metrics/ranking.json there; run `dvc repro`, or"
    ):
        read(["base"])
    for text, said in (("{", "no valid json"), ("[]", "should be a json object"), ("{}", "has no 'oracle'")):
        write_text(repository / "metrics/ranking.json", text)
        with pytest.raises(HymaError, match=f"revision workspace: metrics/ranking.json .*{said}"):
            read(["base"])
    for text, said in (("a: [", "is no valid YAML"), ("- 1", "should be a mapping of sections")):
        write_text(repository / "params.yaml", text)
        with pytest.raises(HymaError, match=f"revision workspace: params.yaml {said}"):
            read(["base"])
    (repository / "params.yaml").write_bytes(b"\xff")
    with pytest.raises(HymaError, match=r"revision workspace: params.yaml cannot be read: 'utf-8' codec"):
        read(["base"])
    (repository / ".git").rename(tmp_path / "elsewhere")
    with pytest.raises(HymaError, match="not a git repository"):
        read(["base"])
    with pytest.raises(HymaError, match="no git repository with a DVC project"):
        read(["base"], root=tmp_path)


def test_the_command_writes_the_page_and_the_pictures(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_text(repository / "reports/compare/old.png", "of another comparison")
    command.main(["report", "--compare", "wide"])
    said = capsys.readouterr().out
    assert said.startswith("The winner changes: big × bert (wide), mid × words (workspace). ")
    assert [line.split() for line in said.splitlines() if line.startswith("HYMA: ρ")] == [
        ["HYMA:", "ρ", "1.000", "0.771", "−0.229"]
    ]
    assert said.endswith("\nreports/compare.md\n")
    page = (repository / "reports/compare.md").read_text(encoding="utf-8")
    found = compared(read(["wide"]))
    assert page == compare.page(found)
    assert [path.name for path in (repository / "reports/compare").iterdir()] == ["hyma.png"]
    assert page.count("](compare/hyma.png)") == page.count("![") == 1
    with Image.open(repository / "reports/compare/hyma.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (1050, 420))
    command.main(["report", "--compare", "wide", "base", "--no-workspace", "--json", "--out", "elsewhere"])
    assert json.loads(capsys.readouterr().out) == compared(read(["wide", "base"], workspace=False))
    assert (repository / "elsewhere/compare.md").is_file()


def test_a_mistake_is_one_line(repository: Path) -> None:
    with pytest.raises(SystemExit, match=r"^error: revision nowhere: [^\n]+$"):
        command.main(["report", "--compare", "nowhere"])
    assert not (repository / "reports").exists()


def test_the_last_run_in_a_few_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"metrics/ranking.json: there is no run here yet"):
        command.main(["report"])
    write_json(tmp_path / "metrics/ranking.json", BEFORE.ranking)
    write_text(tmp_path / "reports/ranking.md", "# Which pair to stitch\n\nmid\n")
    write_text(tmp_path / "reports/index.html", "<p>")
    command.main(["report"])
    said = capsys.readouterr().out
    assert said.startswith("Stitch mid × words. Of 6 pairs HYMA ranks it first")
    assert "*" not in said
    assert said.endswith(
        "\n\nreports/index.html  all of it on one page, for a browser\nreports/ranking.md  Which pair to stitch\n"
    )
    command.main(["report", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["winner"]["pair"] == "mid-words"
    assert found["reports"]["reports/ranking.md"] == "Which pair to stitch"

"""Results kept apart: made once, taken as long as their inputs stay, deleted when nobody asks for them any more."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from hyma.common.files import remove
from hyma.common.kept import Kept, content, place
from tests.root import ROOT


def writing(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "result.txt").write_text(text) and None


def unwanted(folder: Path) -> None:
    raise AssertionError(f"{folder} is made again")


def failing(folder: Path) -> None:
    (folder / "half.txt").write_text("half")
    raise ValueError("no more")


def names(root: Path) -> set[str]:
    """The results that lie there, without their fingerprints."""
    return {path.name.partition(".")[0] for path in root.glob("kept/*/*")}


def test_made_once(tmp_path: Path) -> None:
    with Kept("stage", tmp_path) as kept:
        first = kept.result("a", ("x", "y"), writing("1"))
        assert kept.made == ["a"]
    with Kept("stage", tmp_path) as kept:
        again = kept.result("a", ("x", "y"), unwanted)
    assert again == first
    assert (again / "result.txt").read_text() == "1"
    assert again.parent == tmp_path / "kept/stage"
    assert kept.made == []


@pytest.mark.parametrize("inputs", [("x",), ("x", "z"), ("y", "x"), ("xy",), ("x", "y", "")])
def test_made_again_when_an_input_changes(tmp_path: Path, inputs: tuple[str, ...]) -> None:
    with Kept("stage", tmp_path) as kept:
        old = kept.result("a", ("x", "y"), writing("1"))
    with Kept("stage", tmp_path) as kept:
        new = kept.result("a", inputs, writing("2"))
        assert (kept.made, old.exists()) == (["a"], True)
    assert (new / "result.txt").read_text() == "2"
    assert not old.exists()


def test_names_and_stages_are_apart(tmp_path: Path) -> None:
    with Kept("one", tmp_path) as one, Kept("two", tmp_path) as two:
        folders = {kept.result(name, ("x",), writing(name)) for kept in (one, two) for name in ("a", "b")}
    assert len(folders) == 4
    with Kept("one", tmp_path) as one:
        one.result("b", ("x",), unwanted)
    assert {path.parent.name + path.name[0] for path in tmp_path.glob("kept/*/*")} == {"oneb", "twoa", "twob"}


def test_what_nobody_asked_for_stays_after_an_error(tmp_path: Path) -> None:
    with Kept("stage", tmp_path) as kept:
        for name in ("a", "b"):
            kept.result(name, (), writing(name))
    with suppress(ValueError), Kept("stage", tmp_path) as kept:
        kept.result("c", (), writing("c"))
        kept.result("d", (), failing)
    assert names(tmp_path) == {"a", "b", "c"}
    with Kept("stage", tmp_path) as kept:
        kept.result("c", (), unwanted)
    assert names(tmp_path) == {"c"}


def test_a_failing_make_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no more"), Kept("stage", tmp_path) as kept:
        kept.result("a", (), failing)
    assert list((tmp_path / "kept/stage").iterdir()) == []
    assert kept.made == []
    with Kept("stage", tmp_path) as kept:
        kept.result("a", (), writing("whole"))
    assert [path.name for path in tmp_path.glob("kept/*/*/[!.]*")] == ["result.txt"]


@pytest.mark.parametrize("text", ["", "1", "another"])
@pytest.mark.parametrize("file", ["result.txt", ".digest", "more.txt"])
def test_what_is_not_as_it_was_made_is_made_again(tmp_path: Path, file: str, text: str) -> None:
    with Kept("stage", tmp_path) as kept:
        folder = kept.result("a", ("x",), writing("whole"))
    (folder / file).write_text(text)
    with Kept("stage", tmp_path) as kept:
        assert not kept.has("a", ("x",))
        assert kept.result("a", ("x",), writing("whole")) == folder
        assert kept.made == ["a"]
    assert (folder / "result.txt").read_text() == "whole"
    assert not (folder / "more.txt").exists()
    with Kept("stage", tmp_path) as kept:
        kept.result("a", ("x",), unwanted)


def test_an_output_that_was_edited_in_place_is_not_taken(tmp_path: Path) -> None:
    """It may share its bytes with the kept file."""
    with Kept("stage", tmp_path) as kept:
        kept.place_all(kept.result("a", ("x",), writing("whole")), tmp_path / "out")
    (tmp_path / "out/result.txt").write_text("wrong")
    with Kept("stage", tmp_path) as kept:
        kept.place_all(kept.result("a", ("x",), writing("whole")), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["result.txt"]
    assert (tmp_path / "out/result.txt").read_text() == "whole"


def test_a_stage_without_results_has_no_folder(tmp_path: Path) -> None:
    with Kept("stage", tmp_path, places=False):
        pass
    assert list(tmp_path.iterdir()) == []
    with Kept("stage", tmp_path):
        pass
    assert [path.read_text() for path in tmp_path.rglob("*.json")] == ["{}\n"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], list[str]]:
    """Run a stage that makes two results, by DVC in a repository; what it made, not what it took."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "input").write_text("1")
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "stage.py").write_text(STAGE)
    dvc("init", "-q", "--no-scm")

    def once(a: str, b: str) -> list[str]:
        (tmp_path / "input").write_text(f"{a} {b}")
        dvc("repro", "-q")
        assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {"a": a, "b": b}
        return (tmp_path / "made").read_text().split()

    return once


PIPELINE = f"""
stages:
  two:
    cmd: {sys.executable} stage.py
    deps: [input]
    outs: [out, data/made/two.json]
"""
STAGE = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from hyma.common.kept import Kept

with Kept("two") as kept:
    for name, text in zip("ab", Path("input").read_text().split()):
        folder = kept.result(name, (text,), lambda folder: (folder / "text").write_text(text) and None)
        kept.place(folder / "text", Path("out") / name)
Path("made").write_text(" ".join(kept.made))
"""


def dvc(*command: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *command], check=True)


def test_what_dvc_has_is_not_made_again(run: Callable[[str, str], list[str]]) -> None:
    """As in a clone after `dvc pull`, or in a copy for queued experiments: the folder of kept results is not there."""
    assert run("x", "y") == ["a", "b"]
    shutil.rmtree("data/kept")
    assert run("x", "z") == ["b"]
    shutil.rmtree("data/kept")
    shutil.rmtree("out")
    assert run("w", "z") == ["a"]
    assert run("w", "y") == ["b"]  # of the last run alone


def test_what_is_damaged_in_the_cache_is_made_again(run: Callable[[str, str], list[str]]) -> None:
    run("x", "y")
    (cached,) = (
        file for file in Path(".dvc/cache/files").rglob("*") if file.is_file() and file.read_bytes() == b"x"
    )
    cached.chmod(0o644)
    cached.write_text("z")
    cached.chmod(0o444)  # DVC trusts it
    shutil.rmtree("data/kept")
    assert run("x", "z") == ["a", "b"]  # "z" was not there either
    assert cached.read_text() == "x"


@pytest.mark.parametrize("missing", ["dvc.lock", ".dvc/cache"])
def test_where_dvc_has_nothing_all_is_made(run: Callable[[str, str], list[str]], missing: str) -> None:
    run("x", "y")
    shutil.rmtree("data/kept")
    remove(Path(missing))
    assert run("x", "z") == ["a", "b"]


def test_place_links(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("new")
    out = tmp_path / "deep/er/out"
    place(tmp_path / "kept", out)
    assert out.samefile(tmp_path / "kept")


def test_place_copies_where_no_link_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("another file system")

    (tmp_path / "kept").write_text("new")
    (tmp_path / "out").write_text("old")
    monkeypatch.setattr(os, "link", refuse)
    place(tmp_path / "kept", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "new"
    assert not (tmp_path / "out").samefile(tmp_path / "kept")


def test_place_replaces(tmp_path: Path) -> None:
    """The old file is let go of, not written over: others may share its bytes."""
    (tmp_path / "kept").write_text("new")
    (tmp_path / "out").write_text("old")
    os.link(tmp_path / "out", tmp_path / "shared")
    place(tmp_path / "kept", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "new"
    assert (tmp_path / "shared").read_text() == "old"


def folder(root: Path, **files: str) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_content_depends_on_names_and_bytes_alone(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", a="1", b="2")
    same = folder(tmp_path / "same", b="2", a="1")
    (same / ".hidden").write_text("3")
    os.utime(same / "a", (0, 0))
    assert content(one) == content(same)
    others = [
        folder(tmp_path / "swapped", a="2", b="1"),
        folder(tmp_path / "renamed", a="1", c="2"),
        folder(tmp_path / "more", a="1", b="2", c=""),
        folder(tmp_path / "fewer", a="1"),
        folder(tmp_path / "within", **{"a": "1", "d/b": "2"}),
    ]
    assert len({content(one), *map(content, others)}) == 6
    assert content(one, others[0]) != content(others[0], one)
    assert content(one / "a") == content(same / "a") != content(one / "b")

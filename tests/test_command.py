"""The command line: help, completion, and how it ends when something goes wrong."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from hyma.cli import command, commands, options
from hyma.cli import ending as ends
from hyma.cli.commands import plan
from hyma.common.errors import HymaError

Capture = pytest.CaptureFixture[str]


def ending(*arguments: str) -> int | str | None:
    """What the process would exit with."""
    with pytest.raises(SystemExit) as left:
        command.main(arguments)
    return left.value.code


@pytest.fixture
def planning(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make `hyma plan` raise something."""

    def raising(error: BaseException) -> None:
        def run(_: object) -> NoReturn:
            raise error

        monkeypatch.setattr(plan, "run", run)

    return raising


def test_help_is_there_before_torch_is() -> None:
    run = [sys.executable, "-X", "importtime", "-m", "hyma", "--help"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "hyma.cli.options" in imported
    assert not imported & {"torch", "numpy", "pyarrow", "PIL"}
    assert all(name in done.stdout for name in commands.known())


@pytest.mark.parametrize("name", commands.known())
def test_help_has_examples(name: str, capsys: Capture) -> None:
    assert ending(name, "--help") == 0
    said = capsys.readouterr().out
    assert "examples:" in said
    assert f"\n  hyma {name}" in said


def test_version(capsys: Capture) -> None:
    assert ending("--version") == 0
    assert capsys.readouterr().out.startswith("hyma 0.")


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_the_commands(shell: str, capsys: Capture) -> None:
    assert ending("--print-completion", shell) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in commands.known())


def completed(line: str, folder: Path, script: str) -> set[str]:
    """What bash offers for the last word of a command line."""
    words = " ".join(f"'{word}'" for word in line.split(" "))
    ask = f"COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _shtab_hyma"
    run = f"{script}\n{ask}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", run], cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_bash_completes_options_files_and_folders(tmp_path: Path, capsys: Capture) -> None:
    ending("--print-completion", "bash")
    script = capsys.readouterr().out
    (tmp_path / "photos").mkdir()
    (tmp_path / "photo.jpg").touch()
    assert completed("hyma cl", tmp_path, script) == {"classify"}
    assert {"--labels", "--labels-file"} <= completed("hyma classify --la", tmp_path, script)
    assert completed("hyma classify ph", tmp_path, script) == {"photos", "photo.jpg"}
    assert completed("hyma index ph", tmp_path, script) == {"photos"}


def test_a_mistake_is_one_line(planning: Callable, capsys: Capture) -> None:
    planning(HymaError("params.yaml: seed: not a number"))
    assert ending("plan") == "error: params.yaml: seed: not a number"
    assert capsys.readouterr() == ("", "")


def test_so_is_a_file_that_cannot_be_written(planning: Callable) -> None:
    planning(PermissionError(13, "Permission denied", "out.arrow"))
    assert str(ending("plan")).startswith("error: out.arrow: Permission denied; correct its permissions")


def test_our_own_mistakes_are_not_hidden(planning: Callable) -> None:
    planning(OSError("no file, no number"))
    with pytest.raises(OSError, match="no file, no number"):
        command.main(["plan"])


def test_an_interruption_is_one_line(planning: Callable, capsys: Capture) -> None:
    planning(KeyboardInterrupt())
    assert ending("plan") == ends.INTERRUPTED
    assert capsys.readouterr() == ("", "stopped; nothing half-written is left\n")


@pytest.mark.parametrize("arguments", [["--help"], ["plan"]])
def test_so_is_a_reader_who_leaves(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(plan, "run", lambda _: print("nobody reads this"))
    with os.fdopen(writing, "w") as nobody:
        monkeypatch.setattr(sys, "stdout", nobody)
        assert ending(*arguments) == ends.BROKEN_PIPE


def test_warnings_are_ours_alone_and_a_line_each(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "warnoptions", [])
    with command.quiet():
        warnings.warn_explicit("deprecated", FutureWarning, "theirs.py", 1, module="theirs")
        warnings.warn_explicit("another transform", UserWarning, "sides.py", 1, module="hyma.model.sides")
    assert capsys.readouterr() == ("", "warning: another transform\n")
    with pytest.warns(UserWarning, match="as before"):
        warnings.warn("as before", stacklevel=1)


def test_warnings_that_python_was_asked_for_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "warnoptions", ["error"])
    with command.quiet(), pytest.raises(UserWarning):
        warnings.warn("of a library", UserWarning, stacklevel=1)


@pytest.mark.parametrize("given", ["0", "-1", "1.5", "many", ""])
def test_numbers_are_from_one_on(given: str, capsys: Capture) -> None:
    assert ending("search", "index.arrow", "a cat", f"--top={given}") == 2
    assert f"--top: {given!r} is not a whole number from 1 on" in capsys.readouterr().err


def test_paths_are_shown_from_here_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert options.shown(str(tmp_path / "photos/a.jpg")) == "photos/a.jpg"
    assert options.shown("/elsewhere/a.jpg") == "/elsewhere/a.jpg"


@pytest.mark.parametrize(
    "arguments",
    [["classify", "a.jpg", "--labels", "a,b"], ["index", "."], ["search", "index.arrow", "a cat"]],
)
def test_without_a_model_nobody_asks_the_hub_for_models_best(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.jpg").touch()
    monkeypatch.setattr("hyma.model.index.ImageIndex.open", lambda _: [])
    monkeypatch.setattr("hyma.model.loading.snapshot_download", lambda *_, **__: pytest.fail("asked"))
    assert str(ending(*arguments)).startswith("error: models/best: no such folder; run `dvc repro` here")

"""A person at the terminal: any encoding, Ctrl-C, a full disk, a folder that cannot be written; commands and stages."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

from hyma.cli import command, commands, ending, options
from hyma.common import files
from hyma.common.errors import HymaError
from stages import STOPPED
from stages._run import run
from tests import models
from tests.root import ROOT

Capture = pytest.CaptureFixture[str]
ENCODINGS = ("ascii", "cp1252", "utf-8")


class Terminal(io.TextIOWrapper):
    """A stream of an encoding, strict as Python opens stdout; what was written can be looked at."""

    def __init__(self, encoding: str):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", newline="")

    def shown(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[Terminal, Terminal]]:
    """Put terminals of an encoding in place of stdout and stderr."""

    def placed(encoding: str) -> tuple[Terminal, Terminal]:
        both = Terminal(encoding), Terminal(encoding)
        monkeypatch.setattr(sys, "stdout", both[0])
        monkeypatch.setattr(sys, "stderr", both[1])
        return both

    return placed


def left(*arguments: str) -> int | str | None:
    """Call the command line; what the process would exit with."""
    try:
        command.main(arguments)
    except SystemExit as error:
        return error.code
    return 0


@pytest.mark.parametrize("encoding", ENCODINGS)
class TestEncodings:
    @pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in commands.known())])
    def test_help(self, terminal: Callable, encoding: str, arguments: list[str]) -> None:
        out, err = terminal(encoding)
        assert left(*arguments) == 0
        assert out.shown().startswith("usage: hyma")
        assert err.shown() == ""

    @pytest.mark.parametrize("arguments", [["report"], ["report", "--json"], ["plan"], ["plan", "--json"]])
    def test_reports(
        self, terminal: Callable, encoding: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(
            "hyma.plan.gather.gather", lambda _: {"pairs": "9 × 3 → 27 €"}
        )  # what it takes is not the point
        monkeypatch.setattr("hyma.plan.page.page", lambda found: found["pairs"])
        out, _ = terminal(encoding)
        assert left(*arguments) == 0
        shown = out.shown()
        if "--json" in arguments:
            json.loads(shown)
        elif arguments == ["plan"]:
            assert shown == "9 × 3 → 27 €\n".encode(encoding, "replace").decode(encoding)

    def test_json_loses_nothing(self, terminal: Callable, encoding: str) -> None:
        value = {"path": "東京/größer €.png", "labels": ["×", "\ud800"], "mean": 0.5}
        out, _ = terminal(encoding)
        with ending.ending(""):
            options.print_json(value)
        assert json.loads(out.shown()) == value

    def test_pictures_and_their_labels(
        self, terminal: Callable, encoding: str, here: Path, model: str
    ) -> None:
        (here / "photos/4.png").rename(here / "photos/東京 größer.png")
        (here / "photos/κ.txt").touch()
        asked = ["classify", "photos", "--labels", "größer,東京", "--model", model]
        out, _ = terminal(encoding)
        assert left(*asked) == 0
        said = "photos/東京 größer.png".encode(encoding, "replace").decode(encoding)
        assert said in out.shown()
        out, _ = terminal(encoding)
        assert left(*asked, "--json") == 0
        assert json.loads(out.shown())["images"][-1]["path"] == "photos/東京 größer.png"


def test_an_ascii_terminal_of_its_own() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "hyma", "--help"], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    assert b"image encoder ? text encoder" in done.stdout
    assert done.stderr == b""


def test_what_is_no_number_is_null(capsys: Capture) -> None:
    options.print_json({"a": [float("nan"), -np.inf, 1.5], "b": {"c": float("inf")}})
    assert json.loads(capsys.readouterr().out) == {"a": [None, None, 1.5], "b": {"c": None}}


def test_streams_that_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert left("--version") == 0


FAULTS = [
    (OSError(errno.ENOSPC, "x"), "writing: no space left on the disk; make room and run it again"),
    (OSError(errno.ENOSPC, "x", "models/best"), "models/best: no space left on the disk; make room"),
    (PermissionError(errno.EACCES, "x", b"a/b"), "a/b: Permission denied; correct its permissions"),
    (OSError(errno.EROFS, "x", Path("a/b")), "a/b: the disk is read-only; make it writable and run it again"),
    (OSError(errno.EIO, "x"), "Input/output error; the disk fails"),
    (FileNotFoundError(errno.ENOENT, "x", "a.txt"), "a.txt: No such file or directory; correct the path"),
    (NotADirectoryError(errno.ENOTDIR, "x", "a.txt/b"), "a.txt/b: Not a directory; see what is there"),
    (
        SafetensorError('IoError(Os { code: 28, kind: StorageFull, message: "x" })'),
        "writing: no space left on the disk",
    ),
    (
        SafetensorError("I/O error: No space left on device (os error 28)"),
        "writing: no space left on the disk",
    ),
]


@pytest.mark.parametrize(("error", "said"), FAULTS)
def test_a_fault_of_the_surroundings_is_one_line(error: Exception, said: str) -> None:
    with pytest.raises(SystemExit) as left, ending.ending(""):
        raise error
    assert str(left.value.code).startswith(f"error: {said}")
    assert "\n" not in str(left.value.code)


@pytest.mark.parametrize(
    "error", [OSError("no number"), ConnectionRefusedError(errno.ECONNREFUSED, "x"), KeyError("a"),
              SafetensorError("invalid header")]
)  # fmt: skip
def test_our_own_mistakes_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error)), ending.ending(""):
        raise error


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    def fill() -> None:
        with files.atomic(tmp_path / "out.arrow") as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(HymaError, match=r"out\.arrow: no space left on the disk; make room"):
        fill()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_behind_stdout() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hyma", "report"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.decode() == "error: writing: no space left on the disk; make room and run it again\n"


@pytest.mark.parametrize("way", ["a file in its way", "read-only"])
def test_an_output_that_cannot_be_written(here: Path, model: str, way: str) -> None:
    if way == "a file in its way":
        (here / "out").touch()
    else:
        (here / "out").mkdir(mode=0o500)
        if os.access(here / "out", os.W_OK):
            pytest.skip("this user may write anywhere")
    said = str(left("index", "photos", "--model", model, "--out", "out/new/index.arrow"))
    assert said.startswith("error: out")
    assert "\n" not in said


@pytest.mark.parametrize(
    "arguments",
    [["index", "photos"], ["classify", "photos", "--labels", "a,b"]],
)
def test_ctrl_c_leaves_nothing_half_written(
    arguments: list[str], here: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    from hyma.model import files

    opened = files.opened

    def pressed(path: Path) -> object:
        if path.name == "3.png":
            raise KeyboardInterrupt
        return opened(path)

    monkeypatch.setattr(files, "opened", pressed)
    assert left(*arguments, "--model", model, "--batch-size", "1") == ending.INTERRUPTED
    assert capsys.readouterr() == ("", f"{command.STOPPED}\n")
    assert [path.name for path in here.iterdir()] == ["photos"]


class TestStages:
    """How a stage ends, without one: `main` raises."""

    @staticmethod
    def ended(error: BaseException) -> int | str | None:
        def main() -> None:
            raise error

        with pytest.raises(SystemExit) as left:
            run(main)
        return left.value.code

    def test_mistakes_and_faults(self) -> None:
        assert (
            self.ended(HymaError("params.yaml: seed: not a number"))
            == "error: params.yaml: seed: not a number"
        )
        full = "error: writing: no space left on the disk; make room and run it again"
        assert self.ended(OSError(errno.ENOSPC, "x")) == full

    def test_an_interruption(self, capsys: Capture) -> None:
        assert self.ended(KeyboardInterrupt()) == ending.INTERRUPTED
        assert capsys.readouterr().err == f"{STOPPED}\n"

    def test_nothing_went_wrong(self) -> None:
        assert run(lambda: None) is None

    def test_ctrl_c_while_modules_are_loaded(self, tmp_path: Path) -> None:
        (tmp_path / "slow.py").write_text("import stages\nraise KeyboardInterrupt")
        done = subprocess.run(
            [sys.executable, tmp_path / "slow.py"],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == f"{STOPPED}\n"
        assert done.returncode == -signal.SIGINT  # 130 in a shell


WORKERS = """
import os, sys, time
from pathlib import Path

import pyarrow as pa
import torch

from hyma.cli.ending import ending
from hyma.common.prepared import IMAGES
from hyma.encoders.base import opening
from hyma.readers.base import images

def slow(*_):
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(60)

images._check_one = slow
torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL = 0.1  # seconds that torch waits for a worker to end by itself
rows = [{"id": str(number), "image": {"path": sys.argv[2]}} for number in range(600)]

with ending("stopped"):
    CALL
"""
CALLS = {
    "pool": "images.check(pa.Table.from_pylist(rows, schema=IMAGES))",
    "loader": "next(opening.opened([slow], iter([[row] for row in rows]), 2, torch.device('cpu')))",
}
"""Both ways in which pictures are opened beside the process itself."""


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups")
@pytest.mark.parametrize("kind", CALLS)
def test_ctrl_c_ends_the_workers_without_a_word(kind: str, tmp_path: Path) -> None:
    """Pressed in a terminal, it reaches the whole group: the process that waits, and its workers at work."""
    (tmp_path / "main.py").write_text(WORKERS.replace("CALL", CALLS[kind]))
    (picture,) = models.pictures(tmp_path / "photos", 1)
    (tmp_path / "at_work").mkdir()
    started = {"env": os.environ | {"PYTHONPATH": str(ROOT)}, "text": True, "start_new_session": True}
    command_line = [sys.executable, tmp_path / "main.py", tmp_path / "at_work", picture]
    with subprocess.Popen(command_line, stderr=subprocess.PIPE, **started) as process:
        try:
            while process.poll() is None and not list((tmp_path / "at_work").iterdir()):
                time.sleep(0.05)
            os.killpg(process.pid, signal.SIGINT)
            _, said = process.communicate(timeout=50)
        except BaseException:
            process.kill()
            raise
    assert said == "stopped\n"
    assert process.returncode == ending.INTERRUPTED

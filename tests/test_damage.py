"""What was changed where it lies, or cannot be written, is named in one line."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from hyma.common import prepared, sealed
from hyma.common.earlier import LOCKS
from hyma.common.errors import HymaError
from hyma.common.features import FeatureInfo
from hyma.common.files import atomic
from hyma.common.unfinished import Unfinished
from hyma.stitching import connectors
from stages._run import run
from tests import models
from tests.root import ROOT

REMEDY = "; delete it and run `dvc repro`"


def one_byte(file: Path, found: bytes) -> None:
    """Change the first byte of what is found in a file."""
    content = bytearray(file.read_bytes())
    content[content.index(found)] ^= 1
    file.write_bytes(content)


def damaged(file: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(HymaError) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}: damaged (")
    assert str(caught.value).endswith(REMEDY)
    assert "\n" not in str(caught.value)


def test_sealed_json(tmp_path: Path) -> None:
    file, value = tmp_path / "a.json", {"scores": {"a-b": 0.25}, "label": "ρ"}
    sealed.write(file, value)
    assert sealed.read(file) == value
    one_byte(file, b"25")
    damaged(file, sealed.read)
    file.write_text(file.read_text()[:20])
    damaged(file, sealed.read)
    file.unlink()
    with pytest.raises(HymaError, match="file not found"):
        sealed.read(file)


def test_connectors(tmp_path: Path) -> None:
    file, stitch = tmp_path / "a.safetensors", models.stitch()
    connectors.save(file, {"a-b": stitch})
    connectors.load(file)
    one_byte(file, stitch.connector["weight0"].numpy().tobytes())
    damaged(file, connectors.load)
    file.write_bytes(file.read_bytes()[:-50])
    damaged(file, connectors.load)


def test_prepared_tables(tmp_path: Path) -> None:
    text = "nobody says this but here"
    images = prepared.table([{"id": "i"}], prepared.IMAGES)
    texts = prepared.table([{"id": "t", "text": text}], prepared.TEXTS)
    meta = prepared.Meta("pairs", "captions")
    prepared.write(tmp_path / "set", prepared.Prepared(meta, images, texts, prepared.QUESTIONS.empty_table()))
    file = tmp_path / "set/texts.parquet"
    assert prepared.read(tmp_path / "set").texts["text"].to_pylist() == [text]
    one_byte(file, text[5:].encode())
    damaged(file, lambda file: prepared.read(file.parent))
    file.write_bytes(file.read_bytes()[:-50])
    damaged(file, lambda file: prepared.read(file.parent))


def test_a_damaged_chunk_and_what_follows_is_encoded_again(tmp_path: Path) -> None:
    info = FeatureInfo("encoder", "data", 3, 1.0)
    feature_ND = np.arange(6, dtype=np.float32).reshape(2, 3)
    begun = Unfinished(tmp_path / "chunks", info, "print")
    for number in range(3):
        begun.add([f"{number}a", f"{number}b"], feature_ND + number)
    one_byte(tmp_path / "chunks/000001.arrow", (feature_ND + 1).tobytes())
    assert Unfinished(tmp_path / "chunks", replace(info), "print").chunks == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "no space left on the disk; make room"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "no space left on the disk"),
        (OSError("8192 requested and 512 written"), "no space left on the disk"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), "the disk's quota is used up; make room"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), "the disk is read-only; make it writable"),
    ],
)
def test_what_cannot_be_written_is_one_line(tmp_path: Path, error: Exception, said: str) -> None:
    (tmp_path / "out").write_text("former")

    def write() -> None:
        with atomic(tmp_path / "out") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(SystemExit, match=rf"error: .*out: {said}.* and run it again$"):
        run(write)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("out", "former")]

    def outside() -> None:
        raise error

    with pytest.raises(SystemExit, match=f"error: writing: {said}"):
        run(outside)


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "out"):
        raise ZeroDivisionError


def test_dvcs_copy_is_looked_for_in_every_pipeline_that_has_one() -> None:
    def cached(pipeline: Path) -> bool:
        stages = [stage.get("do", stage) for stage in yaml.safe_load(pipeline.read_text())["stages"].values()]
        return any(isinstance(out, str) for stage in stages for out in stage.get("outs", []))

    pipelines = [ROOT / "dvc.yaml", *ROOT.glob("*/dvc.yaml")]
    assert {file.relative_to(ROOT).with_suffix(".lock") for file in pipelines if cached(file)} == set(LOCKS)

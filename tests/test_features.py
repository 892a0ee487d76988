"""Feature files: written in chunks, read in place, refused when they do not fit."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyma.common import features
from hyma.common.errors import HymaError
from hyma.common.features import FeatureInfo, Features, open_aligned, write

INFO = FeatureInfo("timm|vit|None|abc|Resize", "data", 3, 1e6)
Chunk = tuple[Sequence[str], np.ndarray]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vit" / "coco.arrow"


def chunks(*sizes: int, width: int = 3) -> list[Chunk]:
    """Rows r0, r1 …, whose values count up from 0."""
    starts = np.cumsum([0, *sizes])
    values = np.arange(starts[-1] * width, dtype=np.float32).reshape(-1, width)
    return [([f"r{row}" for row in range(start, end)], values[start:end]) for start, end in pairwise(starts)]


def refused(message: str) -> pytest.RaisesExc[HymaError]:
    return pytest.raises(HymaError, match=message)


def test_round_trip(path: Path) -> None:
    write(path, INFO, chunks(2, 3, 1))
    found = Features(path)
    assert (found.info, len(found)) == (INFO, 6)
    assert found.ids.to_pylist() == ["r0", "r1", "r2", "r3", "r4", "r5"]
    assert [len(chunk) for chunk in found.chunks()] == [2, 3, 1]
    feature_ND = found.to_numpy()
    assert feature_ND.dtype == np.float32
    assert feature_ND.tolist() == np.arange(18).reshape(6, 3).tolist()
    other = path.with_name("again.arrow")
    write(other, INFO, chunks(2, 3, 1))
    assert path.read_bytes() == other.read_bytes()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_finite_values_come_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    width, rows = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6))
    value = st.floats(width=32, allow_nan=False, allow_infinity=False)
    drawn = data.draw(st.lists(value, min_size=width * rows, max_size=width * rows))
    ids = data.draw(st.lists(st.text("aé☃ 0-", max_size=5), min_size=rows, max_size=rows))
    # Doubles in column order: what is stored is their float32 values, row by row.
    feature_ND = np.asfortranarray(np.array(drawn, np.float64).reshape(rows, width))
    path = tmp_path_factory.mktemp("any") / "x.arrow"
    write(path, FeatureInfo("e", "d", width, 0), [(ids, feature_ND)])
    found = Features(path)
    assert found.ids.to_pylist() == ids
    np.testing.assert_array_equal(found.to_numpy(), feature_ND.astype(np.float32))


def test_reading_copies_nothing(path: Path) -> None:
    write(path, INFO, chunks(1000))
    before = pa.total_allocated_bytes()
    found = Features(path)
    feature_ND = found.to_numpy()
    assert pa.total_allocated_bytes() - before < feature_ND.nbytes / 10
    assert not feature_ND.flags.owndata
    assert not feature_ND.flags.writeable
    (chunk,) = found.chunks()
    assert np.shares_memory(chunk, feature_ND)
    buffer = found.table["feature"].chunk(0).values.buffers()[1]
    assert feature_ND.__array_interface__["data"][0] == buffer.address


def test_no_rows(path: Path) -> None:
    write(path, INFO, [])
    assert Features(path).to_numpy().shape == (0, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number(path: Path, bad: float) -> None:
    parts = chunks(4, 4)
    parts[1][1][[1, 3], [0, 2]] = bad
    write(path, INFO, parts)
    with refused(rf"{re.escape(str(path))}: feature: NaN or infinite values in 2 rows, first 'r5'; .+"):
        Features(path).to_numpy()


def test_encoder_of_another_width(path: Path) -> None:
    write(path, INFO, chunks(2))
    old = path.read_bytes()
    with refused(rf"{re.escape(str(path))}: .*width 4, expected 3"):
        write(path, INFO, [*chunks(2), *chunks(1, width=4)])
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("there", [False, True], ids=["new", "replaced"])
def test_producer_fails_midway(path: Path, there: bool) -> None:
    def failing() -> Iterator[Chunk]:
        yield chunks(500)[0]
        raise RuntimeError("out of memory")

    path.parent.mkdir()
    if there:
        write(path, INFO, chunks(2))
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    with pytest.raises(RuntimeError, match="out of memory"):
        write(path, INFO, failing())
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before


def test_metadata_disagrees_with_the_column(path: Path) -> None:
    path.parent.mkdir()
    content = {"encoder": "e", "data_hash": "d", "dim": 4, "flops_per_row": 0}
    content["fingerprint"] = FeatureInfo(**content).fingerprint
    schema = pa.schema(
        {"id": pa.string(), "feature": pa.list_(pa.float32(), 3)}, metadata={b"hyma": json.dumps(content)}
    )
    with pa.ipc.new_file(str(path), schema):
        pass
    with refused(rf"{re.escape(str(path))}: feature: width is 3, its metadata says 4"):
        Features(path)


def test_not_a_feature_file(path: Path) -> None:
    path.parent.mkdir()
    with refused(rf"{re.escape(str(path))}: features cannot be read.*dvc repro"):
        Features(path)
    table = pa.table({"id": ["a"], "feature": [[1.0]]})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    with refused(rf"{re.escape(str(path))}: not a feature file"):
        Features(path)


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated_file(tmp_path_factory: pytest.TempPathFactory, share: float) -> None:
    path = tmp_path_factory.mktemp("cut") / "x.arrow"
    write(path, INFO, chunks(50, 50))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with refused(rf"{re.escape(str(path))}: damaged \(features cannot be read.*dvc repro"):
        Features(path)


@settings(max_examples=40, deadline=None)
@given(row=st.integers(0, 99), bit=st.integers(0, 7))
def test_a_changed_bit_of_the_rows_is_refused(
    tmp_path_factory: pytest.TempPathFactory, row: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("changed") / "x.arrow"
    own = chunks(50, 50)
    write(path, INFO, own)
    values = own[row // 50][1][row % 50 :].tobytes()
    place = path.read_bytes().index(values)
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)
    with refused(
        rf"{re.escape(str(path))}: damaged \(it is not what was written\); delete it and run `dvc repro`"
    ):
        Features(path).to_numpy()


def test_open_aligned(path: Path) -> None:
    write(path, INFO, chunks(2, 2))
    # Equal rows in other chunks are equal rows.
    found = open_aligned(path, pa.chunked_array([["r0"], ["r1", "r2", "r3"]]), "data")
    assert found.to_numpy()[3].tolist() == [9, 10, 11]
    assert len(open_aligned(path, found.ids, "data", dim=3)) == 4
    with refused(rf"{re.escape(str(path))}: feature: width is 3, .*trained on 4; .*dvc repro"):
        open_aligned(path, found.ids, "data", dim=4)
    for ids, data_hash, message in (
        (["r0", "r1", "r2", "r3"], "changed", "data_hash: made from another version"),
        (["r0", "r1", "r2"], "data", "4 rows, the data set has 3"),
        (["r0", "r2", "r1", "r3"], "data", "id: row ids differ"),
        (["r0", "r1", "r2", "x"], "data", "id: row ids differ"),
    ):
        with refused(rf"{re.escape(str(path))}: {message}.*dvc repro"):
            open_aligned(path, pa.chunked_array([ids]), data_hash)


def test_fingerprint(path: Path) -> None:
    def fingerprint(encoder: str = "ab", data: str = "c", dim: int = 3, flops: float = 1) -> str:
        return FeatureInfo(encoder, data, dim, flops).fingerprint

    lengths = [number.to_bytes(8, "little") for number in (2, 1)]
    assert fingerprint() == hashlib.sha256(lengths[0] + b"ab" + lengths[1] + b"c").hexdigest()
    assert len({fingerprint(), fingerprint("ax"), fingerprint(data="x"), fingerprint("a", "bc")}) == 4
    assert fingerprint() == fingerprint(flops=2.0)
    write(path, INFO, chunks(1))
    stored = json.loads(Features(path).table.schema.metadata[features.KEY])
    assert stored["fingerprint"] == INFO.fingerprint


def test_metadata_that_was_altered(path: Path) -> None:
    write(path, INFO, chunks(2))
    table = pa.ipc.open_file(str(path)).read_all()
    content = json.loads(table.schema.metadata[b"hyma"]) | {"encoder": "another"}
    changed = table.replace_schema_metadata({"hyma": json.dumps(content)})
    with pa.ipc.new_file(str(path), changed.schema) as writer:
        writer.write_table(changed)
    with refused(rf"{re.escape(str(path))}: fingerprint: not that of its encoder and data set"):
        Features(path)

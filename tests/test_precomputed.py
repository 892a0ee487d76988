"""Features that somebody else extracted: every format, and every way a file can be wrong."""

import pickle
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from hyma.common import prepared
from hyma.common.errors import HymaError
from hyma.common.features import Features
from hyma.common.files import sha256_file
from hyma.encoders.base.matrices import open_matrix
from hyma.encoders.base.precomputed import Reference, write

ROWS, DIM = 7, 3
FEATURES = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32)
SUFFIXES = ["pt", "npy", "safetensors", "parquet", "arrow"]


def data_set(folder: Path, rows: int = ROWS) -> Path:
    """A prepared data set with as many texts, and one image."""
    texts = [{"id": f"t{row}", "text": "a", "image": 0, "protocol": "both"} for row in range(rows)]
    image = [{"id": "i0", "image": {"bytes": b"", "path": None}, "protocol": "both"}]
    tables = prepared.table(image, prepared.IMAGES), prepared.table(texts, prepared.TEXTS)
    data = prepared.Prepared(prepared.Meta("pairs", "llava"), *tables, prepared.QUESTIONS.empty_table())
    prepared.write(folder / "data", data)
    return folder / "data"


def table(values: Any, ids: Any = None, kind: pa.DataType | None = None) -> pa.Table:
    ids = [f"t{row}" for row in range(len(values))] if ids is None else ids
    return pa.table({"id": ids, "feature": pa.array([list(row) for row in values], kind)})


def write_ipc(content: pa.Table, file: Path, **more: Any) -> None:
    with pa.ipc.new_file(str(file), content.schema) as writer:
        writer.write_table(content, **more)


def save(file: Path, values: np.ndarray = FEATURES) -> Path:
    """Write features in the format of the file's suffix."""
    kind = pa.list_(pa.from_numpy_dtype(values.dtype))
    savers: dict[str, Callable[[], Any]] = {
        ".pt": lambda: torch.save(torch.from_numpy(values), file),
        ".npy": lambda: np.save(file, values),
        ".safetensors": lambda: save_file({"feature": torch.from_numpy(values)}, file),
        ".parquet": lambda: pq.write_table(table(values, kind=kind), file, row_group_size=3),
        ".arrow": lambda: write_ipc(table(values, kind=kind), file, max_chunksize=3),
    }
    savers[file.suffix]()
    return file


def convert(file: Path, unit_length: bool = False, modality: str = "text", chunk: int = 2) -> Features:
    out = file.parent / "features/captions.arrow"
    write(Reference(file, file.name), data_set(file.parent), modality, out, unit_length, chunk)
    return Features(out)


def refused(message: str) -> pytest.RaisesExc[HymaError]:
    return pytest.raises(HymaError, match=message)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_and_precision(tmp_path: Path, suffix: str, dtype: Any) -> None:
    values = FEATURES.astype(dtype)
    file = save(tmp_path / f"captions.{suffix}", values)
    found = convert(file)
    np.testing.assert_array_equal(found.to_numpy(), values.astype(np.float32))
    assert found.ids.to_pylist() == [f"t{row}" for row in range(ROWS)]
    assert max(len(chunk) for chunk in found.chunks()) == 2
    assert found.info.encoder == f"precomputed|captions.{suffix}|{sha256_file(file)}"
    assert found.info.data_hash == prepared.read_meta(tmp_path / "data").data_hash
    assert (found.info.dim, found.info.flops_per_row) == (DIM, 0.0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_unit_length(tmp_path: Path, suffix: str) -> None:
    values = FEATURES.copy()
    values[4] = 0  # has no direction: stays as it is
    found = convert(save(tmp_path / f"captions.{suffix}", values), unit_length=True)
    length_N1 = np.sqrt((values**2).sum(axis=1, keepdims=True))
    length_N1[4] = 1
    np.testing.assert_allclose(found.to_numpy(), values / length_N1, rtol=1e-6)
    assert found.info.encoder.endswith("|unit length")


def test_other_forms_of_the_same(tmp_path: Path) -> None:
    """Brain floats, a dictionary of one tensor, PyTorch's older format, a tensor of another name."""
    brain = torch.from_numpy(FEATURES).bfloat16()
    torch.save({"embeddings": brain}, tmp_path / "a.pt")
    torch.save(torch.nn.Parameter(brain), tmp_path / "b.pt", _use_new_zipfile_serialization=False)
    save_file({"other": brain}, tmp_path / "c.safetensors")
    save_file({"feature": brain, "other": torch.zeros(1)}, tmp_path / "d.safetensors")
    for name in ("a.pt", "b.pt", "c.safetensors", "d.safetensors"):
        np.testing.assert_array_equal(convert(tmp_path / name).to_numpy(), brain.float().numpy())


@pytest.mark.parametrize("kind", [pa.large_list(pa.float32()), pa.list_(pa.float32(), DIM)])
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_rows_in_another_order_are_put_in_order(tmp_path: Path, suffix: str, kind: pa.DataType) -> None:
    order = [3, 0, 6, 1, 5, 2, 4]
    content = table(FEATURES[order], [f"t{row}" for row in order], kind)
    content = content.set_column(0, "id", content["id"].cast(pa.large_string()))
    file = tmp_path / f"captions.{suffix}"
    pq.write_table(content, file) if suffix == "parquet" else write_ipc(content, file)
    found = convert(file)
    np.testing.assert_array_equal(found.to_numpy(), FEATURES)
    assert found.ids.to_pylist() == [f"t{row}" for row in range(ROWS)]
    assert [path.name for path in (tmp_path / "features").iterdir()] == ["captions.arrow"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_memory_holds_some_chunks(tmp_path: Path, suffix: str) -> None:
    """Also of a file that is one row group, or one batch. Pages of mapped files are the system's affair."""
    values = np.random.default_rng(0).normal(size=(16_000, 256)).astype(np.float32)
    file = tmp_path / f"captions.{suffix}"
    if suffix == "parquet":
        pq.write_table(wide(values), file)
    elif suffix == "arrow":
        write_ipc(wide(values), file)
    else:
        save(file, values)
    matrix, before, arrow = open_matrix(file), pa.total_allocated_bytes(), 0
    tracemalloc.start()
    for feature_ND in matrix.chunks(50):
        assert feature_ND.shape == (50, 256)
        arrow = max(arrow, pa.total_allocated_bytes() - before)
    peak = arrow + tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < values.nbytes / 2


def wide(values: np.ndarray) -> pa.Table:
    """Features as a table, without a detour over Python's numbers."""
    rows, dim = values.shape
    lists = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), dim).cast(pa.list_(pa.float32()))
    return pa.table({"id": [f"t{row}" for row in range(rows)], "feature": lists})


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (FEATURES[:5], "feature: 5 rows, but the data set has 7 texts; .*"),
        (np.ones((ROWS, DIM), np.int64), r"feature: values are .*(int|I)64\S*; they should be .*floats"),
    ],
)
def test_values_do_not_fit(tmp_path: Path, suffix: str, values: np.ndarray, message: str) -> None:
    file = save(tmp_path / f"captions.{suffix}", values)
    with refused(rf"^{re.escape(str(file))}: {message}$"):
        convert(file)
    assert not (tmp_path / "features").exists()


def test_images_are_counted_for_an_image_encoder(tmp_path: Path) -> None:
    with refused("feature: 7 rows, but the data set has 1 images; "):
        convert(save(tmp_path / "captions.npy"), modality="image")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_not_finite(tmp_path: Path, suffix: str, bad: float) -> None:
    values = FEATURES.copy()
    values[[4, 6], 1] = bad
    file = save(tmp_path / f"captions.{suffix}", values)
    row = r"row 4 \('t4'\)" if suffix in ("parquet", "arrow") else "row 4"
    with refused(rf"^{re.escape(str(file))}: feature: NaN or infinite in {row}; extract it again$"):
        convert(file)
    assert list((tmp_path / "features").iterdir()) == []


@pytest.mark.parametrize("suffix", ["pt", "npy", "safetensors"])
@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, DIM, 2), (ROWS, 0), ()])
def test_not_two_dimensional(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    file = save(tmp_path / f"captions.{suffix}", np.ones(shape, np.float32))
    shown = re.escape(str(list(shape)))
    with refused(rf"^{re.escape(str(file))}: feature: shape is {shown}; it should be \[rows, width\]$"):
        convert(file)


class Trap:
    """Makes a file if it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("damage", ["cut", "cut late", "empty", "text", "pickle"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damaged(tmp_path: Path, suffix: str, damage: str) -> None:
    file = save(tmp_path / f"captions.{suffix}")
    content = file.read_bytes()
    broken = {
        "cut": content[: len(content) // 2],
        "cut late": content[:-20],
        "empty": b"",
        "text": b"no features at all, but a page that says so " * 20,
        "pickle": pickle.dumps(Trap(tmp_path / "sprung")),
    }
    file.write_bytes(broken[damage])
    with refused(rf"^{re.escape(str(file))}: not a whole {suffix} file \([^\n]+\); get it again$"):
        convert(file)
    assert not (tmp_path / "sprung").exists()


def test_no_one_tensor(tmp_path: Path) -> None:
    tensor = torch.from_numpy(FEATURES)
    for content in ({"a": tensor, "b": tensor}, [tensor], {"a": 1}, {}):
        torch.save(content, tmp_path / "a.pt")
        with refused(
            r"a\.pt: tensor: missing; the file should hold one tensor \[rows, width\] and nothing else$"
        ):
            convert(tmp_path / "a.pt")
    save_file({"a": tensor, "b": tensor + 1}, tmp_path / "a.safetensors")
    with refused(r"a\.safetensors: feature: no such tensor; name it so, or keep no other \(found: a, b\)$"):
        convert(tmp_path / "a.safetensors")
    np.savez(tmp_path / "a.npz", FEATURES)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with refused(r"a\.npy: array: missing; save one array \[rows, width\] with np\.save$"):
        convert(tmp_path / "a.npy")


IDS = [f"t{row}" for row in range(ROWS)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (table(FEATURES).drop(["id"]), r"id: no such column; it has feature: rename the one meant"),
        (table(FEATURES).drop(["feature"]), r"feature: no such column; it has id: rename the one meant"),
        (table(FEATURES, list(range(ROWS))), r"id: values are int64; they should be strings"),
        (
            table(FEATURES, [*IDS[:2], "x", "y", *IDS[4:]]),
            r"id: row 2 is 'x', which the data set lacks \(its own row 2 is 't2'\); take .*",
        ),
        (
            table(FEATURES, [*IDS[:2], None, *IDS[3:]]),
            r"id: row 2 is None, which the data set lacks .*; take .*",
        ),
        (
            table(FEATURES, [*IDS[:2], "t0", *IDS[3:]]),
            r"id: 't2', the data set's row 2, is missing, and another is there twice; take .*",
        ),
        (
            table([*FEATURES[:5], FEATURES[5, :2], FEATURES[6]]),
            r"feature: row 5 has width 2, the first has 3; all rows should be equally wide",
        ),
        (table([[], *FEATURES[1:]]), r"feature: row 0 has width 0, .*"),
        (
            pa.table({"id": IDS, "feature": [*FEATURES[:3].tolist(), None, *FEATURES[4:].tolist()]}),
            r"feature: row 3 is missing; all rows should be equally wide",
        ),
        (
            pa.table(
                {"id": IDS, "feature": [*FEATURES[:3].tolist(), [1.0, None, 2.0], *FEATURES[4:].tolist()]}
            ),
            r"feature: NaN or infinite in row 3 \('t3'\); extract it again",
        ),
        (
            pa.table({"id": IDS, "feature": FEATURES[:, 0]}),
            r"feature: values are float; they should be lists .*",
        ),
        (table(FEATURES)[:0], r"feature: no rows; it should have one for each of the data set"),
    ],
)
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_table_is_wrong(tmp_path: Path, suffix: str, content: pa.Table, message: str) -> None:
    file = tmp_path / f"captions.{suffix}"
    pq.write_table(content, file, row_group_size=3) if suffix == "parquet" else write_ipc(content, file)
    with refused(rf"^{re.escape(str(file))}: {message}$"):
        convert(file)


@pytest.mark.parametrize("suffix", ["pt", "npy"])
def test_features_of_all_that_the_data_set_lists(tmp_path: Path, suffix: str) -> None:
    """Some of it was left out, or is one picture with another: rows are found by their numbers."""
    kept = [0, 2, 3, 6]
    image = [{"id": "i", "image": {"bytes": b"", "path": None}, "record": 0, "protocol": "both"}]
    texts = [{"id": f"t{row}", "text": "a", "record": row, "image": 0, "protocol": "both"} for row in kept]
    tables = prepared.table(image, prepared.IMAGES), prepared.table(texts, prepared.TEXTS)
    meta = prepared.Meta("pairs", "llava", records={"image": 9, "text": ROWS})
    prepared.write(tmp_path / "data", prepared.Prepared(meta, *tables, prepared.QUESTIONS.empty_table()))
    file, out = save(tmp_path / f"x.{suffix}"), tmp_path / "out.arrow"
    write(Reference(file, "x"), tmp_path / "data", "text", out, False, 2)
    np.testing.assert_array_equal(Features(out).to_numpy(), FEATURES[kept])
    short = save(tmp_path / f"short.{suffix}", FEATURES[:5])
    with pytest.raises(HymaError, match="5 rows, but the data set has 4 texts"):
        write(Reference(short, "x"), tmp_path / "data", "text", out, False, 2)

"""Features that somebody else extracted, read from disk in slices, whatever the format.

Letters: N rows, D the features' width.
"""

import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError, safe_open

from hyma.common.errors import HymaError
from hyma.encoders.base.common import reason

KEY = "feature"
"""Name of the column, or of the tensor where a file holds several."""
DAMAGED = (
    *(OSError, RuntimeError, TypeError, ValueError, AttributeError, KeyError, EOFError),
    *(SafetensorError, UnpicklingError, pa.ArrowException),
)
"""What the libraries raise for a file that is damaged, or another kind of file."""


@dataclass(frozen=True)
class Matrix:
    """Rows of features on disk."""

    rows: int
    dim: int
    ids: pa.Array | None
    """The rows' ids (strings); None for a format without: the rows are in the data set's order."""
    chunks: Callable[[int], Iterator[np.ndarray]]
    """Yields all rows in the file's order, float32 [at most so many, dim], reading as it goes."""


def open_matrix(file: Path) -> Matrix:
    """Open a file of features by its suffix, one of `SUFFIXES`.

    Raises:
        HymaError: if it is damaged, or holds something else than one float per row and dimension; some of it
            only when the chunks are read.
    """
    with _readable(file):
        return OPENERS[file.suffix](file)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        kind = file.suffix.removeprefix(".")
        raise HymaError(f"{file}: not a whole {kind} file ({reason(error)}); get it again") from None


def _torch(file: Path) -> Matrix:
    # Files of PyTorch's older format are no zip, and cannot be mapped.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pickles by others than PyTorch, which are refused
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    tensors = list(content.values()) if isinstance(content, dict) else [content]
    if len(tensors) != 1 or not isinstance(tensors[0], torch.Tensor):
        raise HymaError(
            f"{file}: tensor: missing; the file should hold one tensor [rows, width] and nothing else"
        )
    feature_ND = tensors[0].detach()
    kind = feature_ND.dtype
    return _array(
        file, feature_ND.shape, kind.is_floating_point, str(kind), lambda part: _widened(feature_ND[part])
    )


def _safetensors(file: Path) -> Matrix:
    weights = safe_open(file, framework="pt")
    names = list(weights.keys())
    if KEY not in names and len(names) != 1:
        raise HymaError(
            f"{file}: {KEY}: no such tensor; name it so, or keep no other (found: {', '.join(names)})"
        )
    feature_ND = weights.get_slice(KEY if KEY in names else names[0])
    kind = feature_ND.get_dtype()
    floating = kind.startswith(("F", "BF"))
    return _array(file, feature_ND.get_shape(), floating, kind, lambda part: _widened(feature_ND[part]))


def _widened(tensor: torch.Tensor) -> np.ndarray:
    return tensor.float().numpy()  # NumPy knows no brain floats


def _numpy(file: Path) -> Matrix:
    feature_ND = np.load(file, mmap_mode="r", allow_pickle=False)
    if not isinstance(feature_ND, np.ndarray):
        raise HymaError(f"{file}: array: missing; save one array [rows, width] with np.save")
    floating = np.issubdtype(feature_ND.dtype, np.floating)
    return _array(
        *(file, feature_ND.shape, floating, str(feature_ND.dtype)),
        lambda part: np.asarray(feature_ND[part], dtype=np.float32),
    )


def _array(
    file: Path, shape: Sequence[int], floating: bool, dtype: str, rows: Callable[[slice], np.ndarray]
) -> Matrix:
    if len(shape) != 2 or 0 in shape:
        raise HymaError(f"{file}: {KEY}: shape is {list(shape)}; it should be [rows, width]")
    if not floating:
        raise HymaError(f"{file}: {KEY}: values are {dtype}; they should be floats")

    def chunks(size: int) -> Iterator[np.ndarray]:
        with _readable(file):
            for start in range(0, shape[0], size):
                yield rows(slice(start, start + size))

    return Matrix(shape[0], shape[1], None, chunks)


def _parquet(file: Path) -> Matrix:
    # Without buffering ahead: a row group may be the whole file.
    content = pq.ParquetFile(file, memory_map=True, pre_buffer=False)
    return _table(file, content.schema_arrow, lambda name, size: content.iter_batches(size, columns=[name]))


def _ipc(file: Path) -> Matrix:
    content = pa.ipc.open_file(pa.memory_map(str(file)))

    def batches(name: str, size: int) -> Iterator[pa.RecordBatch]:
        for number in range(content.num_record_batches):
            batch = content.get_batch(number).select([name])
            yield from (batch.slice(start, size) for start in range(0, len(batch), size))

    return _table(file, content.schema, batches)


def _table(file: Path, schema: pa.Schema, batches: Callable[[str, int], Iterator[pa.RecordBatch]]) -> Matrix:
    _check_schema(file, schema)
    ids = [batch["id"].cast(pa.string()) for batch in batches("id", 2**16)]
    if not ids:
        raise HymaError(f"{file}: {KEY}: no rows; it should have one for each of the data set")
    dim = pc.list_value_length(next(batches(KEY, 1))[KEY])[0].as_py() or 0

    def chunks(size: int) -> Iterator[np.ndarray]:
        row = 0
        with _readable(file):
            for batch in batches(KEY, size):
                yield _flat(file, batch[KEY], dim, row)
                row += len(batch)

    id_N = pa.concat_arrays(ids)
    return Matrix(len(id_N), dim, id_N, chunks)


def _check_schema(file: Path, schema: pa.Schema) -> None:
    for name in ("id", KEY):
        if name not in schema.names:
            raise HymaError(
                f"{file}: {name}: no such column; it has {', '.join(schema.names) or 'none'}: rename the one meant"
            )
    if not _is(schema.field("id").type, "string", "large_string"):
        raise HymaError(f"{file}: id: values are {schema.field('id').type}; they should be strings")
    kind = schema.field(KEY).type
    if not _is(kind, "list", "large_list", "fixed_size_list") or not pa.types.is_floating(kind.value_type):
        raise HymaError(f"{file}: {KEY}: values are {kind}; they should be lists of floats")


def _is(kind: Any, *names: str) -> bool:
    return any(getattr(pa.types, f"is_{name}")(kind) for name in names)


def _flat(file: Path, lists: pa.Array, dim: int, start: int) -> np.ndarray:
    """The lists as float32 [rows, dim]; `start` is the first one's row in the file, for errors."""
    widths = pc.fill_null(pc.list_value_length(lists), -1).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero((widths != dim) | (widths < 1))
    if len(wrong):
        width, row = widths[wrong[0]], start + int(wrong[0])
        said = "is missing" if width < 0 else f"has width {width}, the first has {dim}"
        raise HymaError(f"{file}: {KEY}: row {row} {said}; all rows should be equally wide")
    values = lists.flatten().to_numpy(zero_copy_only=False)
    return values.astype(np.float32, copy=False).reshape(-1, dim)


OPENERS: dict[str, Callable[[Path], Matrix]] = {
    ".pt": _torch,
    ".npy": _numpy,
    ".safetensors": _safetensors,
    ".parquet": _parquet,
    ".arrow": _ipc,
}
SUFFIXES = tuple(OPENERS)

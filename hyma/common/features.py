"""Features on disk: one Arrow file an encoder × data set, written in chunks, read by memory map.

Columns: ``id`` (the prepared row's id) and ``feature`` (fixed-size list of float32, the encoder's width).
The schema's metadata holds a json object under ``hyma``: the fingerprint and what went into it. Each chunk has a digest
of its rows beside it, that is checked when they are read: DVC trusts its cache, and a disk may be bad.
Letters: N rows, D the encoder's width.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from hyma.common.earlier import damaged
from hyma.common.errors import HymaError
from hyma.common.files import atomic, sha256

KEY, DIGEST = b"hyma", "digest"
FOLDER = Path("features")
LEFT_OUT = FOLDER / "training/left_out.json"
"""Rows of the training pictures that are not trained on, since a benchmark has them."""
Side = Literal["image", "text"]
Part = Literal["training", "benchmarks"]


@dataclass(frozen=True)
class FeatureInfo:
    """What a feature file says of itself."""

    encoder: str
    """The encoder's identity: source, name, revision, digest of its weights, transform."""
    data_hash: str
    """Digest of the prepared data set."""
    dim: int
    flops_per_row: float
    """Floating-point operations of one row's forward pass."""
    cut: int = 0
    """Texts that are longer than what the encoder reads, and were cut."""
    limit: int = 0
    """Tokens that it reads of one; told where texts were cut."""

    @property
    def fingerprint(self) -> str:
        """Equal for equal encoder, transform and data, on any machine."""
        return sha256(self.encoder, self.data_hash)


class Features:
    """A feature file, memory-mapped: rows are copied only when asked for."""

    def __init__(self, path: Path):
        """Open the file.

        Raises:
            HymaError: if it is missing, damaged or no feature file.
        """
        try:
            file = pa.ipc.open_file(pa.memory_map(str(path)))
            self._batches = [file.get_batch_with_custom_metadata(n) for n in range(file.num_record_batches)]
            self.table = pa.Table.from_batches([found.batch for found in self._batches], file.schema)
        except (OSError, pa.ArrowInvalid) as error:
            if isinstance(error, FileNotFoundError):
                raise HymaError(f"{path}: features cannot be read ({error}); run `dvc repro` again") from None
            raise damaged(path, f"features cannot be read: {error}") from None
        metadata = self.table.schema.metadata or {}
        if KEY not in metadata:
            raise HymaError(f"{path}: not a feature file; run `dvc repro` again")
        content = json.loads(metadata[KEY])
        fingerprint = content.pop("fingerprint")
        self.info = FeatureInfo(**content)
        self.path = path
        if fingerprint != self.info.fingerprint:
            raise HymaError(
                f"{path}: fingerprint: not that of its encoder and data set; delete the file and run `dvc repro`"
            )
        self._check_width()

    def _check_width(self) -> None:
        kind = self.table.schema.field("feature").type
        if kind.list_size != self.info.dim:
            raise HymaError(
                f"{self.path}: feature: width is {kind.list_size}, its metadata says {self.info.dim}; "
                "delete the file and run `dvc repro`"
            )

    def __len__(self) -> int:
        return len(self.table)

    @property
    def ids(self) -> pa.ChunkedArray:
        """The row ids, in order."""
        return self.table["id"]

    def chunks(self) -> Iterable[np.ndarray]:
        """Yield the features as read-only float32 views [rows, D] on the file, chunk by chunk."""
        for chunk in self.table["feature"].chunks:
            yield chunk.flatten().to_numpy(zero_copy_only=True).reshape(-1, self.info.dim)

    def check(self) -> None:
        """See that the rows are those that were written.

        Raises:
            HymaError: if a chunk's are not.
        """
        for batch, metadata in self._batches:
            noted = (metadata or {}).get(DIGEST.encode())
            if noted is not None and noted.decode() != _digest(batch):
                raise damaged(self.path)

    def to_numpy(self) -> np.ndarray:
        """Return all features [N, D]; a view on the file if it has one chunk.

        Raises:
            HymaError: if a value is NaN or infinite, or the file is damaged.
        """
        parts = self.finite_chunks() or [np.empty((0, self.info.dim), np.float32)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def finite_chunks(self) -> list[np.ndarray]:
        """Return the chunks, each looked through: views on the file, none of which is copied.

        Raises:
            HymaError: if a value is NaN or infinite, or the file is damaged.
        """
        self.check()
        parts = list(self.chunks())
        finite_N = np.concatenate([np.ones(0, bool), *(np.isfinite(part).all(axis=1) for part in parts)])
        if not finite_N.all():
            row = int(np.argmin(finite_N))
            raise HymaError(
                f"{self.path}: feature: NaN or infinite values in {int((~finite_N).sum())} rows, first "
                f"{self.ids[row].as_py()!r}; check the encoder's weights, or leave it out of params.yaml"
            )
        return parts


def file_of(part: Part, side: Side, slug: str, data_set: str) -> Path:
    """Where an encoder's features of a data set lie."""
    return FOLDER / part / side / slug / f"{data_set}.arrow"


def write(path: Path, info: FeatureInfo, chunks: Iterable[tuple[Sequence[str], np.ndarray]]) -> None:
    """Write chunks of (ids, features [rows, D]) as they come, atomically.

    Raises:
        HymaError: if a chunk is not `info.dim` wide.
    """
    metadata = {KEY: json.dumps(_told(info) | {"fingerprint": info.fingerprint}, sort_keys=True)}
    schema = pa.schema({"id": pa.string(), "feature": pa.list_(pa.float32(), info.dim)}, metadata=metadata)
    with atomic(path) as temporary, pa.ipc.new_file(str(temporary), schema) as writer:
        for ids, feature_ND in chunks:
            if feature_ND.shape[1] != info.dim:
                raise HymaError(
                    f"{path}: feature: the encoder gave width {feature_ND.shape[1]}, expected {info.dim}"
                )
            values = pa.array(np.ascontiguousarray(feature_ND, dtype=np.float32).ravel())
            column = pa.FixedSizeListArray.from_arrays(values, info.dim)
            batch = pa.record_batch([pa.array(ids, pa.string()), column], schema=schema)
            writer.write_batch(batch, custom_metadata={DIGEST: _digest(batch)})


def _digest(batch: pa.RecordBatch) -> str:
    """Digest of a chunk's ids and values."""
    digest = hashlib.blake2b(json.dumps(batch["id"].to_pylist()).encode(), digest_size=16)
    digest.update(batch["feature"].flatten().to_numpy(zero_copy_only=True))
    return digest.hexdigest()


def _told(info: FeatureInfo) -> dict[str, Any]:
    """The fields that a file holds: those of cut texts only where there are any, for its bytes to stay as they were."""
    fields = asdict(info)
    return fields if info.cut else {name: fields[name] for name in fields if name not in ("cut", "limit")}


def open_aligned(path: Path, ids: pa.ChunkedArray, data_hash: str, dim: int | None = None) -> Features:
    """Open a feature file and check that it belongs to the prepared rows `ids`, and to connectors of width `dim`.

    Raises:
        HymaError: if the file was made from other data, its rows differ, or its width does.
    """
    features = Features(path)
    remedy = "run `dvc repro` to extract it again"
    if features.info.data_hash != data_hash:
        raise HymaError(f"{path}: data_hash: made from another version of the data set; {remedy}")
    if len(features) != len(ids):
        raise HymaError(f"{path}: {len(features)} rows, the data set has {len(ids)}; {remedy}")
    if not features.ids.equals(ids):
        raise HymaError(f"{path}: id: row ids differ from the data set's; {remedy}")
    if dim not in (None, features.info.dim):
        raise HymaError(
            f"{path}: feature: width is {features.info.dim}, the connectors were trained on {dim}; {remedy}"
        )
    return features

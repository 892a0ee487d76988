"""Extraction: prepared data set × encoder → one feature file, streamed chunk by chunk, resumed when it was killed.

Pictures are opened and transformed in worker processes while the encoder computes. What shares a batch depends
on the sizes of batch and chunk alone, never on timing, so that features are the same to the bit in every run.
Letters: N rows of a chunk, B of a batch, D the encoder's width; C, H, W an image's channels, height, width.
"""

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from hyma.common import features, pictures, prepared
from hyma.common.errors import HymaError
from hyma.common.files import sha256
from hyma.common.unfinished import Unfinished
from hyma.encoders.base.load import Encoder
from hyma.encoders.base.params import ExtractParams

CPU_BATCH = 32
"""Rows a batch on a CPU: larger ones leave its caches and are no faster."""
LARGEST_BATCH = 1024
MEMORY_SHARE = 0.5
"""Of a GPU's free memory, what a batch may take."""
PIECE_BYTES = 8 * 2**20
"""Of the transformed pictures that a worker hands over at once: so shared memory holds little, at any resolution."""
AHEAD = 2
"""Pieces that each worker may have ready or in work; then it waits."""
WORD = 2.0
"""Seconds to wait for the system's word that a process died."""
FEW = 2048
"""Pictures for which starting workers costs more than it gives."""

log = logging.getLogger(__name__)


def extract(
    encoder: Encoder,
    modality: str,
    folder: Path,
    out: Path,
    params: ExtractParams,
    row_flops: float,
    unfinished: Path,
    device: torch.device,
) -> None:
    """Encode all images or texts of a prepared data set into a feature file.

    Memory holds a chunk of features and a few batches of pictures, however large the data set. A run that is
    killed and begun again goes on after its last finished chunk and ends with the same file.

    Args:
        encoder: what to encode with.
        modality: ``image`` or ``text``.
        folder: the prepared data set.
        out: the feature file to write.
        params: how much at once, and with how many processes.
        row_flops: what `hyma.encoders.base.flops.flops_per_row` says of the encoder; kept with the features.
        unfinished: a folder for finished chunks; the caller removes it when they are not wanted any more.
        device: where the encoder computes.

    Raises:
        HymaError: if a picture cannot be opened any more, naming it, or a worker process dies.
    """
    rows = _Rows(folder, modality, params.chunk)
    batch = batch_size(params, encoder, modality, device)
    info = features.FeatureInfo(encoder.identity, rows.data_hash, encoder.dim, row_flops)
    conditions = f"{encoder.dim}|{batch}|{params.chunk}|{device.type}"
    finished = Unfinished(unfinished, info, sha256(info.fingerprint, conditions))
    name = f"{unfinished.parent.name}/{unfinished.name}"
    if finished.rows:
        log.info("%s: going on at row %d of %d", name, finished.rows, rows.total)
    workers = worker_count(params, rows.total - finished.rows)
    batches: Iterator[tuple[list[int], Any]] = (
        _picture_batches(encoder.transform, rows, finished.chunks, batch, workers, device)
        if modality == "image"
        else _text_batches(rows, finished.chunks, batch)
    )
    with (
        tqdm(total=rows.total, initial=finished.rows, desc=name, unit=modality, disable=None) as bar,
        _told_of_dead_workers(),
    ):
        for chunk in rows.chunks(finished.chunks, "id"):
            finished.add(chunk["id"].to_pylist(), _encode(encoder, batches, len(chunk), bar))
    features.write(out, info, finished)


class _Rows:
    """The rows to encode, read from the prepared table chunk by chunk."""

    def __init__(self, folder: Path, modality: str, chunk: int):
        self.file, self.chunk = folder / f"{modality}s.parquet", chunk
        self.data_hash = prepared.read_meta(folder).data_hash
        self.total: int = pq.read_metadata(self.file).num_rows

    def chunks(self, first: int, *columns: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows chunk by chunk, from chunk number `first` on."""
        source = pq.ParquetFile(self.file, memory_map=True)
        for number, rows in enumerate(source.iter_batches(self.chunk, columns=list(columns))):
            if number >= first:
                yield rows


def _encode(encoder: Encoder, batches: Iterator[tuple[list[int], Any]], length: int, bar: tqdm) -> np.ndarray:
    """Encode the batches of the next chunk, of `length` rows; return its features [N, D]."""
    feature_ND = np.empty((length, encoder.dim), np.float32)
    done = 0
    while done < length:
        chosen_B, batch = next(batches)
        feature_ND[chosen_B] = encoder.encode(batch)
        done += len(chosen_B)
        bar.update(len(chosen_B))
    return feature_ND


def _text_batches(rows: _Rows, first: int, batch: int) -> Iterator[tuple[list[int], list[str]]]:
    """Yield batches of texts with their rows within the chunk: texts of like length, so that padding costs little."""
    for chunk in rows.chunks(first, "text"):
        texts = chunk["text"].to_pylist()
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        for start in range(0, len(order), batch):
            chosen_B = order[start : start + batch]
            yield chosen_B, [texts[row] for row in chosen_B]


def _picture_batches(
    transform: Callable[[Any], Any], rows: _Rows, first: int, batch: int, workers: int, device: torch.device
) -> Iterator[tuple[list[int], Tensor]]:
    """Yield batches [B, C, H, W] of pictures on the device with their rows within the chunk, in order.

    One loader runs through all chunks: workers open the pictures of the next while the encoder ends this one.
    """
    piece = max(1, PIECE_BYTES // _example(transform).nbytes)
    pieces = _opened(transform, _pieces(rows.chunks(first, "id", "image"), batch, piece), workers, device)
    for chunk in rows.chunks(first, "id"):
        for start in range(0, len(chunk), batch):
            chosen_B = list(range(start, min(start + batch, len(chunk))))
            parts: list[Tensor] = []
            while sum(map(len, parts)) < len(chosen_B):
                parts.append(_readable(next(pieces)).to(device, non_blocking=True))
            yield chosen_B, parts[0] if len(parts) == 1 else torch.cat(parts)


def _pieces(chunks: Iterable[pa.RecordBatch], batch: int, piece: int) -> Iterator[list[dict[str, Any]]]:
    """Cut the rows of every chunk into batches, and those into pieces."""
    for chunk in chunks:
        for start in range(0, len(chunk), batch):
            together = chunk.slice(start, batch).to_pylist()
            for at in range(0, len(together), piece):
                yield together[at : at + piece]


def _example(transform: Callable[[Any], Tensor]) -> Tensor:
    """A transformed picture [C, H, W]."""
    return transform(Image.new("RGB", (64, 64)))


@dataclass(frozen=True)
class _Broken:
    """A picture that a worker could not open, and why: returned, since exceptions of workers lose their form."""

    file: str
    reason: str


class _Pictures(Dataset):
    """``[rows]`` opens and transforms their pictures: a tensor [B, C, H, W], or `_Broken` at the first failure."""

    def __init__(self, transform: Callable[[Any], Any]):
        self.transform = transform

    def __getitem__(self, rows: list[dict[str, Any]]) -> Tensor | _Broken:
        opened = []
        for row in rows:
            file = row["image"]["path"] or row["id"]
            try:
                opened.append(self.transform(pictures.decode(pictures.content(row["image"]))))
            except pictures.UnreadableError as error:
                return _Broken(file, str(error))
            except Exception as error:
                return _Broken(file, f"the encoder's transform fails ({type(error).__name__}: {error})")
        return torch.stack(opened)


def _readable(piece: Tensor | _Broken) -> Tensor:
    if isinstance(piece, _Broken):
        raise HymaError(
            f"{piece.file}: {piece.reason}, though it was readable when the data set was prepared; "
            "put the file back, or prepare the data set anew"
        )
    return piece


def _opened(
    transform: Callable[[Any], Any], pieces: Iterable[list[Any]], workers: int, device: torch.device
) -> Iterator[Tensor | _Broken]:
    """Open the pieces in order: each worker `AHEAD` in advance; without workers this process, when it needs them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # as many as the user asks for
        loader = DataLoader(
            _Pictures(transform),
            sampler=pieces,
            batch_size=None,
            num_workers=workers,
            prefetch_factor=AHEAD if workers else None,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # its own, so that torch's global one is left alone
        )
        return iter(loader)


@contextmanager
def _told_of_dead_workers() -> Iterator[None]:
    """The death of a worker, which torch may report at any moment, in words."""
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        reason = _cause(error).splitlines()[0].rstrip(". ")
        raise HymaError(
            f"params.yaml: extract.workers: a process that opens pictures died ({reason}); "
            "if memory or /dev/shm ran out, lower it, to 0 if need be"
        ) from None


def _cause(error: Exception) -> str:
    """What torch says of a worker's death; a lost connection to one may be noticed before torch is told of it."""
    if not isinstance(error, RuntimeError):
        try:
            time.sleep(WORD)
        except RuntimeError as told:
            return str(told)
    return str(error) or type(error).__name__


def worker_count(params: ExtractParams, pictures_left: int) -> int:
    """Return how many processes open `pictures_left` pictures; 0 is none but this one."""
    if params.workers == "auto":
        return pictures.cores() if pictures_left >= FEW else 0
    return params.workers


def batch_size(params: ExtractParams, encoder: Encoder, modality: str, device: torch.device) -> int:
    """Return how many rows to encode at once; on a GPU, auto tries how many fit."""
    if params.batch != "auto":
        return params.batch
    if device.type != "cuda":
        return CPU_BATCH
    if modality == "text":
        return _largest_batch(encoder, lambda size: ["word " * 512] * size, device)
    image_CHW = _example(encoder.transform)
    return _largest_batch(encoder, lambda size: image_CHW.expand(size, -1, -1, -1), device)


def _largest_batch(encoder: Encoder, example: Callable[[int], Any], device: torch.device) -> int:
    """Double the batch until twice the memory that it took would be more than its share of what is free."""
    free, _ = torch.cuda.mem_get_info(device)
    size = 8
    while size < LARGEST_BATCH:
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        encoder.encode(example(size))
        if 2 * (torch.cuda.max_memory_allocated(device) - before) > MEMORY_SHARE * free:
            break
        size *= 2
    return size

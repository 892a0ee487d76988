"""Extraction: prepared data set × encoders → a feature file each, streamed chunk by chunk, resumed after a kill.

Pictures are opened once for all encoders, in worker processes while the encoders compute. What shares a batch depends
on the sizes of batch and chunk alone, never on timing or on the other encoders, so that features are the same to the
bit in every run. Letters: N rows of a chunk, B of a batch, D the encoder's width.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor
from tqdm import tqdm

from hyma.common import features, pictures, prepared
from hyma.common.earlier import damaged
from hyma.common.features import Side
from hyma.common.files import sha256
from hyma.common.unfinished import Unfinished
from hyma.encoders.base import opening
from hyma.encoders.base.load import Encoder
from hyma.encoders.base.params import ExtractParams

CPU_BATCH = 32
"""Rows a batch on a CPU: larger ones leave its caches and are no faster."""
LARGEST_BATCH = 1024
MEMORY_SHARE = 0.5
"""Of a GPU's free memory, what a batch may take."""
FEW = 2048
"""Pictures for which starting workers costs more than it gives."""

log = logging.getLogger(__name__)


@dataclass
class Job:
    """An encoder, and where its features of a data set go."""

    encoder: Encoder
    row_flops: float
    """What `hyma.encoders.base.flops.flops_per_row` says of the encoder; kept with the features."""
    out: Path
    """The feature file to write."""
    unfinished: Path
    """A folder for finished chunks; the caller removes it when they are not wanted any more."""


def extract(
    jobs: Sequence[Job], side: Side, folder: Path, params: ExtractParams, device: torch.device
) -> None:
    """Encode all images or texts of a prepared data set into feature files.

    Memory holds a chunk of features and a few batches of pictures, however large the data set. A run that is
    killed and begun again goes on after its last finished chunk and ends with the same files.

    Args:
        jobs: the encoders, which compute in turns.
        side: ``image`` or ``text``.
        folder: the prepared data set.
        params: how much at once, and with how many processes.
        device: where the encoders compute.

    Raises:
        HymaError: if a picture cannot be opened any more, naming it, or a worker process dies.
    """
    rows = _Rows(folder, side, params.chunk)
    work = [_Work(job, side, rows, params, device) for job in jobs]
    done, total = sum(each.finished.rows for each in work), len(work) * rows.total
    encode = _encode_pictures if side == "image" else _encode_texts
    with (
        tqdm(total=total, initial=done, desc=_title(folder, work), unit=side, disable=None) as bar,
        opening.told_of_dead_workers(),
    ):
        encode(work, rows, params, device, bar)
    for each in work:
        features.write(each.job.out, each.told(rows.total), each.finished)


class _Rows:
    """The rows to encode, read from the prepared table chunk by chunk."""

    def __init__(self, folder: Path, side: Side, chunk: int):
        self.file, self.chunk = folder / f"{side}s.parquet", chunk
        self.data_hash = prepared.read_meta(folder).data_hash
        self.total: int = self._open().metadata.num_rows

    def chunks(self, first: int, *columns: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows chunk by chunk, from chunk number `first` on."""
        try:
            for number, rows in enumerate(self._open().iter_batches(self.chunk, columns=list(columns))):
                if number >= first:
                    yield rows
        except (OSError, pa.ArrowInvalid) as error:
            raise damaged(self.file, str(error).splitlines()[0]) from None

    def _open(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.file, memory_map=True, page_checksum_verification=True)
        except (OSError, pa.ArrowInvalid) as error:
            raise damaged(self.file, str(error).splitlines()[0]) from None


class _Work:
    """A job under way: what is finished of it, and the features of the chunk that is in work."""

    def __init__(self, job: Job, side: Side, rows: _Rows, params: ExtractParams, device: torch.device):
        self.job, self.encoder = job, job.encoder
        self.batch = batch_size(params, job.encoder, side, device)
        limit = getattr(job.encoder, "limit", None) or 0
        self.info = features.FeatureInfo(
            job.encoder.identity, rows.data_hash, job.encoder.dim, job.row_flops, limit=limit
        )
        conditions = f"{job.encoder.dim}|{self.batch}|{params.chunk}|{device.type}"
        self.finished = Unfinished(job.unfinished, self.info, sha256(self.info.fingerprint, conditions))
        self.name = f"{job.unfinished.parent.name}/{job.unfinished.name}"
        if self.finished.rows:
            log.info("%s: going on at row %d of %d", self.name, self.finished.rows, rows.total)
        self.begin(0)

    def begin(self, length: int) -> None:
        """Make room for the features of a chunk of `length` rows."""
        self.feature_ND = np.empty((length, self.encoder.dim), np.float32)
        self.done, self.parts = 0, list[Tensor]()

    def take(self, pictures: Tensor) -> int:
        """Take the chunk's next pictures [·, C, H, W]; encode them once they are a batch; return how many were."""
        self.parts.append(pictures)
        count = sum(map(len, self.parts))
        if count < min(self.batch, len(self.feature_ND) - self.done):
            return 0
        batch = self.parts[0] if len(self.parts) == 1 else torch.cat(self.parts)
        self.feature_ND[self.done : self.done + count] = self.encoder.encode(batch)
        self.done, self.parts = self.done + count, []
        return count

    def end(self, chunk: pa.RecordBatch, cut: int = 0) -> None:
        """Keep the features of a chunk, `cut` rows of which are texts that were cut."""
        self.finished.add(chunk["id"].to_pylist(), self.feature_ND, cut)

    def told(self, total: int) -> features.FeatureInfo:
        """What the file says of itself; the log says if any of the `total` texts were cut."""
        if cut := self.finished.cut:
            told = "%s: %s of %s texts are longer than the %s tokens that it reads, and were cut"
            log.warning(told, self.name, f"{cut:,}", f"{total:,}", f"{self.info.limit:,}")
        return replace(self.info, cut=self.finished.cut)


def _encode_pictures(
    work: Sequence[_Work], rows: _Rows, params: ExtractParams, device: torch.device, bar: tqdm
) -> None:
    """Encode the pictures that each encoder lacks.

    One loader runs through all chunks: workers open the pictures of the next while the encoders end this one.
    """
    first = min(each.finished.chunks for each in work)
    transforms, own = opening.distinct([each.encoder.transform for each in work])
    size = opening.piece_size(transforms)
    batches = [each.batch for each in work]

    def pieces() -> Iterator[list[dict[str, Any]]]:
        for chunk in rows.chunks(first, "id", "image"):
            for start, stop in cuts(len(chunk), batches, size):
                yield chunk.slice(start, stop - start).to_pylist()

    left = rows.total - min(each.finished.rows for each in work)
    workers = worker_count(params, left, on_cpu=device.type == "cpu")
    with closing(opening.opened(transforms, pieces(), workers, device)) as opened:
        for number, chunk in enumerate(rows.chunks(first, "id"), first):
            lacking = [each for each in zip(work, own, strict=True) if each[0].finished.chunks == number]
            for each, _ in lacking:
                each.begin(len(chunk))
            for _ in cuts(len(chunk), batches, size):
                piece = [part.to(device, non_blocking=True) for part in next(opened)]
                for each, transform in lacking:
                    bar.update(each.take(piece[transform]))
            for each, _ in lacking:
                each.end(chunk)


def cuts(length: int, batches: Sequence[int], size: int) -> Iterator[tuple[int, int]]:
    """Cut a chunk of `length` rows where any encoder's batch begins, and between into pieces of at most `size`."""
    starts = sorted({start for batch in batches for start in range(0, length, batch)})
    for begin, end in pairwise([*starts, length]):
        for start in range(begin, end, size):
            yield start, min(start + size, end)


def _encode_texts(
    work: Sequence[_Work], rows: _Rows, params: ExtractParams, device: torch.device, bar: tqdm
) -> None:
    """Encode the texts that each encoder lacks, in batches of like length, so that padding costs little."""
    del params, device
    for each in work:
        for chunk in rows.chunks(each.finished.chunks, "id", "text"):
            each.begin(len(chunk))
            texts = chunk["text"].to_pylist()
            order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
            for start in range(0, len(order), each.batch):
                chosen_B = order[start : start + each.batch]
                each.feature_ND[chosen_B] = each.encoder.encode([texts[row] for row in chosen_B])
                bar.update(len(chosen_B))
            each.end(chunk, _cut(each.encoder, texts))


def _cut(encoder: Any, texts: list[str]) -> int:
    """How many texts are longer than what an encoder reads; none of one that does not say."""
    return encoder.cut(texts) if hasattr(encoder, "cut") else 0


def _title(folder: Path, work: Sequence[_Work]) -> str:
    if len(work) == 1:
        return work[0].name
    return f"{folder.name}, {len(work)} encoders"


def worker_count(params: ExtractParams, pictures_left: int, on_cpu: bool = False) -> int:
    """Return how many processes open `pictures_left` pictures; 0 is none but this one.

    Where the encoders compute on the CPU, too, auto leaves them a core, unless there is no other.
    """
    if params.workers != "auto":
        return params.workers
    if pictures_left < FEW:
        return 0
    return max(1, pictures.cores() - on_cpu)


def batch_size(params: ExtractParams, encoder: Encoder, side: Side, device: torch.device) -> int:
    """Return how many rows to encode at once; on a GPU, auto tries how many fit."""
    if params.batch != "auto":
        return params.batch
    if device.type != "cuda":
        return CPU_BATCH
    if side == "text":
        return _largest_batch(encoder, lambda size: ["word " * 512] * size, device)
    image_CHW = opening.example(encoder.transform)
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

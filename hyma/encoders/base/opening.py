"""Pictures of a prepared data set, opened once and transformed for every encoder that wants them, in worker processes.

Letters: B pictures of a piece; C, H, W a transformed picture's channels, height, width.
"""

import signal
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hyma.common import pictures
from hyma.common.errors import HymaError

PIECE_BYTES = 8 * 2**20
"""Of the transformed pictures that a worker hands over at once: so shared memory holds little, at any resolution."""
AHEAD = 2
"""Pieces that each worker may have ready or in work; then it waits."""
WORD = 2.0
"""Seconds to wait for the system's word that a process died."""
PROBES = ((40, 56), (700, 500))
"""Sizes of the pictures that tell transforms apart: one smaller than what models take, one larger."""

Transform = Callable[[Any], Tensor]
"""A picture → [C, H, W]."""


def distinct(transforms: Sequence[Transform]) -> tuple[list[Transform], list[int]]:
    """Return the transforms that differ, and for each one given the number of the one that does the same.

    Those do the same that make the same of noise, to the bit, of a small picture and of a large one.
    """
    if len(transforms) == 1:
        return list(transforms), [0]
    found: list[Transform] = []
    seen: list[tuple[Tensor, ...]] = []
    numbers = []
    for transform in transforms:
        made = tuple(transform(_noise(size)) for size in PROBES)
        alike = [number for number, other in enumerate(seen) if all(map(torch.equal, made, other))]
        if not alike:
            found.append(transform)
            seen.append(made)
        numbers.append(alike[0] if alike else len(found) - 1)
    return found, numbers


def _noise(size: tuple[int, int]) -> Image.Image:
    width, height = size
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values)


def example(transform: Transform) -> Tensor:
    """A transformed picture [C, H, W]."""
    return transform(Image.new("RGB", (64, 64)))


def piece_size(transforms: Sequence[Transform]) -> int:
    """Return how many pictures a worker opens at once."""
    return max(1, PIECE_BYTES // sum(example(transform).nbytes for transform in transforms))


def opened(
    transforms: Sequence[Transform], pieces: Iterable[list[Any]], workers: int, device: torch.device
) -> Generator[list[Tensor]]:
    """Open pieces of rows in order; yield of each what every transform makes of it, [B, C, H, W].

    Each worker is `AHEAD` in advance; without workers this process opens a piece when it is needed. Whoever takes
    them closes the generator, so that workers end then and not whenever Python looks for what nobody needs.

    Raises:
        HymaError: if a picture cannot be opened any more, naming it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # as many as the user asks for
        loader = DataLoader(
            _Pictures(transforms),
            sampler=pieces,
            batch_size=None,
            num_workers=workers,
            prefetch_factor=AHEAD if workers else None,
            worker_init_fn=_left_alone,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # its own, so that torch's global one is left alone
        )
        found = iter(loader)
    try:
        for piece in found:
            yield _readable(piece)
    finally:
        del found


def _left_alone(_: int) -> None:
    """Have a worker pass over Ctrl-C: the process that started it says so, and ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True)
class _Broken:
    """A picture that a worker could not open, and why: returned, since exceptions of workers lose their form."""

    file: str
    reason: str


class _Pictures(Dataset):
    """``[rows]`` opens their pictures: a tensor [B, C, H, W] a transform, or `_Broken` at the first failure."""

    def __init__(self, transforms: Sequence[Transform]):
        self.transforms = transforms

    def __getitem__(self, rows: list[dict[str, Any]]) -> list[Tensor] | _Broken:
        made: list[list[Tensor]] = [[] for _ in self.transforms]
        for row in rows:
            file = row["image"]["path"] or row["id"]
            try:
                picture = pictures.decode(pictures.content(row["image"]))
                for of_transform, transform in zip(made, self.transforms, strict=True):
                    of_transform.append(transform(picture))
            except pictures.UnreadableError as error:
                return _Broken(file, str(error))
            except Exception as error:
                return _Broken(file, f"the encoder's transform fails ({type(error).__name__}: {error})")
        return [torch.stack(of_transform) for of_transform in made]


def _readable(piece: list[Tensor] | _Broken) -> list[Tensor]:
    if isinstance(piece, _Broken):
        raise HymaError(
            f"{piece.file}: {piece.reason}, though it was readable when the data set was prepared; "
            "put the file back, or prepare the data set anew"
        )
    return piece


@contextmanager
def told_of_dead_workers() -> Iterator[None]:
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

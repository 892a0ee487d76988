"""What a model is given: pictures of any kind, labels, and either of them in batches."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from hyma.common.errors import HymaError
from hyma.common.pictures import UnreadableError, upright
from hyma.model import files

Picture = Image.Image | str | Path


def opened(picture: Picture) -> Image.Image:
    """Return a picture, RGB and upright; a path is read.

    Raises:
        HymaError: if it cannot be read.
    """
    try:
        return upright(picture) if isinstance(picture, Image.Image) else files.opened(Path(picture))
    except UnreadableError as error:
        name = "a picture" if isinstance(picture, Image.Image) else picture
        raise HymaError(f"{name}: {error}; leave it out or replace it") from None


def several(labels: Sequence[str]) -> list[str]:
    """Return the labels to choose from.

    Raises:
        HymaError: if there are fewer than two.
    """
    found = [labels] if isinstance(labels, str) else [str(label) for label in labels]
    if len(found) < 2:
        raise HymaError(f"labels: {len(found)} given; give at least two to choose from")
    return found


def batches(items: Any, size: int) -> Iterator[Any]:
    """Yield the rows of a tensor, or the items of anything else, `size` at a time."""
    if isinstance(items, Tensor):
        yield from items.split(size)
        return
    waiting = iter(items)
    while batch := list(islice(waiting, size)):
        yield batch

"""What a model is given: pictures of any kind, texts, labels, features; what is none of these is refused in a line."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hyma.common.errors import HymaError
from hyma.common.pictures import UnreadableError, upright
from hyma.model import files
from hyma.readers.base.listing import is_text

T = TypeVar("T")
Picture = Image.Image | str | Path | np.ndarray
"""An array is [H, W, 3], uint8."""
PICTURES = "PIL pictures, paths, or arrays [H, W, 3] of uint8"
NO_LISTS = (bytes, bytearray, Mapping)
"""What can be gone through, but item by item is not what somebody meant."""
LONGEST = 40
"""Letters of a value that are shown."""


def described(value: Any) -> str:
    """Say what somebody gave: None, a number, the shape of an array."""
    if isinstance(value, Tensor | np.ndarray):
        kind = "a tensor" if isinstance(value, Tensor) else "an array"
        return f"{kind} {list(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    if value is None:
        return "None"
    if isinstance(value, bool | int | float | str):
        shown = repr(value)
        return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
    return f"of type {type(value).__name__}"


def pictures(images: Any, shape: tuple[int, ...] | None) -> Iterable[Picture] | Tensor:
    """Return what can be gone through picture by picture, or a tensor [N, 3, H, W] of transformed ones.

    Args:
        images: a picture, several, an array [N, H, W, 3], or a tensor.
        shape: [3, H, W] of what the model's transform makes; None: any.

    Raises:
        HymaError: if it is none of these. Of an iterable, the pictures are looked at when their turn comes.
    """
    if isinstance(images, Tensor):
        return _transformed(images, shape)
    if isinstance(images, Image.Image | str | Path) or (isinstance(images, np.ndarray) and images.ndim == 3):
        return [images]
    if isinstance(images, (*NO_LISTS, io.IOBase)) or not isinstance(images, Iterable):
        raise HymaError(f"images: {described(images)} given; give {PICTURES}")
    if isinstance(images, np.ndarray) and images.ndim != 4:
        raise HymaError(f"images: {described(images)} given; give {PICTURES}")
    return images


def _transformed(image_N3HW: Tensor, shape: tuple[int, ...] | None) -> Tensor:
    wanted = f"[N, {', '.join(map(str, shape))}]" if shape else "[N, 3, H, W]"
    fits = image_N3HW.ndim == 4 and shape in (None, tuple(image_N3HW.shape[1:]))
    if not fits or not image_N3HW.is_floating_point():
        raise HymaError(
            f"images: {described(image_N3HW)} given; give a tensor {wanted} of what `preprocess` made, or {PICTURES}"
        )
    if not len(image_N3HW):
        raise HymaError("images: none given; give at least one picture")
    if not image_N3HW.isfinite().all():
        raise HymaError("images: a tensor with NaN or infinite values given; give what `preprocess` made")
    return image_N3HW


def opened(picture: Any) -> Image.Image:
    """Return a picture, RGB and upright; a path is read.

    Raises:
        HymaError: if it cannot be read, or is no picture.
    """
    if isinstance(picture, np.ndarray):
        picture = _of_array(picture)
    if not isinstance(picture, Image.Image | str | Path) or picture == "":
        raise HymaError(f"images: one is {described(picture)}; give {PICTURES}")
    try:
        return upright(picture) if isinstance(picture, Image.Image) else files.opened(Path(picture))
    except (UnreadableError, ValueError) as error:  # a path with a null character in it is a ValueError
        name = "a picture" if isinstance(picture, Image.Image) else picture
        raise HymaError(f"{name}: {error}; leave it out or replace it") from None


def _of_array(pixel_HW3: np.ndarray) -> Image.Image:
    if pixel_HW3.ndim != 3 or pixel_HW3.shape[2] != 3 or pixel_HW3.dtype != np.uint8 or not pixel_HW3.size:
        raise HymaError(f"images: one is {described(pixel_HW3)}; give {PICTURES}")
    return Image.fromarray(pixel_HW3)


def strings(texts: Any, what: str, empty: bool = True) -> list[str]:
    """Return one text or several as a list.

    Args:
        texts: what was given.
        what: what to call it in errors.
        empty: whether a text may be empty.

    Raises:
        HymaError: if it is anything else.
    """
    if isinstance(texts, NO_LISTS) or not isinstance(texts, Iterable):
        raise HymaError(f"{what}: {described(texts)} given; give a list of texts")
    found = [texts] if isinstance(texts, str) else list(texts)
    for number, text in enumerate(found, start=1):
        if not isinstance(text, str):
            raise HymaError(f"{what}: number {number} is {described(text)}; give texts")
        if not is_text(text):
            raise HymaError(f"{what}: number {number} is no valid Unicode ({text!a}); correct it")
        if not empty and not text.strip():
            raise HymaError(f"{what}: number {number} is empty; leave it out, or say what it should be")
    return found


def several(labels: Sequence[str]) -> list[str]:
    """Return the labels to choose from.

    Raises:
        HymaError: if there are fewer than two, or one is empty or no text.
    """
    found = strings(labels, "labels", empty=False)
    if len(found) < 2:
        raise HymaError(f"labels: {len(found)} given; give at least two to choose from")
    return found


def sentences(templates: Sequence[str]) -> list[str]:
    """Return the templates that labels are put into.

    Raises:
        HymaError: if there is none, or one has no place for a label.
    """
    found = strings(templates, "templates")
    if not found or not all("{}" in template for template in found):
        raise HymaError("templates: each needs {} where the label goes, as in 'a photo of a {}'")
    return found


def asked(query: Any) -> str:
    """Return what to look for.

    Raises:
        HymaError: if it is empty or no text.
    """
    if not isinstance(query, str):
        raise HymaError(f"query: {described(query)} given; give a text")
    return strings(query, "query", empty=False)[0]


def features(given: Any, width: int, what: str) -> Tensor:
    """Return features as a tensor [N, `width`] of floating-point numbers.

    Raises:
        HymaError: if they are of another shape or kind, or hold NaN or infinite values.
    """
    feature_ND = (
        torch.from_numpy(given) if isinstance(given, np.ndarray) and given.dtype.kind == "f" else given
    )
    fits = isinstance(feature_ND, Tensor) and feature_ND.ndim == 2 and feature_ND.shape[1] == width
    if not fits or not len(feature_ND) or not feature_ND.is_floating_point():
        raise HymaError(
            f"{what}: {described(given)} given; give a tensor [N, {width}] of floating-point numbers"
        )
    bad_N = ~feature_ND.isfinite().all(1)
    if bad_N.any():
        raise HymaError(
            f"{what}: NaN or infinite values in {int(bad_N.sum())} of {len(bad_N)} rows, first in row "
            f"{int(bad_N.nonzero()[0])}; leave these out, or see what made them"
        )
    return feature_ND


def count(given: Any, what: str) -> int:
    """Return a whole number from 1 on.

    Raises:
        HymaError: if it is anything else.
    """
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
        raise HymaError(f"{what}: {described(given)} given; give a whole number from 1 on")
    return int(given)


def batches(items: Any, size: int) -> Iterator[Any]:
    """Yield the rows of a tensor, or the items of anything else, `size` at a time."""
    if isinstance(items, Tensor):
        yield from items.split(size)
        return
    waiting = iter(items)
    while batch := list(islice(waiting, size)):
        yield batch

"""Pictures: from the prepared form's bytes, file or stretch of a file to upright RGB pixels.

Letters: H, W a picture's height and width.
"""

import hashlib
import io
import os
import re
import stat
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

LIMIT = 100_000_000
"""Pixels of the largest picture that is decoded; each takes three bytes, and a compressed file may claim any number."""
THINNEST = 100
"""How many times as long as wide a picture may be: scaled by its short side, as encoders do, it would be enormous."""
LARGEST_FILE = 500_000_000
"""Bytes of a picture's file that are read."""

_STRETCH = re.compile(r"(?P<file>.+)#(?P<offset>\d+)\+(?P<size>\d+)")


class UnreadableError(ValueError):
    """A picture that cannot be shown; the message is the reason, short, without the picture's name."""


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def content(image: Mapping[str, Any]) -> bytes:
    """Return a picture's file as bytes.

    Args:
        image: the prepared form's ``{bytes, path}``. The path names a file, or a stretch of one,
            ``path#offset+size`` in bytes: so the members of a tar file are read where they are.

    Raises:
        UnreadableError: if there is no such file or stretch.
    """
    if image.get("bytes") is not None:
        return image["bytes"]
    if not image.get("path"):
        raise UnreadableError("cannot be opened (its name is no UTF-8; rename the file)")
    stretch = _STRETCH.fullmatch(image["path"])
    try:
        if stretch is None:
            return _whole(Path(image["path"]))
        return _read(Path(stretch["file"]), int(stretch["offset"]), int(stretch["size"]))
    except UnreadableError:
        raise
    except OSError as error:
        raise UnreadableError(f"cannot be opened ({error.strerror or error})") from None
    except ValueError:
        raise UnreadableError("cannot be opened (no name of a file)") from None


def _whole(file: Path) -> bytes:
    size = _size(file)
    if size > LARGEST_FILE:
        raise UnreadableError(f"cannot be opened ({size:,} bytes, more than {LARGEST_FILE:,})")
    return file.read_bytes()


def _size(file: Path) -> int:
    """Bytes of a file; a pipe or a device, which may never end, is none."""
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableError(
            f"cannot be opened ({'Is a directory' if stat.S_ISDIR(found.st_mode) else 'no file'})"
        )
    return found.st_size


def _read(file: Path, offset: int, size: int) -> bytes:
    if size > LARGEST_FILE:
        raise UnreadableError(f"cannot be opened ({size:,} bytes, more than {LARGEST_FILE:,})")
    length = _size(file)
    if offset + size > length:
        raise UnreadableError(f"cannot be opened ({file} ends at byte {length}, before the picture does)")
    with file.open("rb") as stream:
        stream.seek(offset)
        return stream.read(size)


def decode(data: bytes, side: int = 0) -> Image.Image:
    """Return the picture in an image file, RGB and upright: of an animation, the first.

    What is transparent lies on white; 16-bit greys are scaled to 8 bits.

    Args:
        data: the file's content.
        side: if given, the picture may be smaller than it is, its sides no shorter than this: JPEG files are then
            decoded in a fraction of the memory.

    Raises:
        UnreadableError: if `data` is no image or a truncated one, or has more than `LIMIT` pixels or is thinner than
            1:`THINNEST`: then nothing is decoded.
    """
    if not data:
        raise UnreadableError("unreadable image (no bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on files that it reads nevertheless
            with Image.open(io.BytesIO(data)) as image:
                _refuse_enormous(image)
                if side:
                    image.draft(None, (side, side))
                image.load()
                with suppress(Exception):  # damaged EXIF data: the pixels are as good as ever
                    ImageOps.exif_transpose(image, in_place=True)
                return _rgb(image)
    except UnreadableError:
        raise
    except (
        UnidentifiedImageError
    ):  # its own message holds an address in memory, which differs from run to run
        raise UnreadableError("unreadable image (no known kind of image file)") from None
    except Exception as error:  # damaged files make Pillow's parsers fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableError(f"unreadable image ({reason})") from None


def _refuse_enormous(image: Image.Image) -> None:
    size = f"{image.width}×{image.height} pixels"
    if image.width * image.height > LIMIT:
        raise UnreadableError(f"unreadable image ({size}, more than {LIMIT:,} in all)")
    if max(image.size) > THINNEST * min(image.size):
        raise UnreadableError(f"unreadable image ({size}, thinner than 1:{THINNEST})")


def digest(image: Image.Image) -> str:
    """Return a hex digest of a picture's pixels: equal for pictures that look the same to the last bit.

    Args:
        image: as `decode` gives it.
    """
    size = f"{image.width}×{image.height}".encode()
    return hashlib.blake2b(size + image.tobytes(), digest_size=16).hexdigest()


def upright(image: Image.Image) -> Image.Image:
    """Return a picture as RGB, turned as its EXIF data say, on white where it is transparent.

    Raises:
        UnreadableError: if it is enormous, as for `decode`, or its values are floating-point numbers.
    """
    _refuse_enormous(image)
    with suppress(Exception):
        image = ImageOps.exif_transpose(image)
    return _rgb(image)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if image.mode == "F":
        raise UnreadableError("unreadable image (floating-point values: which of them is white is not said)")
    if not image.has_transparency_data:
        return image.convert("RGB")
    shown = image.convert("RGBA")
    white = Image.new("RGBA", shown.size, "white")
    return Image.alpha_composite(white, shown).convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit greys, or 32-bit ones if the values need them; Pillow would cut them off at 255."""
    value_HW = np.asarray(image).astype(np.uint32)
    white = 2**16 - 1 if value_HW.max() < 2**16 else 2**32 - 1
    return Image.fromarray(np.rint(value_HW * (255 / white)).astype(np.uint8))

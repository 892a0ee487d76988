"""Captioned pictures on their way from a package into a folder of format ``captions``."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from hyma.common import pictures

SIDE = 512
"""Pixels of the shorter side beyond which a picture is made smaller: more than any encoder here looks at."""


@dataclass(frozen=True)
class Picture:
    """A picture, and what is said of it."""

    name: str
    """Its path within a folder."""
    caption: str
    content: bytes
    """Of an image file."""


class Seen:
    """The pictures so far, by their pixels."""

    def __init__(self) -> None:
        self._digests: set[str] = set()

    def taken(self, name: str, caption: str, content: bytes) -> Picture | None:
        """Return a picture unless it cannot be opened or was there already; one that is very large, made smaller."""
        try:
            image = pictures.decode(content)
        except pictures.UnreadableError:
            return None
        digest = pictures.digest(image)
        if digest in self._digests:
            return None
        self._digests.add(digest)
        return Picture(name, caption, _small(image) if min(image.size) > SIDE else content)


def _small(image: Image.Image) -> bytes:
    scale = SIDE / min(image.size)
    width, height = (round(side * scale) for side in image.size)
    stream = io.BytesIO()
    image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0).save(stream, "png")
    return stream.getvalue()


def write(folder: Path, found: Iterable[Picture]) -> None:
    """Write captions.csv and pictures/."""
    folder.mkdir(parents=True)
    with (folder / "captions.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(("image", "caption"))
        for picture in found:
            file = folder / "pictures" / picture.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(picture.content)
            table.writerow((file.relative_to(folder).as_posix(), picture.caption))

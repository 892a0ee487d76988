"""Pages of one file: templates of hyma/report/templates filled in, pictures as data URIs, nothing from a network."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from PIL import Image

from hyma.common.pictures import UnreadableError, content, decode
from hyma.report.markdown import environment

SIDE = 128
"""Dots of a thumbnail's longer side, at most."""
_MARKS = (
    (re.compile(r"\*\*(.+?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"\*(.+?)\*"), r"<em>\1</em>"),
    (re.compile(r"`(.+?)`"), r"<code>\1</code>"),
)


@dataclass(frozen=True)
class Column:
    """A column of a table that its head sorts."""

    name: str
    number: bool = True


@dataclass(frozen=True)
class Cell:
    """What stands in a table: the text, and a number's value to sort by, None where there is none."""

    text: str
    value: float | None = None
    heat: float | None = None
    """0 to 1: how strongly the cell is coloured."""


@dataclass(frozen=True)
class Picture:
    """A picture to embed."""

    uri: str
    width: int
    height: int
    alt: str


def render(template: str, **context: Any) -> str:
    """Fill in a template; every text in `context` is escaped."""
    pages = environment(autoescape=True)
    pages.filters |= {"paragraphs": paragraphs, "marked": marked}
    return pages.get_template(template).render(context)


def marked(text: str) -> Markup:
    """A line of the reports' markdown as HTML: bold, italics and code; all else is escaped."""
    line = str(escape(text))
    for pattern, tags in _MARKS:
        line = pattern.sub(tags, line)
    return Markup(line)


def paragraphs(text: str) -> Markup:
    """The reports' markdown as HTML: paragraphs, and lists whose items are a line each."""
    found = []
    for block in text.split("\n\n"):
        lines = block.split("\n")
        if all(line.startswith("- ") for line in lines):
            items = Markup("").join(Markup("<li>{}</li>").format(marked(line[2:])) for line in lines)
            found.append(Markup("<ul>{}</ul>").format(items))
        else:
            found.append(Markup("<p>{}</p>").format(marked(" ".join(lines))))
    return Markup("\n").join(found)


def figure(file: Path, alt: str) -> Picture:
    """A drawn picture in all its dots."""
    with Image.open(file) as image:
        return _embedded(image.convert("RGB"), alt, lossless=True)


def thumbnail(image: Mapping[str, Any], alt: str) -> Picture | None:
    """A small copy of one of the prepared form's images; None if it cannot be opened any more."""
    try:
        picture = decode(content(image), SIDE)
    except UnreadableError:
        return None
    picture.thumbnail((SIDE, SIDE))
    return _embedded(picture, alt, quality=80)


def _embedded(image: Image.Image, alt: str, **options: Any) -> Picture:
    stream = io.BytesIO()
    image.save(stream, "WEBP", method=6, **options)
    uri = f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
    return Picture(uri, image.width, image.height, alt)


def heated(values: Sequence[float | None]) -> list[float | None]:
    """Numbers stretched to 0 … 1, to colour a column by."""
    known = [value for value in values if value is not None]
    low, spread = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    return [None if value is None else (value - low) / spread if spread else 0.0 for value in values]

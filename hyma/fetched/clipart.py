"""The Open Clip Art Library as Debian has it: pictures of openclipart-png, what openclipart-svg says of them.

Writes train/ and held_out/, format ``captions``, and lsa/, a text encoder fitted on the captions of train/ alone.
Neither a picture nor a caption nor a title is in both.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import unescape
from io import BytesIO
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from tqdm import tqdm

from hyma.common.errors import HymaError
from hyma.common.files import sha256
from hyma.fetched import lsa, packages
from hyma.fetched.pictures import Picture, Seen, write

HELD_OUT = 700
TITLES = 3
"""How many pictures may have a title; one that more have is the name of their collection."""
COLLECTION = 150
"""Pictures of a collection beyond which it is left out: decks of cards, sets of icons, stars by the hundred."""
CAPTIONS = 10
"""How many pictures may have a caption; one that more have tells them from nothing."""
DIMENSIONS = 128
"""Of the text encoder that is fitted."""
SVG, PNG = "usr/share/openclipart/svg/", "usr/share/openclipart/png/"
WORKS = ("{http://web.resource.org/cc/}Work", "{http://creativecommons.org/ns#}Work")
DC = "{http://purl.org/dc/elements/1.1/}"
LI = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
CREDIT = re.compile(r"^clip ?art by .* - ", re.IGNORECASE)
"""What some titles begin with."""
WORD, SLIP = re.compile("[a-z]{3}"), re.compile(r"hash\(|0x", re.IGNORECASE)
"""What a title must hold; what a slip of the library's own program left among keywords."""
IDLE = {"hash", "icon", "icons", "unsorted", "special", "duplicates", "clip art", "clipart", "theme"}
"""Keywords that say nothing of a picture."""


@dataclass(frozen=True)
class Work:
    """What a drawing says of itself."""

    name: str
    """Its path in the package, without suffix."""
    title: str
    keywords: tuple[str, ...]


def fetch(into: Path) -> None:
    """Write the folders into `into`.

    Raises:
        HymaError: if the packages cannot be had, or hold something else than they did.
    """
    works = []
    for path, content in packages.debian("openclipart-svg", lambda path: path.startswith(SVG)):
        name = path.removeprefix(SVG).removesuffix(".svg")
        if (work := parse(name, content)) is not None:
            works.append(work)
    said = captions(works)
    if len(said) < 2 * HELD_OUT:
        raise HymaError(
            f"openclipart-svg: {len(said)} drawings with a title of their own, should be thousands; "
            f"take the package's version of Debian 12 into {packages.DOWNLOADS} and run it again"
        )
    train, held_out = split(_pictures(said), {name: title for name, (title, _) in said.items()}, HELD_OUT)
    write(into / "train", train)
    write(into / "held_out", held_out)
    lsa.write(into / "lsa", [picture.caption for picture in train], DIMENSIONS)


def parse(name: str, svg: bytes) -> Work | None:
    """What an SVG file's first description of a work says; None if it has none, or is no XML."""
    try:
        for _, node in ElementTree.iterparse(BytesIO(svg)):
            if node.tag in WORKS:
                keywords = tuple((each.text or "").strip() for each in node.iterfind(f"{DC}subject//{LI}"))
                return Work(name, (node.findtext(f"{DC}title") or "").strip(), keywords)
    except ElementTree.ParseError:
        pass
    return None


def captions(works: Sequence[Work]) -> dict[str, tuple[str, str]]:
    """Title and caption of the pictures that have something of their own to say, by name.

    A caption is the title, or for one of a collection the name that its file has, and the keywords.
    """
    known = Counter(work.title for work in works)
    found = {}
    for work in works:
        if work.title and known[work.title] > COLLECTION:
            continue
        title = _words(CREDIT.sub("", work.title)) if known[work.title] <= TITLES else ""
        if not WORD.search(title):
            title = _words(PurePosixPath(work.name).name)
        if WORD.search(title):
            keywords = [_words(word) for word in work.keywords if not SLIP.search(word)]
            more = [word for word in dict.fromkeys(keywords) if len(word) > 1 and word not in {*IDLE, title}]
            found[work.name] = title, ", ".join([title, *more])
    given = Counter(caption for _, caption in found.values())
    return {name: own for name, own in sorted(found.items()) if given[own[1]] <= CAPTIONS}


def _words(text: str) -> str:
    """The words of a text in small letters, without numbers, which only count the versions of a drawing."""
    return " ".join(re.sub(r"[\W_\d]", " ", unescape(text)).lower().split())


def _pictures(said: dict[str, tuple[str, str]]) -> list[Picture]:
    """The pictures by name; what has the pixels of one before it is left out."""
    content = {}
    stream = packages.debian("openclipart-png", lambda path: _name(path) in said)
    for path, data in tqdm(stream, total=len(said), desc="clip art", unit="picture", disable=None):
        content[_name(path)] = data
    seen = Seen()
    found = (seen.taken(f"{name}.png", said[name][1], content[name]) for name in sorted(content))
    return [picture for picture in found if picture is not None]


def _name(path: str) -> str:
    return path.removeprefix(PNG).removesuffix(".png")


def split(
    found: Iterable[Picture], titles: dict[str, str], count: int
) -> tuple[list[Picture], list[Picture]]:
    """Pictures to train on and `count` held out, whose titles are nobody else's: drawn by a digest of their names.

    Args:
        found: the pictures, ``<name>.png``.
        titles: by name.
        count: how many are held out.
    """
    every = list(found)
    title = {picture: titles[picture.name.removesuffix(".png")] for picture in every}
    given = Counter(title.values())
    alone = [picture for picture in every if given[title[picture]] == 1]
    held_out = set(sorted(alone, key=lambda picture: sha256(picture.name))[:count])
    return [one for one in every if one not in held_out], [one for one in every if one in held_out]

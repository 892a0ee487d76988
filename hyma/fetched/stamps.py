"""The stamps of Tux Paint as Debian's tuxpaint-stamps-default has them: photographs and drawings with a sentence each.

Writes captions/, format ``captions``, and classes/, format ``folders``: the same pictures by the package's folders.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from hyma.common.errors import HymaError
from hyma.fetched import packages
from hyma.fetched.pictures import Picture, Seen, write

STAMPS = "usr/share/tuxpaint/stamps/"
LEAST = 5
"""Pictures of a class."""


def fetch(into: Path) -> None:
    """Write the folders into `into`.

    Raises:
        HymaError: if the package cannot be had, or holds something else than it did.
    """
    package = "tuxpaint-stamps-default"
    files = dict(
        packages.debian(package, lambda path: path.startswith(STAMPS) and path.endswith((".png", ".txt")))
    )
    found = stamps({path.removeprefix(STAMPS): content for path, content in files.items()})
    if not found:
        raise HymaError(
            f"{package}: no picture with a sentence in {STAMPS}; take Debian 12's version into "
            f"{packages.DOWNLOADS} and run it again"
        )
    write(into / "captions", found)
    for name, own in classes(found).items():
        (into / "classes" / name).mkdir(parents=True)
        for picture in own:
            flat = "-".join(PurePosixPath(picture.name).parts[1:])
            (into / "classes" / name / flat).write_bytes(picture.content)


def sentence(text: bytes) -> str:
    """The English sentence of a stamp: its first line; those in other languages follow, ``de.utf8=…``."""
    first = text.decode("utf-8", "replace").removeprefix("\ufeff").partition("\n")[0].strip()
    return "" if ".utf8=" in first else first


def stamps(files: Mapping[str, bytes]) -> list[Picture]:
    """The pictures with a sentence, the first by path of those that share one, whatever its case, or all pixels.

    Args:
        files: pictures ``<name>.png`` and texts ``<name>.txt``, by path.
    """
    seen, said, found = Seen(), set[str](), []
    for path in sorted(path for path in files if path.endswith(".png")):
        text = sentence(files.get(f"{path.removesuffix('.png')}.txt", b""))
        if text and text.casefold() not in said:
            picture = seen.taken(path, text, files[path])
            if picture is not None:
                said.add(text.casefold())
                found.append(picture)
    return found


def classes(found: list[Picture]) -> dict[str, list[Picture]]:
    """The pictures by their outermost folders, of which those with fewer than `LEAST` are left out."""
    by_name: dict[str, list[Picture]] = {}
    for picture in found:
        by_name.setdefault(PurePosixPath(picture.name).parts[0], []).append(picture)
    return {name: own for name, own in by_name.items() if len(own) >= LEAST}

"""What is in the way when a folder holds pictures or captions, but no data set that a reader knows."""

from collections.abc import Iterable
from pathlib import Path

from hyma.readers.base.listing import is_hidden, is_picture
from hyma.readers.base.tables import TABLES
from hyma.readers.recognise import columns, sources, subfolders

FORMS = (
    "a table captions.csv, .jsonl or .parquet with columns image and caption, or shards *.tar "
    "(docs/own.md shows each)"
)
"""What captions may look like."""


def why_not(places: Iterable[Path]) -> str:
    """What to do so that captions are found in one of the folders, as the end of a sentence."""
    for place in places:
        if not place.is_dir() or sources(place):  # a benchmark, whose classes need no captions
            continue
        for folder in [place, *subfolders(place)]:
            said = _why_not(folder)
            if said:
                return said
    return f"give a folder with {FORMS}"


def _why_not(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.is_file() and not is_hidden(path))
    for file in files:
        if file.suffix.lower() in TABLES:
            found = ", ".join(columns(file)) or "none that can be read"
            return f"{file} has columns {found}; name those of pictures and captions image and caption"
    for file in files:
        if file.name.lower().endswith((".tar.gz", ".tgz", ".tar.xz", ".tar.zst", ".zip")):
            return f"{file} is packed; unpack it (shards have to be *.tar, not compressed)"
    texts = {path.stem for path in files if path.suffix.lower() == ".txt"}
    if texts & {path.stem for path in files if is_picture(path)}:
        line = f"tar -cf {folder}/00000.tar -C {folder} --exclude 00000.tar ."
        return f"{folder} has a text beside each picture; `{line}` makes a shard of them"
    if any(is_picture(path) for path in files):
        return f"{folder} has pictures and no captions; put a table captions.csv beside them: image,caption"
    return ""

"""Shards read whole or refused: the members of a tar file, with the places of their bytes in it.

Python's own reader ends, without a word, at what it takes for the end: at the first of two archives that were joined,
at a damaged header, at the end of a file that was cut between two members.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hyma.common.errors import HymaError, reason

BLOCK, RECORD = tarfile.BLOCKSIZE, tarfile.RECORDSIZE


@dataclass(frozen=True)
class Member:
    """A file in a shard."""

    name: str
    offset: int
    """Of its first byte in the shard."""
    size: int


@dataclass(frozen=True)
class Other:
    """What is no file, and why it cannot be read as one."""

    name: str
    reason: str


def members(shard: Path) -> Iterator[Member | Other]:
    """Yield the files of a shard in its order; links to files of the shard are these files. Folders are passed over.

    Raises:
        HymaError: if it is no tar file, compressed, damaged or cut short.
    """
    try:
        with shard.open("rb") as stream:
            start: int | None = 0
            while start is not None:
                stream.seek(start)
                with tarfile.open(fileobj=stream, mode="r:") as archive:
                    yield from _members(archive)
                    end = archive.offset
                start = _after(stream, end, shard)
    except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
        raise HymaError(
            f"{shard}: not a whole, uncompressed tar file ({reason(error)}); copy it again"
        ) from None


def _members(archive: tarfile.TarFile) -> Iterator[Member | Other]:
    files: dict[str, Member] = {}
    for member in archive:
        name = member.name.removeprefix("./")
        if member.isdir():
            continue
        target = files.get(member.linkname.removeprefix("./")) if member.islnk() or member.issym() else None
        if member.issparse():
            yield Other(name, "a file with holes, which cannot be read in place")
        elif member.isreg():
            files[name] = Member(name, member.offset_data, member.size)
            yield files[name]
        elif target is not None:
            yield Member(name, target.offset, target.size)
        else:
            yield Other(
                name, f"a link to {member.linkname}" if member.linkname else "neither file nor folder"
            )


def _after(stream: BinaryIO, end: int, shard: Path) -> int | None:
    """Where another archive begins that was joined to the one that ends at `end`; None if there is none.

    Raises:
        HymaError: if what is at the end is not the end of an archive.
    """
    size = stream.seek(0, 2)
    if end >= size:
        raise HymaError(f"{shard}: no end mark: it was cut short, or its writer was; copy or write it again")
    if _block(stream, end).strip(b"\0"):
        raise HymaError(f"{shard}: damaged at byte {end:,}; copy it again")
    more = next((place for place in range(end, size, BLOCK) if _block(stream, place).strip(b"\0")), None)
    # Archives end in two blocks of zeros and fill up their last record. Zeros of another length are damage.
    if more not in (None, -(-(end + 2 * BLOCK) // RECORD) * RECORD):
        raise HymaError(f"{shard}: zeros from byte {end:,} to {more:,}: damaged; copy it again")
    return more


def _block(stream: BinaryIO, place: int) -> bytes:
    stream.seek(place)
    return stream.read(BLOCK)

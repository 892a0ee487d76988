"""Places that are small or read-only; they need root, on Linux."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NoMountError(Exception):
    """Nothing can be mounted here."""


@contextmanager
def small(folder: Path, size: int) -> Iterator[Path]:
    """A file system of `size` bytes at `folder`, which is made."""
    folder.mkdir()
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs"):
        yield folder


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder as it is, but nobody can write there, not even root."""
    with _mounted(folder, "--bind", str(folder)):
        _call("mount", "-o", "remount,ro,bind", str(folder))
        yield


@contextmanager
def left(place: Path, room: int) -> Iterator[None]:
    """Fill a file system up to `room` bytes."""
    ballast = place / "ballast"
    with ballast.open("wb") as stream:
        if (fill := shutil.disk_usage(place).free - room) > 0:
            os.posix_fallocate(stream.fileno(), 0, fill)
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def _mounted(folder: Path, *options: str) -> Iterator[None]:
    _call("mount", *options, str(folder))
    try:
        yield
    finally:
        _call("umount", "-l", str(folder))


def _call(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoMountError from error

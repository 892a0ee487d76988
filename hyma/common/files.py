"""Writing files so that nothing half-written is ever seen, and reading small json."""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hyma.common.errors import HymaError, reason

UNWRITABLE = {
    errno.ENOSPC: "no space left on the disk; make room and run it again",
    errno.EDQUOT: "the disk's quota is used up; make room and run it again",
    errno.EROFS: "the disk is read-only; make it writable and run it again",
}
"""What no code can help, and what to do."""
CUT_SHORT = re.compile(r"\d+ requested and \d+ written")
"""What numpy says of a full disk."""


def unwritable(error: BaseException) -> str | None:
    """Say why nothing can be written, if that is what is wrong; libraries put it in words where they have no number."""
    number = getattr(error, "errno", None) or next(
        (number for number in UNWRITABLE if os.strerror(number) in str(error)), None
    )
    return UNWRITABLE.get(errno.ENOSPC if CUT_SHORT.search(str(error)) else number)  # type: ignore[arg-type]


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, delete it on failure.

    The caller may create a file or a folder there. A folder already at `path` is replaced.

    Raises:
        HymaError: if the disk is full or read-only.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(temporary)
        yield temporary
        if temporary.is_dir() or path.is_dir():
            temporary.lstat()  # a caller that made nothing loses nothing
            remove(path)
        temporary.replace(path)
    except Exception as error:
        if why := unwritable(error):
            raise HymaError(f"{path}: {why}") from None
        raise
    finally:
        with suppress(OSError):  # it could not even be made
            remove(temporary)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable json, atomically. NaN is refused: it is no json."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a json file.

    Raises:
        HymaError: if the file is missing or no json.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise HymaError(f"{path}: file not found") from None
    except OSError as error:
        raise HymaError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (
        ValueError,
        RecursionError,
    ) as error:  # of json, of UTF-8, and of numbers with thousands of digits
        raise HymaError(f"{path}: not valid json ({reason(error)}); write it again") from None


def sha256(*parts: bytes | str) -> str:
    """Return the hex digest over `parts`, each preceded by its length so that parts cannot run together."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def sha256_file(path: Path) -> str:
    """Return the hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

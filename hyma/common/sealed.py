"""Json with a digest of itself: a file that was changed, or brought back changed from DVC's cache, is refused."""

import json
from pathlib import Path
from typing import Any

from hyma.common.earlier import damaged
from hyma.common.errors import HymaError
from hyma.common.files import read_json, sha256, write_json


def write(path: Path, value: dict[str, Any]) -> None:
    """Write `value` as json with a digest of itself."""
    write_json(path, value | {"digest": _digest(value)})


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote.

    Raises:
        HymaError: if the file is missing or damaged.
    """
    try:
        value: dict[str, Any] = read_json(path)
    except HymaError:
        if path.is_file():
            raise damaged(path, "no json") from None
        raise
    noted = value.pop("digest", None)
    if noted is not None and noted != _digest(value):
        raise damaged(path)
    return value


def _digest(value: dict[str, Any]) -> str:
    return sha256(json.dumps(value, sort_keys=True))

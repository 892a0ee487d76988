"""The settings of a run: params.yaml with every default filled in, as the stage ``check`` writes it down.

Stages depend on this file and not on params.yaml, so that a key need not be given there. What is ``auto`` stays so
until the sizes of the search are known, in the stage that needs it.
"""

from pathlib import Path
from typing import Any, TypeVar

import yaml

from hyma.common import params
from hyma.common.files import write_text

T = TypeVar("T")
FILE = Path("metrics/settings.yaml")


def read(key: str, model: type[T], sizes: Any = None) -> T:
    """Return the value under a dotted `key` as `model`; see `hyma.common.params.read`.

    Raises:
        HymaError: if the file or the key is missing.
    """
    return params.read(key, model, FILE, sizes)


def write(found: dict[str, Any]) -> None:
    """Write all settings down."""
    write_text(FILE, yaml.safe_dump(found, sort_keys=False, allow_unicode=True))

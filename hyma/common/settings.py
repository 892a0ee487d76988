"""The settings of a run: params.yaml with every default filled in, as the stage ``check`` writes it down.

Stages depend on this file and not on params.yaml, so that a key need not be given there. What is ``auto`` stays so
until the sizes of the search are known, in the stage that needs it.
"""

import logging
from pathlib import Path
from typing import Any, TypeVar

from hyma.common import params, plain_yaml
from hyma.common.files import write_text
from hyma.common.params import AUTO

T = TypeVar("T")
log = logging.getLogger(__name__)
FILE = Path("metrics/settings.yaml")


def read(key: str, model: type[T], sizes: Any = None) -> T:
    """Return the value under a dotted `key` as `model`; see `hyma.common.params.read`.

    Raises:
        HymaError: if the file or the key is missing.
    """
    found = params.read(key, model, FILE, sizes)
    if sizes is not None and (ruled := by_rule(key, found)):
        log.info("%s, by rule: %s", key, ruled["by rule"])
    return found


def by_rule(key: str, found: Any) -> dict[str, str]:
    """What to note of a section: the values that it was left to its rules to find; nothing if there are none.

    Args:
        key: the section's.
        found: what `read` gave of it.
    """
    given = params.read(key, dict[str, Any] | None, FILE) or {}  # type: ignore[arg-type]
    values = {
        name: getattr(found, name) for name, value in given.items() if value == AUTO and found is not None
    }
    shown = (
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )
    return {"by rule": ", ".join(shown)} if values else {}


def write(found: dict[str, Any]) -> None:
    """Write all settings down."""
    write_text(FILE, plain_yaml.dump(found))

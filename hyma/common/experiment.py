"""The names in an experiment, as the stage ``check`` writes them down: metrics/names/<section>.json.

A stage that needs to know which encoders, data sets or methods there are, and nothing else of them, depends on
such a file and not on the section of params.yaml: it stays as it is when an entry changes.
"""

from pathlib import Path
from typing import Any

from hyma.common.files import read_json, write_json

FOLDER = Path("metrics/names")
FINALS = Path("metrics/finals.json")
SECTIONS = ("training", "benchmarks", "image_encoders", "text_encoders", "methods")


def names(section: str) -> list[str]:
    """The names in one of `SECTIONS`, in the order of params.yaml; methods are all that have results, oracle first."""
    found: list[str] = read_json(FOLDER / f"{section}.json")
    return found


def finals() -> dict[str, Any]:
    """Which ``pairs`` are trained on their own, by which ``oracle``; of an audit, the ``finals`` and the ``sample``."""
    found: dict[str, Any] = read_json(FINALS)
    return found


def write(found: dict[str, list[str]]) -> None:
    """Write the names of every section."""
    for section in SECTIONS:
        write_json(FOLDER / f"{section}.json", found[section])

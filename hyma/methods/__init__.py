"""The search methods that params.yaml switches: one file each, named as in ``search.methods``.

Such a module has

- ``LABEL``: the method's name for people;
- ``Params``: the model of its section ``search.<name>``;
- ``TRAINS = True``, if it trains anything step by step: all others run before those that do;
- ``search(features, params, connector, seed) -> SearchResult``;
- ``cost(shapes, params) -> Parts``, if `hyma plan` is to say what it takes: FLOPs by part, from sizes alone.

It imports no other method. Nothing else has to know of it.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType


def known() -> list[str]:
    """The names of all methods, found by their files."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem != "__init__")


def trains(name: str) -> bool:
    """Whether a method trains anything step by step."""
    return bool(getattr(load(name), "TRAINS", False))


def load(name: str) -> ModuleType:
    """The module of one method."""
    return import_module(f"{__name__}.{name}")

"""HYMA: find the best image encoder × text encoder pair, and take it home as one model.

The names below are loaded when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyma.common.errors import HymaError
    from hyma.memory.search_pairs import Ranking, search_pairs
    from hyma.model.index import ImageIndex
    from hyma.model.stitched import StitchedModel

_PLACES = {
    "HymaError": "hyma.common.errors",
    "ImageIndex": "hyma.model.index",
    "Ranking": "hyma.memory.search_pairs",
    "StitchedModel": "hyma.model.stitched",
    "search_pairs": "hyma.memory.search_pairs",
}
__all__ = ["HymaError", "ImageIndex", "Ranking", "StitchedModel", "search_pairs"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'hyma' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)

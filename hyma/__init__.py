"""HYMA: find the best image encoder × text encoder pair, and take it home as one model.

The names below are loaded when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyma.errors import HymaError
    from hyma.model.index import ImageIndex
    from hyma.model.stitched import StitchedModel
    from hyma.pairs import Ranking, search_pairs

_PLACES = {
    "HymaError": "hyma.errors",
    "ImageIndex": "hyma.model.index",
    "Ranking": "hyma.pairs",
    "StitchedModel": "hyma.model.stitched",
    "search_pairs": "hyma.pairs",
}
__all__ = ["HymaError", "ImageIndex", "Ranking", "StitchedModel", "search_pairs"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'hyma' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)

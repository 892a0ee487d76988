"""The params section of the exported model."""

from pydantic import Field

from hyma.common.params import Section

WINNER, BEST = "winner", "best"


class ExportParams(Section):
    """Section ``export``: which pair becomes a model, with whose connector."""

    pair: str = Field(
        default=WINNER,
        description="<image slug>-<text slug>, or winner: the pair that the ranking puts first",
    )
    method: str = Field(
        default=BEST, description="a search method with connectors, or best: the one with the highest score"
    )

"""The params that the closed-form methods share, and how they part their samples."""

from typing import Annotated

from pydantic import Field

from hyma.common.params import Section

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
SHARE = 0.2
"""Of the sample, what validates where there is less than was asked for."""


class StitchParams(Section):
    """What every such method's section holds."""

    samples: int = Field(4000, ge=2, description="training images to fit on, each with one caption")
    validation: int = Field(
        500,
        ge=1,
        description="further ones to choose the regularisation on; at most a fifth if there are too few",
    )


class WhiteningParams(StitchParams):
    """What the section of a method holds that whitens the encoders."""

    components: int = Field(256, ge=1, description="components kept of every encoder's features")
    shrinkage: list[Positive] = Field(
        [0.01, 0.003, 0.001], min_length=1, description="ridges on their variances to choose from"
    )
    directions: list[Count] = Field(
        [32, 64, 128], min_length=1, description="numbers of directions to choose from, the strongest first"
    )


def fitted(found: int, params: StitchParams) -> int:
    """How many of the `found` samples are fitted on, N; the others validate."""
    if found == params.samples + params.validation:
        return params.samples
    return found - min(params.validation, max(1, round(SHARE * found)))

"""Section ``studies``."""

from typing import Annotated

from pydantic import Field, PositiveInt, field_validator

from hyma.common.params import Section


class StudiesParams(Section):
    """Section ``studies``: how often, and over what, the search methods are studied."""

    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(
        [0, 1, 2], min_length=2, description="seeds that every method is run with"
    )
    resamples: int = Field(1000, ge=100, description="bootstrap samples of the benchmarks' items")
    bm: list[PositiveInt] = Field([1, 3, 9, 27], min_length=1, description="pairs a step to compare")
    redraws: int = Field(200, ge=10, description="how often the sample of an audit is drawn again")
    folds: int = Field(3, ge=2, description="in how many parts the pairs are left out, one after the other")

    @field_validator("seeds", "bm")
    @classmethod
    def _different(cls, values: list[int]) -> list[int]:
        if len(set(values)) < len(values):
            raise ValueError("should be different numbers")
        return values

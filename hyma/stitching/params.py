"""The params sections of connectors, and of grid search, which trains them one by one."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from hyma.common.names import ConnectorKind, NormaliseKind, Precision
from hyma.common.params import AUTO, Rule, Section, Values

SMALLEST, BATCHES = 32, 8
"""Rows below which a batch has too few negatives to learn from, and batches that an epoch should have."""
STEPS = 60
"""Steps below which training has not settled."""


def batch_of(most: int) -> Rule:
    """The rule of a batch: `most`, of little data less."""
    return lambda sizes, _: min(most, max(SMALLEST, sizes.train // BATCHES))


def epochs_of(fewest: int) -> Rule:
    """The rule of epochs: `fewest`, and of very little data as many more as make `STEPS`."""
    return lambda sizes, own: max(fewest, least_epochs(sizes, own))


def least_epochs(sizes: Any, own: Values) -> int:
    """The epochs that make `STEPS`."""
    steps = max(1, sizes.train // min(own["batch"], sizes.train))
    return math.ceil(STEPS / steps)


class ConnectorParams(Section):
    """Section ``connector``: what is trained for a pair, and on what, whatever the method."""

    kind: ConnectorKind = Field("mlp1", description="one affine map, or one or two hidden layers")
    hidden: int = Field(256, ge=2, description="width of the hidden layers; the factorised decoder's rank")
    normalise: NormaliseKind = Field(
        "standardise", description="how features are scaled before the connector"
    )
    logit_scale: float = Field(
        50.0, allow_inf_nan=False, gt=0, description="what cosines are multiplied by in the loss"
    )
    duplicates: Literal["mask", "negatives"] = Field(
        "mask",
        description="whether rows of a batch with the same picture or caption are masked or each other's negatives",
    )
    holdout: float | Literal["auto"] = Field(
        "auto",
        description="share of the training images kept to score pairs; auto: a twentieth, of few images more",
    )

    @field_validator("holdout", mode="before")
    @classmethod
    def _share(cls, value: Any) -> Any:
        if value != AUTO and not (isinstance(value, int | float) and 0 < value < 0.5):
            raise ValueError(f"should be auto, or more than 0 and less than 0.5, but it is {value!r}")
        return value


class TrainingParams(Section):
    """How a method's weights are trained."""

    batch: int = Field(512, ge=2, description="samples a step (bd)")
    epochs: int = Field(10, ge=1)
    lr: float = Field(1e-2, allow_inf_nan=False, gt=0)
    beta2: float = Field(0.999, gt=0, lt=1, description="AdamW's second decay; lower tames unstable encoders")
    weight_decay: float = Field(0.0, allow_inf_nan=False, ge=0)
    warmup: float = Field(0.1, ge=0, le=1, description="share of the steps in which the rate rises")
    clip: float = Field(1.0, allow_inf_nan=False, gt=0, description="largest gradient norm")
    precision: Precision = Field("fp32", description="of connectors and hypernetwork; the loss is in fp32")


class GridParams(TrainingParams):
    """Section ``grid``: grid search, a connector trained for every pair.

    The rules were found on drawn worlds of 1,000, 3,000 and 10,000 captions: batches of 256 score above ones of 512
    and cost less, half the epochs are too few, twice as many no better, and little data wants much weight decay.
    """

    weight_decay: float = Field(0.01, allow_inf_nan=False, ge=0)
    RULES: ClassVar[Mapping[str, Rule]] = {
        "batch": batch_of(256),
        "epochs": epochs_of(10),
        "weight_decay": lambda sizes, _: round(min(1.0, 10_000 / sizes.train), 4),
    }

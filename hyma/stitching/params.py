"""The params sections of connectors, and of grid search, which trains them one by one."""

from pydantic import Field

from hyma.common.names import ConnectorKind, NormaliseKind, Precision
from hyma.common.params import Section


class ConnectorParams(Section):
    """Section ``connector``: what is trained for a pair, and on what, whatever the method."""

    kind: ConnectorKind = Field("mlp1", description="one affine map, or one or two hidden layers")
    hidden: int = Field(1024, ge=2, description="width of the hidden layers; the factorised decoder's rank")
    normalise: NormaliseKind = Field("l2", description="how features are scaled before the connector")
    logit_scale: float = Field(
        100.0, allow_inf_nan=False, gt=0, description="what cosines are multiplied by in the loss"
    )
    holdout: float = Field(0.05, gt=0, lt=0.5, description="share of the training images kept to score pairs")


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
    """Section ``grid``: grid search, a connector trained for every pair."""

"""The params sections of connectors and of the search methods that train them."""

from pydantic import Field, model_validator

from hyma.kinds import ConnectorKind, DecoderKind, NormaliseKind, Precision
from hyma.params import Section


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


class HymaParams(TrainingParams):
    """Section ``hyma``: the hypernetwork's search."""

    decoder: DecoderKind = "factorised"
    bm: int = Field(1, ge=1, description="pairs a step")
    balance: bool = Field(
        False,
        description="bring every pair's gradient to one length, so that no unruly encoder drowns the others",
    )
    samples: int = Field(4000, ge=2, description="factorised: captions that the closed form starts from")
    components: int = Field(256, ge=1, description="factorised: components kept of every encoder's features")
    shrinkage: float = Field(
        0.3, allow_inf_nan=False, gt=0, description="factorised: ridge added to every component's variance"
    )
    code_dim: int = Field(32, ge=1, description="dense: width of the codes of encoders and layers")
    widths: list[int] = Field([128, 512], description="dense: hidden widths of the shared MLP")

    @model_validator(mode="after")
    def _widths(self) -> "HymaParams":
        if not self.widths or min(self.widths) < 1:
            raise ValueError("widths should be a list of at least one positive number")
        return self


class RefineParams(Section):
    """Section ``refine``: HYMA's best pairs trained further, as grid search would."""

    top: int = Field(5, ge=1, description="how many pairs")
    flops: float = Field(2e11, gt=0, allow_inf_nan=False, description="the budget, for all of them together")
    batch: int = Field(256, ge=2)
    lr: float = Field(3e-3, allow_inf_nan=False, gt=0)
    beta2: float = Field(0.999, gt=0, lt=1)
    weight_decay: float = Field(0.0, allow_inf_nan=False, ge=0)
    warmup: float = Field(0.1, ge=0, le=1)
    clip: float = Field(1.0, allow_inf_nan=False, gt=0)


class UnimodalParams(Section):
    """Section ``unimodal``: published scores of the encoders of a side, used instead of the probe's."""

    image: dict[str, float] = Field(default_factory=dict)
    text: dict[str, float] = Field(default_factory=dict)

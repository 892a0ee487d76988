"""The params section of the embedded zoo: how its encoders are trained."""

from typing import Any, Literal

from pydantic import Field, model_validator

from hyma.common.params import Section

HEADS = 4
"""Attention heads of the small transformer."""
Label = Literal["object", "colour", "coarse", "word", "figure", "ground", "place"]
Aspect = Literal["colour", "ground", "place", "word", "thing", "fact", "shape", "number"]
"""What words can be about; the embedded world's own list of them lies beside its sentences."""


class ZooImageParams(Section):
    """An entry of ``zoo.image``: a small timm model trained to name what it sees."""

    arch: str = Field(description="timm architecture")
    size: int = Field(48, ge=16, le=256, description="side of its input in pixels")
    labels: list[Label] = Field(min_length=1, description="what it learns to tell, one head each")
    epochs: int = Field(ge=0, description="0 leaves it as it was drawn at random")
    lr: float = Field(2e-3, gt=0, allow_inf_nan=False)
    model_args: dict[str, Any] = Field(default_factory=dict, description="passed on to the architecture")


class ZooTextParams(Section):
    """An entry of ``zoo.text``: a small text encoder trained to bring paraphrases together."""

    kind: Literal["letters", "words", "transformer"] = Field(
        description="mean of vectors of letter pieces or of words, or a small transformer"
    )
    dim: int = Field(ge=8, le=1024, description="width of its features")
    epochs: int = Field(ge=0, description="0 leaves it as it was drawn at random")
    lr: float = Field(2e-3, gt=0, allow_inf_nan=False)
    without: list[Aspect] = Field(default_factory=list, description="what it has no words for")
    things: int | None = Field(
        None, ge=0, description="of so many things it knows the names; of all, unless given"
    )

    @model_validator(mode="after")
    def _whole_heads(self) -> "ZooTextParams":
        if self.kind == "transformer" and self.dim % HEADS:
            raise ValueError(f"dim: {self.dim} should be a multiple of the transformer's {HEADS} heads")
        return self


class ZooParams(Section):
    """Section ``zoo``."""

    image: dict[str, ZooImageParams] = Field(default_factory=dict)
    text: dict[str, ZooTextParams] = Field(default_factory=dict)

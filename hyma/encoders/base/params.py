"""The params section of one encoder, and of feature extraction."""

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from hyma.common.names import Precision
from hyma.common.params import AUTO, Section

HUB = "zoo/HUB"
"""What `weights` names when nothing lies here: DVC wants a file for every encoder."""
PUBLISHED = "cc3m558k"
"""What the names of the authors' published features start with, as in ``cc3m558k/vit_s16``; they are of unit length."""


class _EncoderParams(Section):
    name: str
    weights: str = Field(
        HUB, description=f"local weights or features, tracked by DVC; {HUB} when they come from elsewhere"
    )
    revision: str | None = Field(
        None, description="commit of the hub's repository, or version of the package that holds the weights"
    )
    unit_length: bool = Field(False, description="divide every feature by its length")
    training_features: str | None = Field(
        None, description="features of the training set that somebody published, taken instead of encoding it"
    )


class ImageEncoderParams(_EncoderParams):
    """An entry of section ``image_encoders``."""

    source: Literal["timm", "open_clip", "precomputed"]


class TextEncoderParams(_EncoderParams):
    """An entry of section ``text_encoders``."""

    source: Literal["sentence-transformers", "open_clip", "precomputed"]


EncoderParams = ImageEncoderParams | TextEncoderParams


class ExtractParams(Section):
    """Section ``extract``."""

    batch: int | Literal["auto"] = Field("auto", description="images or texts encoded at once")
    chunk: int = Field(
        4096, ge=1, description="rows written at once: what memory holds, and what a kill costs"
    )
    workers: int | Literal["auto"] = Field("auto", description="processes that open and transform pictures")
    precision: Precision = Field("auto", description="of the forward pass; auto is fp16 on a GPU")

    @field_validator("batch", "workers", mode="before")
    @classmethod
    def _counts(cls, value: Any, info: ValidationInfo) -> Any:
        least = {"batch": 1, "workers": 0}[str(info.field_name)]
        if value != AUTO and not (isinstance(value, int) and value >= least):
            raise ValueError(f"should be auto, or a whole number from {least} on, but it is {value!r}")
        return value

"""The params section of one encoder, and of feature extraction."""

from typing import Literal

from pydantic import Field, PositiveInt

from hyma.common.names import Precision
from hyma.common.params import Section

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

    batch: PositiveInt | Literal["auto"] = Field("auto", description="images or texts encoded at once")
    chunk: int = Field(
        4096, ge=1, description="rows written at once: what memory holds, and what a kill costs"
    )
    workers: int | Literal["auto"] = Field("auto", description="processes that open and transform pictures")
    precision: Precision = Field("auto", description="of the forward pass; auto is fp16 on a GPU")

"""The params section of one encoder, and of feature extraction."""

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from hyma.common.names import Precision
from hyma.common.params import AUTO, Section

HUB = "zoo/HUB"
"""What `weights` names when nothing lies here: DVC wants a file for every encoder."""
PUBLISHED = "cc3m558k"
"""What the names of the authors' published features start with, as in ``cc3m558k/vit_s16``; they are of unit length."""
LOGITS = "logits"
"""The layer of an image encoder that tells its own classes apart."""


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
    layer: int | Literal["logits"] | None = Field(
        None,
        description="a stage or block of timm's, 0 the first and -1 the last, or logits; none: what comes before the "
        "classifier",
    )

    @field_validator("layer", mode="before")
    @classmethod
    def _some_layer(cls, value: Any, info: ValidationInfo) -> Any:
        _refuse_where_none(value, "timm", info)
        return value if value == LOGITS else _whole(value, f"or {LOGITS}")


class TextEncoderParams(_EncoderParams):
    """An entry of section ``text_encoders``."""

    source: Literal["sentence-transformers", "open_clip", "precomputed"]
    layer: int | None = Field(
        None,
        description="hidden states of the transformer: 0 those that go into its first layer, -1 those of the last",
    )
    truncate_dim: int | None = Field(
        None,
        ge=1,
        description="how many of a feature's first values are kept; for models trained to be cut so",
    )

    @field_validator("layer", "truncate_dim", mode="before")
    @classmethod
    def _of_texts(cls, value: Any, info: ValidationInfo) -> Any:
        _refuse_where_none(value, "sentence-transformers", info)
        return _whole(value, "since texts have no logits" if value == LOGITS else "such as 4")


def _refuse_where_none(value: Any, source: str, info: ValidationInfo) -> None:
    """Refuse a choice among features where they come as they are: of another source, or published."""
    given = info.data.get("source", source)
    if value is not None and given != source:
        raise ValueError(f"only encoders of source {source} have it, this one is of {given}; leave it out")
    published = info.data.get("training_features") or ""
    if value is not None and published.startswith(f"{PUBLISHED}/"):
        raise ValueError(f"{published} was published without it; leave out one of the two")


def _whole(value: Any, more: str) -> Any:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise ValueError(f"should be a whole number, {more}, but it is {value!r}")
    return value


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

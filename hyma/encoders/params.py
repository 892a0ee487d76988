"""The params section of one encoder, and of feature extraction."""

from typing import Literal

from pydantic import Field

from hyma.params import Section

HUB = "zoo/HUB"


class ImageEncoderParams(Section):
    """An entry of section ``image_encoders``."""

    source: Literal["timm"]
    name: str = Field(description="the architecture, with its full tag when the weights come from a hub")
    weights: str = Field(
        HUB, description=f"folder of local weights, tracked by DVC; {HUB} when they come from elsewhere"
    )
    revision: str | None = Field(None, description="commit of the hub's repository")


class TextEncoderParams(Section):
    """An entry of section ``text_encoders``."""

    source: Literal["sentence-transformers"]
    name: str = Field(description="hub name, or package:<name> for weights inside a Python package")
    weights: str = Field(
        HUB, description=f"folder of local weights, tracked by DVC; {HUB} when they come from elsewhere"
    )
    revision: str | None = Field(
        None, description="commit of the hub's repository, or version of the package"
    )


EncoderParams = ImageEncoderParams | TextEncoderParams


class ExtractParams(Section):
    """Section ``extract``."""

    batch: int = Field(256, ge=1, description="images or texts encoded at once")
    chunk: int = Field(4096, ge=1, description="rows written at once: what memory holds")

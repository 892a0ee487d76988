"""What config.json of an exported model says, and whether the files beside it are those that were exported."""

from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, field_validator

from hyma.common.errors import HymaError
from hyma.common.files import read_json, sha256_file
from hyma.common.names import ConnectorKind, NormaliseKind
from hyma.common.params import Section, validate
from hyma.encoders.base.params import HUB, EncoderParams, ImageEncoderParams, TextEncoderParams

VERSION = 1
"""Of the folder's format: raised when older code could not read what newer code writes."""
CONFIG, CONNECTOR = "config.json", "connector.safetensors"


class EncoderEntry(Section):
    """One of the two encoders: all that is needed to load it again."""

    slug: str
    source: str = Field(description="as in params.yaml; custom: an object that the caller brings along")
    name: str
    revision: str | None = None
    unit_length: bool = False
    weights: str | None = Field(
        None, description="file or folder beside config.json; null: from the hub or package"
    )
    dim: int = Field(ge=1, description="width of its features")
    transform: str = Field("", description="how a picture becomes its input")

    @field_validator("weights")
    @classmethod
    def _inside(cls, value: str | None) -> str | None:
        if value is not None and (PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts):
            raise ValueError("should be a path inside the model's folder")
        return value

    def params(self, folder: Path, side: Literal["image", "text"]) -> EncoderParams:
        """The encoder's section as params.yaml would have it, its weights in `folder`."""
        model: type[EncoderParams] = ImageEncoderParams if side == "image" else TextEncoderParams
        own = self.model_dump(include={"source", "name", "revision", "unit_length"})
        weights = HUB if self.weights is None else str(folder / self.weights)
        return validate(own | {"weights": weights}, model, folder / CONFIG, f"{side}_encoder")


class ConnectorEntry(Section):
    """The shapes of the connector; the numbers are in connector.safetensors."""

    kind: ConnectorKind
    d_text: int = Field(ge=1)
    d_image: int = Field(ge=1)
    hidden: int = Field(ge=1)
    shared: int | None = Field(None, ge=1)
    normalise: NormaliseKind
    sides: Literal["one-sided", "two-sided"]


class ModelConfig(Section):
    """The content of config.json."""

    format: Literal["hyma"] = "hyma"
    format_version: int = VERSION
    pair: str
    method: str | None = Field(None, description="the search method whose connector this is")
    protocol: str | None = Field(None, description="the evaluation protocol that ranked the pairs")
    image_encoder: EncoderEntry
    text_encoder: EncoderEntry
    connector: ConnectorEntry
    logit_scale: float = Field(
        gt=0, allow_inf_nan=False, description="what cosines are multiplied by before a softmax"
    )
    files: dict[str, str] = Field(description="every weight file beside this one, and its SHA-256")


def read(folder: Path) -> ModelConfig:
    """Read config.json of an exported model.

    Raises:
        HymaError: if it is missing, another format or version, or names a file that is not there.
    """
    file = folder / CONFIG
    content = read_json(file)
    version = content.get("format_version") if isinstance(content, dict) else None
    if not isinstance(content, dict) or content.get("format") != "hyma":
        raise HymaError(
            f"{file}: not a model of hyma's; give a folder that `hyma export` or `dvc repro` wrote"
        )
    if version != VERSION:
        raise HymaError(
            f"{file}: format_version: {version!r}, but this hyma reads version {VERSION}; "
            "install the hyma that wrote it, or export the model again"
        )
    config = validate(content, ModelConfig, file)
    for name in config.files:
        if not (folder / name).is_file():
            raise HymaError(f"{folder / name}: missing; copy the whole folder, or export the model again")
    return config


def verify(folder: Path, config: ModelConfig, start: str) -> None:
    """Check the files whose names begin with `start` against their hashes.

    Raises:
        HymaError: if one was altered.
    """
    for name, expected in config.files.items():
        if name.startswith(start) and sha256_file(folder / name) != expected:
            raise HymaError(
                f"{folder / name}: altered: its SHA-256 is not the one in {CONFIG}; copy the folder again, or export it"
            )

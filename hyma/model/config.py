"""What config.json of an exported model says, and whether the files beside it are those that were exported."""

from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from hyma.common.errors import HymaError
from hyma.common.files import read_json, sha256_file
from hyma.common.names import ConnectorKind, NormaliseKind
from hyma.common.params import Section, validate
from hyma.encoders.base.common import CONTENT
from hyma.encoders.base.params import HUB, EncoderParams, ImageEncoderParams, TextEncoderParams

VERSION = 1
"""Of the folder's format: raised when older code could not read what newer code writes."""
CONFIG, CONNECTOR = "config.json", "connector.safetensors"
CHOSEN = ("layer", "truncate_dim")
"""Keys of what was chosen among an encoder's features: there where something was, so that older code reads the rest."""
ENCODER = {"source", "name", "revision", "unit_length", *CHOSEN}
"""Keys of an encoder's entry that stand in params.yaml, too."""
STORE = ("files", "md5")
"""Where DVC's cache holds contents: files/md5/<two digits>/<the others>."""


class Entry(Section):
    """Base of all that config.json says: every key is there, and of its own type."""

    model_config = ConfigDict(strict=True)


class EncoderEntry(Entry):
    """One of the two encoders: all that is needed to load it again."""

    slug: str
    source: str = Field(description="as in params.yaml; custom: an object that the caller brings along")
    name: str
    revision: str | None
    unit_length: bool
    weights: str | None = Field(
        description="file or folder beside config.json; null: from the hub or package"
    )
    dim: int = Field(ge=1, description="width of its features")
    transform: str = Field(description="how a picture becomes its input")
    layer: int | Literal["logits"] | None = None
    truncate_dim: int | None = Field(None, ge=1)

    @model_serializer(mode="wrap")
    def _short(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in whole(self).items() if value is not None or key not in CHOSEN}

    @field_validator("weights")
    @classmethod
    def _inside(cls, value: str | None) -> str | None:
        return None if value is None else _inside(value)

    def params(self, folder: Path, side: Literal["image", "text"]) -> EncoderParams:
        """The encoder's section as params.yaml would have it, its weights in `folder`."""
        model: type[EncoderParams] = ImageEncoderParams if side == "image" else TextEncoderParams
        own = self.model_dump(include=ENCODER)
        weights = HUB if self.weights is None else str(folder / self.weights)
        return validate(own | {"weights": weights}, model, folder / CONFIG, f"{side}_encoder")


class ConnectorEntry(Entry):
    """The shapes of the connector; the numbers are in connector.safetensors."""

    kind: ConnectorKind
    d_text: int = Field(ge=1)
    d_image: int = Field(ge=1)
    hidden: int = Field(ge=1)
    shared: int | None = Field(ge=1)
    normalise: NormaliseKind
    sides: Literal["one-sided", "two-sided"]


class ModelConfig(Entry):
    """The content of config.json."""

    format: Literal["hyma"] = "hyma"
    format_version: int = VERSION
    pair: str
    method: str | None = Field(description="the search method whose connector this is")
    protocol: str | None = Field(description="the evaluation protocol that ranked the pairs")
    image_encoder: EncoderEntry
    text_encoder: EncoderEntry
    connector: ConnectorEntry
    logit_scale: float = Field(
        gt=0, allow_inf_nan=False, description="what cosines are multiplied by before a softmax"
    )
    files: dict[str, str] = Field(description="every weight file beside this one, and its SHA-256")

    @field_validator("files")
    @classmethod
    def _files(cls, value: dict[str, str]) -> dict[str, str]:
        if CONNECTOR not in value:
            raise ValueError(f"should name {CONNECTOR}")
        for name in value:
            _inside(name)
        return value

    @model_validator(mode="after")
    def _agree(self) -> "ModelConfig":
        entries = {"image_encoder": self.image_encoder, "text_encoder": self.text_encoder}
        if self.pair != "-".join(own.slug for own in entries.values()):
            raise ValueError("pair: should be the slugs of both encoders, joined by a hyphen")
        for (place, own), width in zip(
            entries.items(), (self.connector.d_image, self.connector.d_text), strict=True
        ):
            if own.dim != width:
                raise ValueError(f"{place}.dim: {own.dim}, but the connector is {width} wide on that side")
            listed = [name for name in self.files if name.startswith(f"{place}/")]
            weights = [name for name in listed if own.weights in (place, name)]
            if bool(weights) != (own.weights is not None) or len(weights) < len(listed):
                raise ValueError(f"{place}.weights: should be {place} or a file there, named in `files`")
        if (self.connector.sides == "two-sided") != (self.connector.shared is not None):
            raise ValueError("connector.sides: two-sided with a shared width, else one-sided")
        return self


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or "\\" in value or "\0" in value or path.as_posix() != value:
        raise ValueError("should be a path inside the model's folder")
    return value


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
        _refuse_outside(folder, name)
    return config


def _refuse_outside(folder: Path, name: str) -> None:
    """Refuse a link that leads out of a model's folder, but for those of the hub's cache and of DVC's."""
    true = (folder / name).resolve()
    if (
        not true.is_relative_to(folder.resolve())
        and true.parent.name != "blobs"
        and true.parts[-4:-2] != STORE
    ):
        raise HymaError(f"{folder / name}: a link that leads out of the folder; put the file itself there")


def refuse_others(folder: Path, config: ModelConfig, encoder: str) -> None:
    """Refuse files in an encoder's folder that config.json does not name: a library may read them all the same.

    Raises:
        HymaError: if there is one.
    """
    for path in sorted((folder / encoder).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix in CONTENT and not path.name.startswith(".") and name not in config.files:
            raise HymaError(f"{path}: none of the model's files; delete it, or export the model again")


def verify(folder: Path, config: ModelConfig, start: str) -> None:
    """Check the files whose names begin with `start` against their hashes.

    Raises:
        HymaError: if one was altered.
    """
    for name, expected in config.files.items():
        if name.startswith(start) and _digest(folder / name) != expected:
            raise HymaError(
                f"{folder / name}: altered: its SHA-256 is not the one in {CONFIG}; copy the folder again, or export it"
            )


def _digest(file: Path) -> str:
    try:
        return sha256_file(file)
    except OSError as error:
        raise HymaError(f"{file}: cannot be read ({error.strerror}); correct its permissions") from None

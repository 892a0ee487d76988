"""One of the two encoders of a model, loaded when it is needed."""

import warnings
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor

from hyma.common.errors import HymaError
from hyma.common.files import sha256, sha256_file
from hyma.encoders.base.common import CONTENT, reason, transform_of
from hyma.encoders.base.load import Encoder, load
from hyma.encoders.base.params import HUB, EncoderParams, ImageEncoderParams, TextEncoderParams
from hyma.model import config as configs
from hyma.model.config import EncoderEntry, ModelConfig
from hyma.model.inputs import features

PROBES = ((40, 56), (70, 50))
"""Sizes of pictures: a transform to one size makes the same shape of both."""
WEIGHTS = ".safetensors"
PLAIN = ("sentence-transformers",)
"""Sources whose encoders take texts as they are: their identities say nothing of a transform."""
UNKNOWN = ("custom", "precomputed")
"""Sources of encoders that are known once they are brought along."""


class Side:
    """The encoder of a side: an object, or what says how to load one, or neither."""

    def __init__(
        self,
        side: Literal["image", "text"],
        slug: str,
        encoder: Encoder | EncoderParams | None,
        dim: int,
        device: torch.device,
        dtype: torch.dtype,
    ):
        self.side, self.slug, self.dim, self.device, self.dtype = side, slug, dim, device, dtype
        self.params: EncoderParams | None = None
        """What says how to load it, if anything does."""
        self.object: Encoder | None = None
        if isinstance(encoder, ImageEncoderParams | TextEncoderParams):
            self.params = encoder
        else:
            self.object = encoder
        self.place = f"{side}_encoder"
        self.exported: tuple[Path, ModelConfig] | None = None
        self.identity: str | None = None
        """That of the encoder whose features the connector was trained on, where they say so: it need not be loaded."""

    def of_folder(self, folder: Path, config: ModelConfig) -> None:
        """Take the encoder that an exported model names; its weights are checked when they are loaded."""
        entry: EncoderEntry = getattr(config, self.place)
        self.exported = folder, config
        if entry.source != "custom":
            self.params = entry.params(folder, self.side)

    @property
    def name(self) -> str:
        """What to call it."""
        return self.slug if self.params is None else self.params.name

    @property
    def key(self) -> str:
        """What its features depend on, as a digest; for weights of a hub or a package, their name and revision."""
        if self.params is None:
            return sha256(self.object.identity if self.object else self.slug)
        known = self.exported[1].files if self.exported else {}
        files = sorted(self.weight_files().items())
        digests = [known[name] if name in known else sha256_file(file) for name, file in files]
        chosen = self.params.model_dump(include=set(configs.CHOSEN), exclude_none=True)
        own = (self.params.source, self.params.name, str(self.params.revision))
        return sha256(*own, *(f"{key} {value}" for key, value in chosen.items()), *digests)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder itself.

        Raises:
            HymaError: if there is none, its weights cannot be had or were altered, or it is not the connector's.
        """
        encoder = self.object or self._loaded()
        if encoder.dim != self.dim:
            raise HymaError(f"{self.where}: {encoder.dim} wide, but the connector was trained for {self.dim}")
        return encoder

    def encode(self, batch: Any) -> Tensor:
        """Return the encoder's features [B, dim] of transformed pictures or of texts.

        Raises:
            HymaError: as `encoder`, and if the encoder fails on them or gives NaN.
        """
        encoder = self.encoder
        try:
            feature_BD = encoder.encode(batch)
            found = len(feature_BD)
        except HymaError:
            raise
        except (
            Exception
        ) as error:  # the libraries raise anything: on damaged weights or inputs, without memory
            raise HymaError(
                f"{self.where}: the encoder fails ({reason(error)}); see what it was given"
            ) from error
        if found != len(batch):
            raise HymaError(f"{self.where}: {found} features of {len(batch)}; give another encoder")
        return features(feature_BD, self.dim, f"{self.where}: its features")

    @property
    def where(self) -> str:
        """Where the encoder stands, for errors."""
        return self.place if self.exported is None else f"{self.exported[0] / configs.CONFIG}: {self.place}"

    @cached_property
    def shape(self) -> tuple[int, ...] | None:
        """[3, H, W] of the image encoder's input; None if it depends on the picture."""
        one, other = (tuple(self.encoder.transform(Image.new("RGB", size)).shape) for size in PROBES)
        return one if one == other else None

    def _loaded(self) -> Encoder:
        if self.params is None or self.params.source == "precomputed":
            raise HymaError(
                f"{self.place}: this model holds no {self.side} encoder; give one as `{self.side}_encoder=`, "
                f"or features to `embed_{self.side}`"
            )
        if self.exported is None:
            return load(self.params, self.place, self.device, self.dtype)
        folder, config = self.exported
        configs.verify(folder, config, f"{self.place}/")
        configs.refuse_others(folder, config, self.place)
        encoder = self._read(self.params)
        if self.params.source not in PLAIN:
            transform = getattr(config, self.place).transform
            _warn_of_another_transform(_transform(encoder.identity), transform, self.place)
        return encoder

    def _read(self, params: EncoderParams) -> Encoder:
        """Load the encoder of a model's folder."""
        try:
            encoder = load(params, self.where, self.device, self.dtype)
            for file in self.weight_files().values():
                if file.suffix == WEIGHTS:
                    _refuse_whole_numbers(getattr(encoder, "model", None), file)
        except HymaError as error:
            raise HymaError(" ".join(str(error).split())) from None
        except Exception as error:  # damaged files make the libraries fail in any way
            said = f"{self.where}: cannot be loaded ({reason(error)}); export the model again"
            raise HymaError(said) from None
        return encoder

    def entry(self) -> EncoderEntry:
        """What config.json says of this side."""
        own: dict[str, Any] = {"source": "custom", "name": self.slug, "revision": None, "unit_length": False}
        if self.params is not None:
            own = self.params.model_dump(include=configs.ENCODER)
        none = own["source"] in PLAIN or (own["source"] in UNKNOWN and self.object is None)
        transform = "" if none else _transform(self.identity or self.encoder.identity)
        return EncoderEntry(
            slug=self.slug, weights=self.weights_place(), dim=self.dim, transform=transform, **own
        )

    def weight_files(self) -> dict[str, Path]:
        """The files of weights that lie on this machine by name, by what to call them in a model's folder."""
        if self.params is None or self.params.source == "precomputed" or self.params.weights == HUB:
            return {}
        if self.exported is not None:
            folder, config = self.exported
            return {name: folder / name for name in config.files if name.startswith(f"{self.side}_encoder/")}
        source, own = Path(self.params.weights), f"{self.side}_encoder"
        if source.is_file():
            return {f"{own}/{source.name}": source}
        found = sorted(path for path in source.rglob("*") if path.suffix in CONTENT)
        return {f"{own}/{path.relative_to(source).as_posix()}": path for path in found}

    def weights_place(self) -> str | None:
        """Where the weights lie in a model's folder: a file of its own, or the folder of several."""
        names = list(self.weight_files())
        if not names:
            return None
        return names[0] if Path(self.params.weights).is_file() else f"{self.side}_encoder"  # type: ignore[union-attr]


def _refuse_whole_numbers(model: Any, file: Path) -> None:
    """Refuse whole numbers where the model has floating-point weights: libraries convert them unasked."""
    own = model.state_dict() if isinstance(model, torch.nn.Module) else {}
    floating = [f".{name}" for name, tensor in own.items() if tensor.is_floating_point()]
    with safe_open(file, "pt") as stored:
        for name in stored.keys():  # noqa: SIM118
            whole = not stored.get_slice(name).get_dtype().startswith(("F", "BF"))
            if whole and any(each.endswith(f".{name}") for each in floating):
                raise HymaError(f"{file}: {name}: whole numbers in place of others; export the model again")


def _transform(identity: str) -> str:
    """What an encoder's identity says of its transform, without what may follow: the precision of that very load."""
    return transform_of(identity).partition("|")[0]


def _warn_of_another_transform(now: str, before: str, place: str) -> None:
    """The weights are the same to the byte; how pictures are brought to them is up to the library's version."""
    if before not in ("", now):
        warnings.warn(
            f"{place}: pictures are transformed by {now} here, in training by {before}", stacklevel=2
        )

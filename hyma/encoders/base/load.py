"""Loading an encoder by its source. A new source is one file beside this one and one line here."""

import importlib
import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from hyma.common.errors import HymaError
from hyma.encoders.base.common import in_one_line, reason
from hyma.encoders.base.params import EncoderParams, ImageEncoderParams

SOURCES = {
    ("image", "timm"): "timm_image.TimmEncoder",
    ("image", "open_clip"): "open_clip_tower.ImageTower",
    ("text", "sentence-transformers"): "sentence_text.SentenceEncoder",
    ("text", "open_clip"): "open_clip_tower.TextTower",
}


class Encoder(Protocol):
    """What every encoder offers."""

    dim: int
    identity: str
    """Source, name, revision, digest of the weights, transform: all that its features depend on."""
    transform: Callable[[Any], Any]
    """Turns a picture (PIL, RGB) into the model's input [3, H, W]; a text stays a string.

    It can be pickled and holds no model: worker processes call it.
    """

    def encode(self, batch: Tensor | Sequence[str]) -> np.ndarray:
        """Return float32 features [B, dim] of transformed pictures [B, 3, H, W] or of B texts."""


class Reader(Protocol):
    """What an encoder of texts may offer beside that."""

    limit: int | None
    """Tokens that it reads of a text; None: all."""

    def cut(self, batch: Sequence[str]) -> int:
        """Return how many of these texts have more tokens than that."""


def source(params: EncoderParams) -> str:
    """The name of the module that gives such encoders."""
    modality = "image" if isinstance(params, ImageEncoderParams) else "text"
    return f"hyma.encoders.sources.{SOURCES[modality, params.source].partition('.')[0]}"


def load(
    params: EncoderParams, place: str, device: torch.device, precision: torch.dtype = torch.float32
) -> Encoder:
    """Load the encoder that `params` describe.

    Args:
        params: an entry of ``image_encoders`` or ``text_encoders``.
        place: where it stands, for errors: ``params.yaml: image_encoders.vit``.
        device: where it computes.
        precision: of its forward pass, by autocast; features are float32 whatever it is.

    Raises:
        HymaError: if it does not exist, its weights cannot be had or do not fit, or the library fails on it.
    """
    modality = "image" if isinstance(params, ImageEncoderParams) else "text"
    module, name = SOURCES[modality, params.source].split(".")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the libraries' imports warn of what torch deprecates
        encoder = getattr(importlib.import_module(f"hyma.encoders.sources.{module}"), name)
    # After the import, which sets transformers' own level.
    for library in ("timm", "sentence_transformers", "transformers"):
        logging.getLogger(library).setLevel(logging.ERROR)
    with in_one_line(lambda error: _unloadable(params, place, error)):
        return encoder(params, place, device, precision)


def _unloadable(params: EncoderParams, place: str, error: Exception) -> HymaError:
    """The line for what no source foresaw."""
    return HymaError(
        f"{place}: {params.source} cannot make an encoder of {params.name} with weights {params.weights} "
        f"({type(error).__name__}: {reason(error)}); check its config and weights, or leave it out"
    )

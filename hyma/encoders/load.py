"""Loading an encoder by its source. A new source is one file beside this one and one line here."""

import logging
import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from hyma.encoders.params import EncoderParams, ImageEncoderParams


class Encoder(Protocol):
    """What every encoder offers."""

    dim: int
    identity: str
    """Source, name, revision, digest of the weights, transform: all that its features depend on."""

    def prepare(self, item: Any) -> Any:
        """Turn one picture or text into what `encode` takes; safe to call in worker processes."""

    def encode(self, batch: Sequence[Any]) -> np.ndarray:
        """Return float32 features [B, dim]."""


def load(params: EncoderParams, slug: str, device: torch.device) -> Encoder:
    """Load the encoder that `params` describe; `slug` names it in errors.

    Raises:
        HymaError: if it does not exist or its weights cannot be had.
    """
    for library in ("timm", "sentence_transformers"):
        logging.getLogger(library).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the libraries' imports warn of what torch deprecates
        if isinstance(params, ImageEncoderParams):
            from hyma.encoders.timm_image import TimmEncoder

            return TimmEncoder(params, slug, device)
        from hyma.encoders.sentence_text import SentenceEncoder

        return SentenceEncoder(params, slug, device)

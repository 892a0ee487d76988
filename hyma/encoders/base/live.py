"""The encoders of an experiment, each loaded when it is needed, and several at a time as far as memory goes."""

import gc
from collections.abc import Iterator
from functools import cached_property

import torch

from hyma.common import device, precision
from hyma.common.errors import HymaError
from hyma.common.sources import code
from hyma.encoders.base import trial
from hyma.encoders.base.common import NOT_TO_MEND, field, reason
from hyma.encoders.base.flops import flops_per_row
from hyma.encoders.base.load import Encoder, load, source
from hyma.encoders.base.params import EncoderParams, ExtractParams, TextEncoderParams

TOGETHER = 0.5
"""Of the memory that was free, what must still be when another encoder is loaded beside those that are."""

LARGE = 2**28
"""Bytes of weights that have to be gone before the encoder is loaded once more."""


class Live:
    """An encoder of the experiment, loaded when it is first needed."""

    def __init__(self, slug: str, own: EncoderParams, settings: ExtractParams, place: torch.device):
        self.slug, self.own, self.settings, self.device = slug, own, settings, place
        self.field, self.loads, self.tried = field(own, slug), 0, False

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder itself."""
        dtype = precision.resolve(self.settings.precision, self.device)
        self.loads += 1
        with trial.seeded(self.loads):
            return load(self.own, self.field, self.device, dtype)

    def try_out(self) -> None:
        """Load it once more and see whether it gives features, and the same ones; later calls do nothing.

        Raises:
            HymaError: if it does not.
        """
        if self.tried:
            return
        texts = isinstance(self.own, TextEncoderParams)
        first_BD = trial.features(self.encoder, texts, self.field)
        large = _weight(self.encoder) > LARGE
        del self.encoder
        if (
            large
        ):  # it need not fit in twice; looking for what nobody needs takes longer than loading a small one
            gc.collect()
        trial.compare(first_BD, trial.features(self.encoder, texts, self.field), self.field, self.device)
        self.tried = True

    @cached_property
    def row_flops(self) -> float:
        """FLOPs of one picture or text.

        Raises:
            HymaError: if they cannot be counted.
        """
        try:
            return flops_per_row(self.encoder)
        except NOT_TO_MEND:
            raise
        except Exception as error:  # fvcore traces whatever code a model has
            self.try_out()  # if that fails too, it says why in plainer words
            raise HymaError(
                f"{self.field}: the FLOPs of {self.own.name} cannot be counted ({reason(error)}); "
                "give its features instead (source: precomputed)"
            ) from None

    def depends_on(self, data_hash: str) -> tuple[str, ...]:
        """All that its features of a data set depend on."""
        return (
            *(self.encoder.identity, str(self.row_flops), data_hash, self.device.type),
            *(self.settings.model_dump_json(), code("hyma.encoders.base.extract", source(self.own))),
        )


def _weight(encoder: Encoder) -> int:
    """Bytes of an encoder's weights; none of one that does not say."""
    model = getattr(encoder, "model", None)
    return sum(each.nbytes for each in model.parameters()) if isinstance(model, torch.nn.Module) else 0


def together(encoders: list[Live]) -> Iterator[list[Live]]:
    """Load as many encoders as memory holds well, and yield them, until all were yielded."""
    while encoders:
        free, loaded = device.free_memory(encoders[0].device), list[Live]()
        while encoders and (not loaded or device.free_memory(loaded[0].device) > TOGETHER * free):
            loaded.append(encoders.pop(0))
            _ = loaded[-1].encoder
        yield loaded
        for each in loaded:
            del each.encoder
        gc.collect()

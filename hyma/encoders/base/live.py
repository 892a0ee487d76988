"""The encoders of an experiment, each loaded when it is needed, and several at a time as far as memory goes."""

import gc
from collections.abc import Iterator
from functools import cached_property

import torch

from hyma.common import device, precision
from hyma.common.sources import code
from hyma.encoders.base.common import field
from hyma.encoders.base.flops import flops_per_row
from hyma.encoders.base.load import Encoder, load, source
from hyma.encoders.base.params import EncoderParams, ExtractParams

TOGETHER = 0.5
"""Of the memory that was free, what must still be when another encoder is loaded beside those that are."""


class Live:
    """An encoder of the experiment, loaded when it is first needed."""

    def __init__(self, slug: str, own: EncoderParams, settings: ExtractParams, place: torch.device):
        self.slug, self.own, self.settings, self.device = slug, own, settings, place

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder itself."""
        dtype = precision.resolve(self.settings.precision, self.device)
        return load(self.own, field(self.own, self.slug), self.device, dtype)

    @cached_property
    def row_flops(self) -> float:
        """FLOPs of one picture or text."""
        return flops_per_row(self.encoder)

    def depends_on(self, data_hash: str) -> tuple[str, ...]:
        """All that its features of a data set depend on."""
        return (
            *(self.encoder.identity, str(self.row_flops), data_hash, self.device.type),
            *(self.settings.model_dump_json(), code("hyma.encoders.base.extract", source(self.own))),
        )


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

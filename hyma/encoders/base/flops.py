"""What one forward pass of a frozen encoder costs, counted by fvcore."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch

from hyma.encoders.base.load import Encoder


class _TextForward(torch.nn.Module):
    """A sentence-transformers model whose forward takes tensors by position, as tracing wants."""

    def __init__(self, model: torch.nn.Module, names: list[str]):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return self.model(dict(zip(self.names, tensors, strict=True)))["sentence_embedding"]


def flops_per_row(encoder: Encoder) -> float:
    """Return the FLOPs of one image, or of one caption of about a dozen words.

    fvcore counts multiply–accumulates of the operations that it knows, attention is added here: twice that
    are FLOPs.
    """
    model, inputs = _traceable(encoder)
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad(), _attention_in_parts():
        warnings.simplefilter("ignore")  # its import warns of what torch deprecates
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(model, inputs)
        analysis.set_op_handle("aten::scaled_dot_product_attention", _attention)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        return 2.0 * analysis.total()


@contextmanager
def _attention_in_parts() -> Iterator[None]:
    """Keep PyTorch from running a whole attention layer, projections too, as one operation nobody counts."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _attention(inputs: list[Any], _: list[Any]) -> int:
    """Multiply–accumulates of softmax(Q Kᵀ) V, for query [..., L, E], key [..., S, E] and value [..., S, V]."""
    query, key, value = (tensor.type().sizes() for tensor in inputs[:3])
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _traceable(encoder: Any) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    if hasattr(encoder, "example"):
        return encoder.model, encoder.example
    caption = "a small red umbrella on the left of a blue striped field"
    tokens = (
        encoder.model.preprocess([caption])
        if hasattr(encoder.model, "preprocess")
        else encoder.model.tokenize([caption])
    )
    tensors = {
        name: value.to(encoder.model.device)
        for name, value in tokens.items()
        if isinstance(value, torch.Tensor)
    }
    return _TextForward(encoder.model, list(tensors)), tuple(tensors.values())

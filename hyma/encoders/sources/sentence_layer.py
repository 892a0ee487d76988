"""The hidden states of any layer of a sentence-transformers model, pooled as the model pools those of its last.

The layers after it are let go, and with them what was trained on the last one's output: a final norm of the
transformer, and modules after the pooling but for a division by length.
"""

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from torch import Tensor, nn
from transformers import PreTrainedModel

from hyma.common.errors import HymaError
from hyma.encoders.base.choice import STATES, position

TEXTS = ["a", "two dogs on a red field"]
"""What the cut model has to make the same of as the whole one …"""
ROUNDING = 1e-5
"""… but for this part of its largest value."""


def of_layer(model: SentenceTransformer, layer: int, place: str) -> int:
    """Have a model give the features of one of its layers; return its number, counted from 0, what goes into the first.

    Args:
        model: the whole model, on the CPU; it is changed.
        layer: as in params.yaml.
        place: where that stands, for errors.

    Raises:
        HymaError: if the model has no such layer, or none that can be told.
    """
    if len(model) < 2 or not isinstance(model[0], Transformer) or not isinstance(model[1], Pooling):
        found = ", ".join(type(module).__name__ for module in model)
        raise HymaError(
            f"{place}.layer: only a transformer with a pooling has layers, this is {found}; leave it out"
        )
    states = _states(model)
    number = position(layer, len(states), STATES, place)
    if number < len(states) - 1:
        _cut(model, number, states, place)
    return number


def _cut(model: SentenceTransformer, number: int, states: Sequence[Tensor], place: str) -> None:
    """Have the model end after a layer, and see whether it then gives what that layer gave before."""
    body = _body(model)
    holders = _shorten(body, number, len(states) - 1)
    if not _equal(model, states[number]):
        for holder in holders:
            _drop_norm(holder)
    if not _equal(model, states[number]):
        raise HymaError(f"{place}.layer: {type(body).__name__} cannot be cut after a layer; leave it out")
    for after in range(2, len(model)):
        if not isinstance(model[after], Normalize):
            model[after] = nn.Identity()


def _body(model: SentenceTransformer) -> PreTrainedModel:
    transformer: Any = model[0]
    return transformer.model


def _states(model: SentenceTransformer) -> tuple[Tensor, ...]:
    """What goes into the first layer, and what comes of each, all of `TEXTS`."""
    config = _body(model).config
    before, config.output_hidden_states = config.output_hidden_states, True
    try:
        return _out(model)["all_layer_embeddings"]
    finally:
        config.output_hidden_states = before


@torch.inference_mode()
def _out(model: SentenceTransformer) -> dict[str, Any]:
    return model[0](model.preprocess(TEXTS))


def _equal(model: SentenceTransformer, expected_BTD: Tensor) -> bool:
    found_BTD = _out(model)["token_embeddings"]
    return torch.allclose(found_BTD, expected_BTD, rtol=0, atol=ROUNDING * float(expected_BTD.abs().max()))


def _shorten(body: PreTrainedModel, number: int, count: int) -> list[nn.Module]:
    """Keep the first so many of its layers; return the modules that hold them."""
    holders = []
    for module in list(body.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ModuleList) and len(child) == count:
                setattr(module, name, child[:number])
                holders.append(module)
    if not holders:  # one layer that is gone through again and again, as in ALBERT
        body.config.num_hidden_layers = number
    return holders


def _drop_norm(holder: nn.Module) -> None:
    """Take out what normalises the last layer's output, beside the layers."""
    for name, child in list(holder.named_children()):
        if "Norm" in type(child).__name__:
            setattr(holder, name, nn.Identity())

"""A convolutional model's forward pass as a CPU likes it: the same features but for rounding, in less time.

The layout of weights and pictures is channels last, and the graph is frozen: what does not depend on the picture is
worked out once, batch normalisation becomes part of the convolution before it, and Python is left out.
"""

import logging
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

ROUNDING = 1e-4
"""Of the largest feature, how far a graph's may lie from the model's; rounding makes about a hundredth of it."""

log = logging.getLogger(__name__)

Forward = Callable[[Tensor], Tensor]
"""Pictures [B, 3, H, W] → features [B, D]."""


def faster(model: nn.Module, example_13HW: Tensor, precision: torch.dtype) -> Forward:
    """Return what computes a frozen model's features fastest.

    That is the model itself, except on a CPU in single precision if it has convolutions beyond the one that makes
    patches of a picture. What is chosen depends on the model alone, never on timing. The model's weights
    change their layout, not their values.

    Args:
        model: in evaluation mode, its parameters without gradients.
        example_13HW: a picture of the size that all have, on the model's device.
        precision: of the forward pass.
    """
    if example_13HW.device.type != "cpu" or precision != torch.float32 or not _convolutional(model):
        return model
    model.to(memory_format=torch.channels_last)
    with torch.inference_mode(False), torch.no_grad():
        forward = _frozen(model, example_13HW)
    return lambda image_B3HW: forward(image_B3HW.contiguous(memory_format=torch.channels_last))


def _convolutional(model: nn.Module) -> bool:
    return sum(isinstance(module, nn.Conv2d) for module in model.modules()) > 1


def _frozen(model: nn.Module, example_13HW: Tensor) -> Forward:
    """The model's graph, or the model where tracing fails or took for constant what is not, as the batch's size."""
    noise_23HW = torch.rand(2, *example_13HW.shape[1:], generator=torch.Generator().manual_seed(0))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch.jit's end, and of each comparison of sizes
            graph = torch.jit.freeze(torch.jit.trace(model, example_13HW, check_trace=False))
        found_BD, expected_BD = graph(noise_23HW), model(noise_23HW)
        torch.testing.assert_close(
            found_BD, expected_BD, rtol=0, atol=ROUNDING * expected_BD.abs().max().item()
        )
    except Exception as error:  # a model may hold any code, and torch without torch.jit is to come
        log.info("%s is not frozen: %s", type(model).__name__, error)
        return model
    return graph

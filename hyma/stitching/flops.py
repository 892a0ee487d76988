"""What training connectors costs in floating-point operations (FLOPs).

fvcore counts the forward pass of connectors (and networks) in multiply–accumulates: twice that are FLOPs.
It knows neither backward passes, the loss nor the optimizer; these are closed forms, written out below.
Elementwise work (activations, softmax) is left out, as is the custom, except for the optimizer, which does
nothing else. Letters: B batch, D a width, P parameters.
"""

import logging
import warnings
from functools import cache

import torch
from torch import Tensor, nn

from hyma.common.names import PairName
from hyma.stitching.connectors import Connector, ConnectorSpec, forward

ADAMW_PER_PARAMETER = 14
"""AdamW's elementwise operations a parameter and step: decay 1, moments 7, root with bias correction 3, update 3."""
PARTS = ("connector forward", "connector backward", "InfoNCE", "hypernetwork", "optimizer")
Parts = dict[str, float]


class _ConnectorModule(nn.Module):
    def __init__(self, connector: Connector):
        super().__init__()
        self.connector = connector

    def forward(self, text: Tensor) -> Tensor:
        return forward(self.connector, text)


def count_forward(model: nn.Module, *inputs: Tensor) -> float:
    """FLOPs of one forward pass, by fvcore; of a module and tensors on the meta device, too."""
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # its import warns of what torch deprecates
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(model, inputs)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        return 2.0 * analysis.total()


@cache
def connector_forward(spec: ConnectorSpec, batch: int) -> float:
    """FLOPs of a connector on B texts: 2·B·out·in a layer.

    One text is counted, on weights that take no memory; the meta device would import PyTorch's compiler for it.
    """
    zero = torch.zeros(())
    connector = {
        f"{part}{index}": zero.expand(shape)
        for index, (out, into) in enumerate(spec.layers)
        for part, shape in (("weight", (out, into)), ("bias", (out,)))
    }
    return batch * count_forward(_ConnectorModule(connector), zero.expand(1, spec.d_text))


def connector_backward(spec: ConnectorSpec, batch: int) -> float:
    """FLOPs of its backward pass: 2·B·out·in for each layer's weights, and as much again for its input.

    The first layer's input is a frozen feature: nothing flows there.
    """
    products = [2.0 * batch * out * into for out, into in spec.layers]
    return 2 * sum(products) - products[0]


def info_nce(batch: int, dim: int, logit_products: int = 1) -> float:
    """FLOPs of InfoNCE's products, forward and backward: 2·B²·D each.

    The backward pass goes to the text side alone, since image features are frozen.

    Args:
        batch: B, every sample's negatives are the others.
        dim: D, the image encoder's width.
        logit_products: 1 for code that reads one B×B matrix along both directions, as ours; 2 for code that
            multiplies once a direction.
    """
    return logit_products * 2 * (2.0 * batch**2 * dim)


def optimizer(parameters: int) -> float:
    """FLOPs of an AdamW step."""
    return float(ADAMW_PER_PARAMETER * parameters)


def pair_step(spec: ConnectorSpec, batch: int, logit_products: int = 1) -> Parts:
    """One step on one pair, without the optimizer."""
    return {
        "connector forward": connector_forward(spec, batch),
        "connector backward": connector_backward(spec, batch),
        "InfoNCE": info_nce(batch, spec.d_image, logit_products),
        "hypernetwork": 0.0,
        "optimizer": 0.0,
    }


def grid(specs: dict[PairName, ConnectorSpec], batch: int, steps: int) -> Parts:
    """Grid search: `steps` steps for each pair."""
    total = dict.fromkeys(PARTS, 0.0)
    for spec in specs.values():
        step = pair_step(spec, batch)
        step["optimizer"] = optimizer(sum(out * into + out for out, into in spec.layers))
        add(total, step, steps)
    return total


def add(total: Parts, step: Parts, times: float) -> None:
    """Add `times` times the parts of `step` to `total`."""
    for name, value in step.items():
        total[name] += value * times


def steps(samples: int, batch: int, epochs: int) -> int:
    """Optimizer steps of `epochs` epochs; the last, incomplete batch of each is left out."""
    return epochs * (samples // min(batch, samples))

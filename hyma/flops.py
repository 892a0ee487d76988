"""What search methods cost in floating-point operations (FLOPs).

fvcore counts the forward pass of connectors and hypernetwork in multiply–accumulates: twice that are FLOPs.
It knows neither backward passes, the loss nor the optimizer; these are closed forms, written out below.
Elementwise work (activations, softmax) is left out, as is the custom, except for the optimizer, which does
nothing else. Letters: B batch, D a width, P parameters.
"""

import logging
import math
import warnings

import torch
from torch import Tensor, nn

from hyma.connectors import Connector, ConnectorSpec, forward, initialise
from hyma.hypernetwork import DenseHypernetwork, FactorisedHypernetwork, PairName

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
    """FLOPs of one forward pass, by fvcore."""
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # its import warns of what torch deprecates
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(model, inputs)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        return 2.0 * analysis.total()


def connector_forward(spec: ConnectorSpec, batch: int) -> float:
    """FLOPs of a connector on B texts: 2·B·out·in a layer."""
    connector = initialise(spec, torch.Generator().manual_seed(0))
    return count_forward(_ConnectorModule(connector), torch.zeros(batch, spec.d_text))


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
        _add(total, step, steps)
    return total


def dense_search(
    network: DenseHypernetwork, specs: dict[PairName, ConnectorSpec], batch: int, steps: int, bm: int
) -> Parts:
    """HYMA with the dense decoder: `steps` steps of `bm` of the pairs in `specs`, and all connectors written out.

    Every pair trained comes equally often. Everything in a hypernetwork is trained, its codes too: each product
    costs as much again for its weights and for its input, hence three times the forward pass.
    """
    total = dict.fromkeys(PARTS, 0.0)
    for spec in specs.values():
        _add(total, pair_step(spec, batch), steps * bm / len(specs))
    total["hypernetwork"] = count_forward(network, torch.tensor([0])) * (3 * steps * bm + len(network.specs))
    total["optimizer"] = optimizer(_size(network)) * steps
    return total


def factorised_start(network: FactorisedHypernetwork, samples: int, images: int, texts: int) -> Parts:
    """HYMA with the factorised decoder, before training: whitening, the shared space, components of all rows."""
    encoders = network.images + network.texts
    fitted = sum(white.flops for white in encoders)
    count = {id(white): images for white in network.images} | {id(white): texts for white in network.texts}
    rows = sum(2.0 * (samples + count[id(white)]) * white.map_DR.numel() for white in encoders)
    return {"closed form": fitted + rows + network.start_flops}


def factorised_training(
    network: FactorisedHypernetwork, batch: int, steps: int, bm: int, pairs: int
) -> Parts:
    """HYMA with the factorised decoder: `steps` steps of `bm` of `pairs` pairs, and all connectors written out.

    An encoder is computed once a step, if a pair of it is drawn. A product with a frozen side costs twice its
    forward pass, with both sides trained three times.
    """
    shared, units, spec = network.text_bias.shape[1], network.branch_bias.shape[1], network.spec
    deep = units if spec.kind == "mlp2" else 0
    image_R = [len(factor) for factor in network.image_factor]
    text_R = [len(factor) for factor in network.text_factor]
    image = [4.0 * batch * r * shared + (0 if spec.shared else 6.0 * r * shared**2) for r in image_R]
    text = [4.0 * batch * r * (shared + units) + 6.0 * batch * units * (shared + deep) for r in text_R]
    image_used, text_used = (_in_use(pairs, bm, len(side)) for side in (image_R, text_R))
    length = 0.0 if spec.shared else 6.0 * batch * shared**2
    size = image_used * sum(image_R) * shared
    size += text_used * sum(r * (shared + units) for r in text_R) + network.text_bias.numel()
    size += network.branch_bias.numel() + len(text_R) * units * (shared + deep)
    return {
        "hypernetwork": steps * (image_used * sum(image) + text_used * sum(text)) + _written_out(network),
        "InfoNCE": steps * bm * (6.0 * batch**2 * shared + length),
        "optimizer": steps * optimizer(round(size)),
    }


def _in_use(pairs: int, bm: int, encoders: int) -> float:
    """The chance that an encoder is in one of `bm` pairs drawn of all, each encoder having its share of them."""
    own = round(pairs / encoders)
    return 1 - math.comb(pairs - own, bm) / math.comb(pairs, bm)


def _written_out(network: FactorisedHypernetwork) -> float:
    """Products of every pair's factors."""
    shared, units = network.text_bias.shape[1], network.branch_bias.shape[1]
    total = 0.0
    for image in network.images:
        for text in network.texts:
            total += 2.0 * text.map_DR.numel() * (shared + units) + 2.0 * image.map_DR.numel() * shared
            wide = shared if network.spec.shared else len(image.mean_D)
            total += 2.0 * wide * shared * (len(text.mean_D) if network.spec.kind == "linear" else units)
    return total


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _add(total: Parts, step: Parts, times: float) -> None:
    for name, value in step.items():
        total[name] += value * times


def steps(samples: int, batch: int, epochs: int) -> int:
    """Optimizer steps of `epochs` epochs; the last, incomplete batch of each is left out."""
    return epochs * (samples // min(batch, samples))

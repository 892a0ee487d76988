"""What HYMA's two hypernetworks cost in FLOPs, counted as `hyma.stitching.flops` counts connectors."""

import math

import torch
from torch import nn

from hyma.common.names import PairName
from hyma.search.closed_form import SharedSpace, Whitening, leading_flops, shared_space_flops
from hyma.search.network import DenseHypernetwork, FactorisedHypernetwork, split_hidden
from hyma.search.params import HymaParams
from hyma.stitching import flops
from hyma.stitching.connectors import ConnectorSpec
from hyma.stitching.shapes import Shapes


class _Products(nn.Module):
    """The products of a dense hypernetwork, without cutting them into connectors: for the meta device, too."""

    def __init__(self, network: DenseHypernetwork):
        super().__init__()
        self.network = network

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        return self.network.codes(pairs) @ self.network.decoder


def outline(
    specs: dict[PairName, ConnectorSpec], shapes: Shapes, params: HymaParams
) -> DenseHypernetwork | FactorisedHypernetwork:
    """The hypernetwork that a search will build for `specs`, by shapes alone; a dense one takes no memory."""
    if params.decoder == "dense":
        with torch.device("meta"):
            return DenseHypernetwork(specs, params.code_dim, params.widths)
    samples, shared = shapes.drawn(params.samples), split_hidden(next(iter(specs.values())))[0]
    images, texts = (
        [_whitening(samples, width, params.components) for width in side.values()]
        for side in (shapes.images, shapes.texts)
    )
    image_maps, text_maps = (
        [torch.zeros(white.map_DR.shape[1], shared) for white in side] for side in (images, texts)
    )
    components = [sum(map(len, maps)) for maps in (image_maps, text_maps)]
    found = shared_space_flops(samples, components[0], components[1], shared)
    with torch.random.fork_rng(devices=[]):
        return FactorisedHypernetwork(specs, images, texts, SharedSpace(image_maps, text_maps, found))


def _whitening(samples: int, width: int, components: int) -> Whitening:
    kept = min(width, components)
    return Whitening(torch.empty(width), torch.empty(width, kept), leading_flops(samples, width, kept))


def dense_search(
    network: DenseHypernetwork, specs: dict[PairName, ConnectorSpec], batch: int, steps: int, bm: int
) -> flops.Parts:
    """HYMA with the dense decoder: `steps` steps of `bm` of the pairs in `specs`, and all connectors written out.

    Every pair trained comes equally often. Everything in a hypernetwork is trained, its codes too: each product
    costs as much again for its weights and for its input, hence three times the forward pass.
    """
    total = dict.fromkeys(flops.PARTS, 0.0)
    for spec in specs.values():
        flops.add(total, flops.pair_step(spec, batch), steps * bm / len(specs))
    one = torch.zeros(1, dtype=torch.long, device=network.decoder.device)
    total["hypernetwork"] = flops.count_forward(_Products(network), one) * (
        3 * steps * bm + len(network.specs)
    )
    total["optimizer"] = flops.optimizer(_size(network)) * steps
    return total


def factorised_start(network: FactorisedHypernetwork, samples: int, images: int, texts: int) -> flops.Parts:
    """HYMA with the factorised decoder, before training: whitening, the shared space, components of all rows."""
    encoders = network.images + network.texts
    fitted = sum(white.flops for white in encoders)
    count = {id(white): images for white in network.images} | {id(white): texts for white in network.texts}
    rows = sum(2.0 * (samples + count[id(white)]) * white.map_DR.numel() for white in encoders)
    return {"closed form": fitted + rows + network.start_flops}


def factorised_training(
    network: FactorisedHypernetwork, batch: int, steps: int, bm: int, pairs: int
) -> flops.Parts:
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
        "optimizer": steps * flops.optimizer(round(size)),
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

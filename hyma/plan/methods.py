"""What every search method costs in FLOPs before it runs, by part, as the method itself will count.

Methods that train follow `hyma.stitching.flops`; one with a budget spends it. Methods that train nothing have
their forms in `hyma.plan.training_free`. A method that is in neither is not estimated.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from hyma.common.names import PairName
from hyma.plan import training_free
from hyma.plan.work import Work
from hyma.search import flops as network_flops
from hyma.search.closed_form import Principal, Whitening, shared_space
from hyma.search.network import DenseHypernetwork, FactorisedHypernetwork, split_hidden
from hyma.search.params import HymaParams
from hyma.stitching import flops
from hyma.stitching.connectors import ConnectorSpec
from hyma.stitching.flops import Parts
from hyma.stitching.params import TrainingParams


def count(work: Work) -> dict[str, Parts | None]:
    """The cost of every method that will run; None for one whose cost cannot be known before."""
    experiment = work.experiment
    hyma = hypernetwork(work, experiment.hyma)
    found: dict[str, Parts | None] = {
        "grid": grid(work, experiment.grid),
        "hyma": hyma,
        "refine": {"the search before": sum(hyma.values()), "refinement": experiment.refine.flops},
    }
    for name in experiment.search.methods:
        form = FORMS.get(name)
        found[name] = None if form is None else form(work, work.sections[name])
    return found


def pair_step(spec: ConnectorSpec, batch: int) -> Parts:
    """One step on one pair, as `hyma.stitching.flops.grid` counts it, without running it once."""
    products = sum(out * into for out, into in spec.layers)
    return {
        "connector forward": 2.0 * batch * products,
        "connector backward": flops.connector_backward(spec, batch),
        "InfoNCE": flops.info_nce(batch, spec.d_image),
        "optimizer": flops.optimizer(products + sum(out for out, _ in spec.layers)),
    }


def every_pair(work: Work, batch: int, steps: float, pairs: Iterable[PairName] | None = None) -> Parts:
    """`steps` steps on each of `pairs` (all, unless given)."""
    total: Parts = {}
    for pair in work.specs if pairs is None else pairs:
        for part, value in pair_step(work.specs[pair], min(batch, work.samples)).items():
            total[part] = total.get(part, 0.0) + steps * value
    return total


def grid(work: Work, own: TrainingParams) -> Parts:
    """Every pair for `own.epochs` epochs."""
    return every_pair(work, own.batch, flops.steps(work.samples, own.batch, own.epochs))


def _cgs(work: Work, own: Any) -> Parts:
    return every_pair(work, own.batch, own.samples // min(own.batch, work.samples))


def _cross(work: Work, own: Any) -> Parts:
    """One row and one column of the grid, drawn by lot as the method will draw them."""
    draw = np.random.default_rng(work.experiment.seed)
    image, text = str(draw.choice(list(work.images))), str(draw.choice(list(work.texts)))
    drawn = [pair for pair in work.specs if image in pair or text in pair]
    return every_pair(work, own.batch, flops.steps(work.samples, own.batch, own.epochs), drawn)


def _autopair(_: Work, own: Any) -> Parts:
    return {"the budget": own.flops}


def _two_sided(work: Work, own: Any) -> Parts:
    return hypernetwork(work, own, two_sided=True)


def hypernetwork(work: Work, own: HymaParams, two_sided: bool = False) -> Parts:
    """HYMA, by the shapes of its hypernetwork."""
    batch, steps = min(own.batch, work.samples), flops.steps(work.samples, own.batch, own.epochs)
    pairs, network = len(work.specs), network_of(work, own, two_sided)
    bm = min(own.bm, pairs)
    if isinstance(network, DenseHypernetwork):
        return _dense(work, network, batch, steps, bm)
    samples = min(own.samples, work.distinct)
    start = network_flops.factorised_start(network, samples, work.rows.images, work.rows.texts)
    return start | network_flops.factorised_training(network, batch, steps, bm, pairs)


def network_of(
    work: Work, own: HymaParams, two_sided: bool = False
) -> DenseHypernetwork | FactorisedHypernetwork:
    """The hypernetwork on the meta device: its shapes, and what its closed form costs."""
    specs = work.specs
    if own.decoder == "dense":
        with torch.device("meta"):
            return DenseHypernetwork(specs, own.code_dim, own.widths)
    shared, samples = split_hidden(next(iter(specs.values())))[0], min(own.samples, work.distinct)
    if two_sided:
        specs = {pair: replace(spec, shared=shared) for pair, spec in specs.items()}
    images, texts = (
        [_whitening(samples, width, own.components) for width in side.values()]
        for side in (work.images, work.texts)
    )
    image_parts, text_parts = (
        [white.mean_D.new_empty(samples, white.map_DR.shape[1]) for white in side] for side in (images, texts)
    )
    return FactorisedHypernetwork(specs, images, texts, shared_space(image_parts, text_parts, shared))


def _whitening(samples: int, width: int, components: int) -> Whitening:
    """An encoder's whitening by shape and cost; `Principal.whitening` looks at values, which there are not."""
    found = Principal.fit(torch.empty(samples, width, device="meta"), components)
    return Whitening(found.mean_D, found.basis_DR, found.flops)


def _dense(work: Work, network: DenseHypernetwork, batch: int, steps: int, bm: int) -> Parts:
    """As `hyma.stitching.flops.dense_search`, on the meta device."""
    pairs = len(work.specs)
    total = every_pair(work, batch, steps * bm / pairs)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.codes(torch.zeros(1, dtype=torch.long, device="meta")) @ network.decoder
    size = sum(weight.numel() for weight in network.parameters())
    total["hypernetwork"] = float(counter.get_total_flops()) * (3 * steps * bm + pairs)
    total["optimizer"] = flops.optimizer(size) * steps
    return total


FORMS: dict[str, Callable[[Work, Any], Parts]] = {
    "autopair": _autopair,
    "cgs": _cgs,
    "cross": _cross,
    "grid_large": grid,
    "hyma_two_sided": _two_sided,
} | training_free.FORMS

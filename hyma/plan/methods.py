"""The search methods that will run: their sections, the shapes that they see, and what they say that they cost."""

from typing import Any

from hyma.common import params
from hyma.methods import load
from hyma.plan.encoders import Encoder
from hyma.plan.experiment import Experiment, guess
from hyma.plan.rows import Rows
from hyma.search import hyma_search, refine
from hyma.stitching import grid
from hyma.stitching.flops import Parts
from hyma.stitching.shapes import Shapes


def sections(experiment: Experiment, sizes: Shapes | None) -> dict[str, Any]:
    """The section of every search method that runs, or has one, validated.

    Raises:
        HymaError: if one has a mistake.
    """
    given = {name: {} for name in experiment.search.methods} | (experiment.search.model_extra or {})
    return {
        name: params.validate(content, load(name).Params, key=f"search.{name}", sizes=sizes or guess({}))
        for name, content in given.items()
    }


def shapes(
    experiment: Experiment, encoders: dict[str, Encoder], rows: dict[str, Rows | None]
) -> Shapes | None:
    """The search on those encoders whose widths are known; None if a side has none, or the rows are unknown."""
    training = rows[f"training/{next(iter(experiment.training))}"]
    images, texts = (
        {slug: own.facts.dim for slug, own in encoders.items() if own.modality == side and own.facts}
        for side in ("image", "text")
    )
    if training is None or not images or not texts:
        return None
    counts = training.images, training.texts
    return Shapes.expected(images, texts, counts, experiment.connector, experiment.seed)


def count(experiment: Experiment, own: dict[str, Any], sizes: Shapes) -> dict[str, Parts | None]:
    """The FLOPs of every method that will run, by part; None for one that does not say.

    Args:
        experiment: the experiment.
        own: the methods' `sections`.
        sizes: its `shapes`.
    """
    bm = min(experiment.hyma.bm, len(sizes.pairs))  # fewer pairs than there will be, if a width is unknown
    hyma = hyma_search.cost(sizes, experiment.hyma.model_copy(update={"bm": bm}))
    found: dict[str, Parts | None] = {"hyma": hyma}
    if own_grid := trained(experiment, sizes)["flops"]:
        found = {"grid": own_grid} | found
    if experiment.refine is not None:
        found["refine"] = refine.cost(experiment.refine, hyma)
    for name in experiment.search.methods:
        form = getattr(load(name), "cost", None)
        found[name] = None if form is None else form(sizes, own[name])
    return found


def trained(experiment: Experiment, sizes: Shapes) -> dict[str, Any]:
    """How many ``pairs`` of ``all`` are trained on their own, their ``flops`` by part, and what the ``whole`` takes.

    Which pairs an audit trains only the search knows: their cost is the mean pair's.
    """
    whole, pairs = grid.cost(sizes, experiment.grid), len(sizes.pairs)
    wanted = {"full": pairs, "audit": experiment.finals.top + experiment.audit.pairs, "none": 0}
    count = min(pairs, wanted[experiment.oracle])
    flops = {part: spent * count / pairs for part, spent in whole.items()} if count else {}
    return {"pairs": count, "all": pairs, "flops": flops, "whole": sum(whole.values())}

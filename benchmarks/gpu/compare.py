"""Parts a, b and c: a search gives the same on a GPU as on a CPU, in every precision, streamed or not.

Two devices add numbers in different orders, and training multiplies what that changes in the seventh digit. The
limits are about ten times what a change of all features by a millionth does to the same search on a CPU.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.gpu import data
from benchmarks.gpu.device import CPU, uncounted
from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.table import Row, all_at_most, at_most, measured
from hyma.common.names import Precision
from hyma.search import hyma_search
from hyma.search.closed_form import Principal
from hyma.search.params import HymaParams
from hyma.stitching.grid import train_pair
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures

SEED = 0
PAIR = ("i0", "t0")
FINAL = 0.1
"""Share of the steps, the last ones, whose mean loss is the final loss."""
Search = Callable[[TrainingFeatures], SearchResult]


@dataclass(frozen=True)
class Tolerance:
    """How far two results may be apart."""

    loss: float
    """At any step, relative."""
    score: float
    """Held-out recall@5, of any pair."""
    output: float
    """1 − the mean cosine of what the connectors make of held-out captions, of any pair."""


SAME = Tolerance(0.0, 0.0, 1e-6)
"""To the bit; a cosine of equal vectors is 1 but for rounding."""
GRID = Tolerance(0.01, 0.01, 1e-3)
HYMA = Tolerance(0.05, 0.05, 0.01)
LOT = Tolerance(0.3, 0.1, 0.3)
"""The sign of a principal component is each library's own choice, and decides which first weights it meets."""


def connector(sizes: Sizes, kind: Any = "mlp1", **changes: Any) -> ConnectorParams:
    """The connectors of the comparisons."""
    return ConnectorParams(kind=kind, hidden=sizes.hidden, holdout=sizes.holdout, **changes)


def grid(sizes: Sizes, precision: Precision = "fp32", epochs: int | None = None, **changes: Any) -> Search:
    """Grid search on one pair."""
    params = GridParams(batch=sizes.batch, epochs=epochs or sizes.epochs, precision=precision)
    return lambda features: train_pair(features, params, connector(sizes, **changes), SEED, PAIR)


def hyma(sizes: Sizes, decoder: Any, kind: Any = "mlp1", precision: Precision = "fp32") -> Search:
    """HYMA's search over all pairs."""
    params = HymaParams(
        batch=sizes.batch, epochs=sizes.epochs, precision=precision, decoder=decoder, widths=list(sizes.codes)
    )

    def search(features: TrainingFeatures) -> SearchResult:
        with uncounted():
            return hyma_search.search(features, params, connector(sizes, kind), SEED)

    return search


def on_both(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    """Part a: each search on the CPU and on the device, and twice on the device.

    A row names the largest relative difference of a step's loss, of a score, and 1 − the mean cosine of what the
    connectors make of held-out captions.
    """
    arrays = data.draw(sizes.rows, sizes.images, sizes.texts, sizes.noise)
    cpu, gpu = (data.put(arrays, connector(sizes), place) for place in (CPU, device))
    searches = (
        ("grid search", grid(sizes), GRID),
        ("grid search, standardised", grid(sizes, normalise="standardise"), GRID),
        ("hyma, factorised, linear", hyma(sizes, "factorised", "linear"), HYMA),
        ("hyma, factorised, mlp1, equal signs", with_equal_signs(hyma(sizes, "factorised")), HYMA),
        ("hyma, factorised, mlp1, as it is", hyma(sizes, "factorised"), LOT),
        ("hyma, dense", hyma(sizes, "dense"), HYMA),
    )
    for name, search, tolerance in searches:
        there = search(gpu)
        yield apart("a", name, search(cpu), there, cpu, tolerance)
        yield apart("a", f"{name}, twice on the device", there, search(gpu), cpu, SAME)
    yield _components(sizes, device)


def apart(
    part: str, name: str, one: SearchResult, other: SearchResult, features: TrainingFeatures, most: Tolerance
) -> Row:
    """How far two results of a search are apart; `features` are the CPU's."""
    first_S, second_S = (np.array(result.history["loss"]) for result in (one, other))
    loss = float((np.abs(first_S - second_S) / first_S).max())
    score = max(abs(one.scores[pair] - other.scores[pair]) for pair in one.scores)
    output = max(_turned(one, other, pair, features) for pair in one.stitches)
    values = {"loss": (loss, most.loss), "scores": (score, most.score), "outputs": (output, most.output)}
    return all_at_most(part, name, values)


def _turned(one: SearchResult, other: SearchResult, pair: str, features: TrainingFeatures) -> float:
    """1 − the mean cosine of the outputs of a pair's two connectors."""
    text_BD = features.texts[pair.partition("-")[2]][features.held_out]
    first_BD, second_BD = (
        on_cpu(result.stitches[pair]).embed_text(text_BD).double() for result in (one, other)
    )
    return abs(1 - float((first_BD * second_BD).sum(-1).mean()))


def on_cpu(stitch: Any) -> Any:
    """A pair's connector where the CPU's features are."""
    return stitch.to(CPU)


def with_equal_signs(search: Search) -> Search:
    """The search, with the sign of every principal component fixed: the sum of its entries is not negative."""
    fit = Principal.fit.__func__  # type: ignore[attr-defined]  # a class method's function

    def fixed(cls: type[Principal], *arguments: Any) -> Principal:
        found = fit(cls, *arguments)
        sign_R = torch.where(found.basis_DR.sum(0) < 0, -1.0, 1.0)
        return Principal(found.mean_D, found.basis_DR * sign_R, found.variance_R, found.flops)

    def searched(features: TrainingFeatures) -> SearchResult:
        with patch.object(Principal, "fit", classmethod(fixed)):
            return search(features)

    return searched


def _components(sizes: Sizes, device: torch.device) -> Row:
    """The randomised method draws other numbers on a GPU: what it finds should hold as much of the variance."""
    width = sizes.components * 6
    images, _ = data.draw(sizes.rows, (width,), (), sizes.noise)
    feature_ND = torch.from_numpy(images["i0"])
    one, other = (
        float(Principal.fit(feature_ND.to(place), sizes.components).variance_R.sum())
        for place in (CPU, device)
    )
    return at_most(
        "a", "principal components, drawn by lot: variance, relative", abs(one - other) / one, 0.01
    )


def precisions(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    """Part b: the same pair in single and in half precision, on the device."""
    arrays = data.draw(sizes.precision_rows, sizes.images[:1], sizes.texts[:1], sizes.noise)
    features = data.put(arrays, connector(sizes), device)
    found = {}
    for precision in ("fp32", "bf16", "fp16"):
        result = grid(sizes, precision, sizes.precision_epochs)(features)
        losses = result.history["loss"]
        loss = float(np.mean(losses[-max(1, round(FINAL * len(losses))) :]))
        recall = max(result.scores.values())
        found[precision] = loss, recall
        yield measured("b", f"{precision}: final loss, recall@5", f"{loss:.4f}, {recall:.3f}")
        if precision != "fp32":
            (own, reached), (most, least) = found["fp32"], sizes.precision_limits
            yield at_most("b", f"{precision}: final loss, relative to fp32's", abs(loss - own) / own, most)
            yield at_most("b", f"{precision}: recall@5, difference from fp32's", abs(recall - reached), least)


def streamed(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    """Part c: rows of features that lie in main memory, drawn to the device, against features that lie there."""
    arrays = data.draw(sizes.rows, sizes.images, sizes.texts, sizes.noise)
    cpu = data.put(arrays, connector(sizes), CPU)
    kept, drawn = (data.put(arrays, connector(sizes), device, streamed) for streamed in (False, True))
    searches = (
        ("grid search", grid(sizes), GRID),
        ("grid search, standardised", grid(sizes, normalise="standardise"), GRID),
        ("hyma, factorised, linear", hyma(sizes, "factorised", "linear"), HYMA),
    )
    for name, search, tolerance in searches:
        yield apart("c", name, search(kept), search(drawn), cpu, tolerance)

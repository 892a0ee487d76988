"""Generalised canonical correlation analysis: one space for all encoders, and N + M maps for N × M pairs.

In the family of Kettenring 1971, "Canonical analysis of several sets of variables"; only covariances between
an image and a text encoder count, since only such pairs are to be stitched.
"""

from collections.abc import Iterator, Sequence
from statistics import mean
from typing import NamedTuple

from torch import Tensor

from hyma.common.names import PairName
from hyma.methods.shared.closed_flops import sample_counts, two_sided_flops, whitening_flops
from hyma.methods.shared.closed_params import WhiteningParams
from hyma.methods.shared.closed_stitching import (
    Candidate,
    Setting,
    Side,
    Stitching,
    affine,
    at_most,
    attempt,
    cuts,
)
from hyma.methods.shared.similarity import Undefined
from hyma.search.closed_form import common_covariance, shared_space, shared_space_flops
from hyma.stitching.connectors import Connector
from hyma.stitching.flops import Parts
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

LABEL = "generalised CCA"


class Params(WhiteningParams):
    """Section ``search.gcca``."""


class Maps(NamedTuple):
    """Every encoder's map into the shared space, under one setting."""

    setting: Setting
    images: dict[str, Connector]
    texts: dict[str, Connector]

    def of(self, pair: PairName) -> Candidate:
        """A pair's connectors."""
        return Candidate(self.setting, self.texts[pair[1]], self.images[pair[0]])


def cost(shapes: Shapes, params: Params) -> Parts:
    """The most FLOPs of a search: how many directions carry anything, and what fails, only the search knows."""
    (count, validation), most = sample_counts(shapes, params), max(params.directions)
    images, texts = (
        [min(width, params.components) for width in side.values()] for side in (shapes.images, shapes.texts)
    )
    kept = zip(shapes.widths, images + texts, strict=True)
    solves = shared_space_flops(count, sum(images), sum(texts), most)
    solves += sum(2.0 * (count + width) * components * most for width, components in kept)
    tried = at_most(min(most, sum(images), sum(texts)), params.directions)
    pairs = shapes.widths_of(shapes.seen)
    return {
        "principal components": whitening_flops(shapes, params),
        "solves": len(params.shrinkage) * solves,
        "validation": len(params.shrinkage) * sum(two_sided_flops(validation, tried, d, e) for d, e in pairs),
    }


def search(features: TrainingFeatures, params: Params, connector: ConnectorParams, seed: int) -> SearchResult:
    """Map all encoders to the directions that all pairs share, each times its mean covariance.

    One setting serves all pairs: the one with the best mean on validation. Pairs left out have no part in any
    of it, and are predicted.
    """
    stitching = Stitching(LABEL, features, params, connector, seed)
    learning = {slug for pair in features.seen for slug in enumerate(pair)}

    def side(number: int, slug: str) -> Side | Undefined:
        if (number, slug) not in learning:
            return Undefined(f"{slug}: all of its pairs are left out")
        feature_ND = stitching.text(slug) if number else stitching.image(slug)
        return attempt(lambda own_ND: stitching.side(own_ND, params.components), feature_ND, slug)

    images = {slug: side(0, slug) for slug in features.images}
    texts = {slug: side(1, slug) for slug in features.texts}
    best = _best(stitching, params, _sound(images), _sound(texts))
    for pair in features.pairs:
        reasons = [str(own) for own in (images[pair[0]], texts[pair[1]]) if isinstance(own, Undefined)]
        if best is None or reasons:
            stitching.fail(pair, (reasons or ["no pair is left to learn from"])[0])
        else:
            stitching.keep(pair, best.of(pair))
    return stitching.finish()


def _sound(sides: dict[str, Side | Undefined]) -> dict[str, Side]:
    return {slug: side for slug, side in sides.items() if isinstance(side, Side)}


def _best(
    stitching: Stitching, params: Params, images: dict[str, Side], texts: dict[str, Side]
) -> Maps | None:
    """The maps that validate best over the pairs to learn from; None if there is no such pair."""
    seen = [pair for pair in stitching.features.seen if pair[0] in images and pair[1] in texts]
    best, best_score = None, -1.0
    for shrinkage in params.shrinkage if seen else []:
        for maps in _maps(stitching, params.directions, shrinkage, images, texts):
            score = mean(stitching.validate(pair, maps.of(pair)) for pair in seen)
            if score > best_score:
                best, best_score = maps, score
    return best


def _maps(
    stitching: Stitching,
    directions: Sequence[int],
    shrinkage: float,
    images: dict[str, Side],
    texts: dict[str, Side],
) -> Iterator[Maps]:
    """The maps of all encoders under one shrinkage, for one number of directions after the other."""
    left_out = [
        (list(images).index(image), list(texts).index(text))
        for image, text in stitching.features.left_out
        if image in images and text in texts
    ]
    image_white = [side.score_NR * side.principal.scale(shrinkage) for side in images.values()]
    text_white = [side.score_NR * side.principal.scale(shrinkage) for side in texts.values()]
    space = shared_space(image_white, text_white, max(directions), left_out)
    weight_K = common_covariance(space, image_white, text_white, left_out).clamp_min(0)
    weight_K = weight_K / weight_K.max().clamp_min(1e-30)
    image_maps = _connectors(stitching, images, space.images, shrinkage, weight_K)
    text_maps = _connectors(stitching, texts, space.texts, shrinkage, weight_K)
    stitching.flops["solves"] += space.flops
    for count in cuts(weight_K, directions):
        setting = {"shrinkage": shrinkage, "directions": count}
        yield Maps(setting, _cut(image_maps, count), _cut(text_maps, count))


def _connectors(
    stitching: Stitching, sides: dict[str, Side], maps: Sequence[Tensor], shrinkage: float, weight_K: Tensor
) -> dict[str, Connector]:
    """Write out the maps of all encoders of a side, from features to all directions times their weights."""
    found = {}
    for (slug, side), map_RK in zip(sides.items(), maps, strict=True):
        white = side.principal.whitening(shrinkage)
        found[slug] = affine(white.mean_D, white.map_DR @ (map_RK * weight_K))
        # Once more for the samples, in `common_covariance`.
        rows = len(side.score_NR) + len(white.mean_D)
        stitching.flops["solves"] += 2.0 * rows * map_RK.numel()
    return found


def _cut(maps: dict[str, Connector], count: int) -> dict[str, Connector]:
    """The maps to the first `count` directions alone."""
    return {
        slug: {name: weight[:count] for name, weight in connector.items()} for slug, connector in maps.items()
    }

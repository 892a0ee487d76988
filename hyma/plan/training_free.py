"""FLOPs of the search methods that train nothing, from shapes alone.

As each method counts itself while it runs; where it looks at data (how many directions carry anything), the most
there can be is counted. Letters as in `hyma.methods.shared.closed_stitching`: N captions to fit on, V to validate
on, D / E the widths of an image and a text encoder, R / S their components kept, K directions.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from hyma.methods.shared.closed_stitching import SHARE, StitchParams, WhiteningParams
from hyma.methods.shared.training_free import singular_value_flops, svd_flops
from hyma.plan.work import Work
from hyma.search.closed_form import Principal, shared_space
from hyma.stitching.flops import Parts


def _widths(work: Work) -> list[int]:
    return [*work.images.values(), *work.texts.values()]


def _pairs(work: Work) -> Iterator[tuple[int, int]]:
    return ((d, e) for d in work.images.values() for e in work.texts.values())


def _samples(work: Work, own: StitchParams) -> tuple[int, int]:
    """N and V, as `Stitching` shares them out."""
    found = min(own.samples + own.validation, work.distinct)
    few = min(own.validation, max(1, round(SHARE * found)))
    validation = own.validation if found == own.samples + own.validation else few
    return found - validation, validation


def _principal(count: int, width: int, components: int | None) -> float:
    """An encoder's principal components and the coordinates of its samples."""
    kept = min(width, components or width)
    found = Principal.fit(torch.empty(count, width, device="meta"), components)
    return found.flops + 2.0 * count * width * kept


def _ridge(work: Work, own: Any) -> Parts:
    count, validation = _samples(work, own)
    tried = len(own.ridge)
    return {
        "principal components": sum(_principal(count, e, None) for e in work.texts.values()),
        "solves": sum(2.0 * count * e * d + tried * 2.0 * e * e * d for d, e in _pairs(work)),
        "validation": sum(tried * 2.0 * validation * (d * e + validation * d) for d, e in _pairs(work)),
    }


def _cuts(own: WhiteningParams, most: int) -> list[int]:
    return list(dict.fromkeys(min(count, most) for count in own.directions))


def _canonical(count: int, own: WhiteningParams, r: int, s: int) -> float:
    few, many = sorted((r, s))
    return 2.0 * count * r * s + len(own.shrinkage) * (6.0 * many * few**2 + 20.0 * few**3)


def _principals(work: Work, own: WhiteningParams) -> float:
    return sum(_principal(_samples(work, own)[0], width, own.components) for width in _widths(work))


def _procrustes(work: Work, own: Any) -> Parts:
    (count, validation), solves, validated = _samples(work, own), 0.0, 0.0
    for d, e in _pairs(work):
        r, s = min(d, own.components), min(e, own.components)
        cuts, tried = _cuts(own, min(r, s)), len(own.shrinkage)
        written = 2.0 * (d * r + e * s) * min(r, s) + sum(2.0 * d * e * cut for cut in cuts)
        solves += _canonical(count, own, r, s) + tried * written
        validated += tried * len(cuts) * 2.0 * validation * (d * e + validation * d)
    return {"principal components": _principals(work, own), "solves": solves, "validation": validated}


def _two_sided_validation(validation: int, cuts: list[int], d: int, e: int) -> float:
    return sum(2.0 * validation * cut * (d + e + validation) for cut in cuts)


def _cca(work: Work, own: Any) -> Parts:
    (count, validation), solves, validated = _samples(work, own), 0.0, 0.0
    for d, e in _pairs(work):
        r, s = min(d, own.components), min(e, own.components)
        tried = len(own.shrinkage)
        solves += _canonical(count, own, r, s) + tried * 2.0 * (d * r + e * s) * min(r, s)
        validated += tried * _two_sided_validation(validation, _cuts(own, min(r, s)), d, e)
    return {"principal components": _principals(work, own), "solves": solves, "validation": validated}


def _gcca(work: Work, own: Any) -> Parts:
    (count, validation), most = _samples(work, own), max(own.directions)
    images, texts = (
        [torch.empty(count, min(width, own.components), device="meta") for width in side.values()]
        for side in (work.images, work.texts)
    )
    maps = sum(2.0 * (count + width) * min(width, own.components) * most for width in _widths(work))
    rank = min(sum(part.shape[1] for part in side) for side in (images, texts))
    cuts = _cuts(own, min(most, rank))
    validated = sum(_two_sided_validation(validation, cuts, d, e) for d, e in _pairs(work))
    return {
        "principal components": _principals(work, own),
        "solves": len(own.shrinkage) * (shared_space(images, texts, most).flops + maps),
        "validation": len(own.shrinkage) * validated,
    }


def _squares(work: Work, own: Any) -> float:
    """A product of all samples with all samples, an encoder."""
    return sum(2.0 * min(own.samples, work.distinct) ** 2 * width for width in _widths(work))


def _aligned(work: Work, own: Any) -> float:
    return 2.0 * min(own.samples, work.distinct) ** 2 * len(work.specs)


def _mutual_knn(work: Work, own: Any) -> Parts:
    return {"cosines": _squares(work, own)}


def _cka(work: Work, own: Any) -> Parts:
    return {"Gram matrices": _squares(work, own), "alignment": _aligned(work, own)}


def _cknna(work: Work, own: Any) -> Parts:
    return {"cosines": _squares(work, own)} | _cka(work, own)


def _decompositions(work: Work, own: Any) -> float:
    return sum(svd_flops(min(own.samples, work.distinct), width) for width in _widths(work))


def _svcca(work: Work, own: Any) -> Parts:
    count = min(own.samples, work.distinct)
    compared = sum(2.0 * count * d * e + singular_value_flops(d, e) for d, e in _pairs(work))
    return {"decomposition": _decompositions(work, own), "correlation": compared}


def _logme(work: Work, own: Any) -> Parts:
    count = min(own.samples, work.distinct)
    projected = sum(2.0 * count * min(d, own.components, count) * min(e, count) for d, e in _pairs(work))
    return {"decomposition": _decompositions(work, own), "projection": projected}


def _random(_work: Work, _own: Any) -> Parts:
    return {"drawing": 0.0}


FORMS: dict[str, Callable[[Work, Any], Parts]] = {
    "cca": _cca,
    "cka": _cka,
    "cknna": _cknna,
    "gcca": _gcca,
    "logme": _logme,
    "mutual_knn": _mutual_knn,
    "procrustes": _procrustes,
    "random": _random,
    "ridge": _ridge,
    "svcca": _svcca,
}

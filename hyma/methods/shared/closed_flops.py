"""What the closed-form methods' linear algebra costs in FLOPs, counted while they run and planned before.

Letters as in `hyma.methods.shared.closed_stitching`.
"""

from collections.abc import Iterable

from hyma.methods.shared.closed_params import StitchParams, WhiteningParams, fitted
from hyma.search.closed_form import leading_flops
from hyma.stitching.shapes import Shapes


def sample_counts(shapes: Shapes, params: StitchParams) -> tuple[int, int]:
    """N and V."""
    found = shapes.drawn(params.samples + params.validation)
    return fitted(found, params), found - fitted(found, params)


def principal_flops(count: int, width: int, components: int | None = None) -> float:
    """FLOPs of an encoder's principal components, and of the coordinates of its samples."""
    kept = min(width, components or width)
    return leading_flops(count, width, kept) + 2.0 * count * width * kept


def vectors_flops(rows: int, columns: int) -> float:
    """FLOPs of the R-SVD with both sides' vectors (Golub & Van Loan 2013, Matrix Computations, 8.6.3)."""
    few, many = sorted((rows, columns))
    return 6.0 * many * few**2 + 20.0 * few**3


def validation_flops(count: int, weights: int, width: int) -> float:
    """FLOPs of validating V captions: through the connectors' weights, then against V images of a width."""
    return 2.0 * count * (weights + count * width)


def whitening_flops(shapes: Shapes, params: WhiteningParams) -> float:
    """FLOPs of the principal components of all encoders."""
    count, _ = sample_counts(shapes, params)
    return sum(principal_flops(count, width, params.components) for width in shapes.widths)


def canonical_flops(count: int, r: int, s: int, shrinkages: int) -> float:
    """FLOPs of `canonical` on R and S components."""
    return 2.0 * count * r * s + shrinkages * vectors_flops(r, s)


def two_sided_flops(validation: int, cuts: Iterable[int], d: int, e: int) -> float:
    """FLOPs of validating maps of both sides to each of these numbers of directions."""
    return sum(validation_flops(validation, cut * (d + e), cut) for cut in cuts)

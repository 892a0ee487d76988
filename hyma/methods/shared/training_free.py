"""What the search methods that train nothing share: a sample of the training set, and the loop over pairs.

Such a method prepares every encoder once, then compares the prepared encoders of each pair.
"""

from collections.abc import Callable
from typing import TypeVar

from pydantic import Field
from torch import Tensor

from hyma.common.errors import HymaError
from hyma.common.params import Section
from hyma.methods.shared.similarity import Undefined
from hyma.stitching.normalise import Normaliser
from hyma.stitching.params import ConnectorParams
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures

Image = TypeVar("Image")
Text = TypeVar("Text")


class SampleParams(Section):
    """What every such method's section holds."""

    samples: int = Field(2000, ge=20, description="training images to compare on, each with one caption")


class NeighbourParams(SampleParams):
    """What the section of a method of nearest neighbours holds."""

    k: int = Field(10, ge=1, description="neighbours of a sample")


class Sample:
    """Rows of the training set that belong together, normalised as the connectors' features are.

    The statistics are those of the sample alone.
    """

    def __init__(self, features: TrainingFeatures, count: int, connector: ConnectorParams, seed: int):
        self.features = features
        self.normalise = connector.normalise
        self.image_rows_N, self.text_rows_N = features.sample(count, seed)

    @property
    def count(self) -> int:
        """Samples drawn: fewer than asked for where the training set has fewer images."""
        return len(self.image_rows_N)

    def image(self, slug: str) -> Tensor:
        """An image encoder's features, [N, D]."""
        return self._normalised(self.features.images[slug][self.image_rows_N])

    def text(self, slug: str) -> Tensor:
        """A text encoder's features, [N, E]."""
        return self._normalised(self.features.texts[slug][self.text_rows_N])

    def check_neighbours(self, name: str, k: int) -> None:
        """Refuse more neighbours than there are other samples; `name` is the method's.

        Raises:
            HymaError: if k is not below the number of samples.
        """
        if k >= self.count:
            raise HymaError(
                f"params.yaml: search.{name}.k: {k} neighbours, but a sample has {self.count - 1} others; lower k, "
                "or raise samples if the training set has more images"
            )

    def _normalised(self, feature_ND: Tensor) -> Tensor:
        return Normaliser.fit(self.normalise, feature_ND)(feature_ND)


def score_pairs(
    sample: Sample,
    prepare_image: Callable[[Tensor], Image],
    prepare_text: Callable[[Tensor], Text],
    compare: Callable[[Image, Text], float],
) -> tuple[dict[str, float], dict[str, str]]:
    """Prepare every encoder once and compare all pairs.

    All prepared texts are kept, and one prepared image at a time.

    Returns:
        Scores of the pairs, and the reasons why others have none: where an encoder cannot be prepared, its
        pairs alone fail.
    """
    scores, failed = {}, {}
    texts = {slug: _attempt(prepare_text, sample.text(slug), slug) for slug in sample.features.texts}
    for image_slug in sample.features.images:
        image = _attempt(prepare_image, sample.image(image_slug), image_slug)
        for text_slug, text in texts.items():
            pair = f"{image_slug}-{text_slug}"
            if isinstance(image, Undefined):
                failed[pair] = str(image)
            elif isinstance(text, Undefined):
                failed[pair] = str(text)
            else:
                scores[pair] = compare(image, text)
    return scores, failed


def square_flops(shapes: Shapes, samples: int) -> float:
    """Floating-point operations of a product of all samples with all samples, 2N²D, for every encoder."""
    return sum(2.0 * shapes.drawn(samples) ** 2 * width for width in shapes.widths)


def decomposition_flops(shapes: Shapes, samples: int) -> float:
    """Floating-point operations of `svd_flops` for every encoder."""
    return sum(svd_flops(shapes.drawn(samples), width) for width in shapes.widths)


def svd_flops(rows: int, columns: int) -> float:
    """Floating-point operations of left singular vectors by way of the smaller square, of size n.

    Its product 2mn²; its eigenvectors 9n³, the symmetric QR algorithm (Golub & Van Loan 2013, Matrix
    Computations, section 8.3); if features are fewer than samples, the way back to samples, 2mn².
    """
    m, n = max(rows, columns), min(rows, columns)
    return 2.0 * m * n**2 * (2 if rows > columns else 1) + 9.0 * n**3


def singular_value_flops(rows: int, columns: int) -> float:
    """Floating-point operations of singular values alone, m ≥ n: 2mn² + 2n³ (ibid., section 8.6, R-SVD)."""
    m, n = max(rows, columns), min(rows, columns)
    return 2.0 * m * n**2 + 2.0 * n**3


def _attempt(prepare: Callable[[Tensor], Image], feature_ND: Tensor, slug: str) -> Image | Undefined:
    """The prepared encoder, or the reason, with its name, why there is none."""
    try:
        return prepare(feature_ND)
    except Undefined as reason:
        return Undefined(f"{slug}: {reason}")

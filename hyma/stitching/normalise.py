"""How raw features are brought to a common scale before a connector sees them."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hyma.common.names import NormaliseKind


@dataclass(frozen=True)
class Normaliser:
    """Unit length (``l2``, the paper's), zero mean and unit variance a dimension, or first the one, then the other.

    Raw features often share one large mean direction: as unit vectors all their cosines lie near 1, and a
    contrastive loss at scale 100 grows jumpy. Standardising takes that direction out. Where lengths differ by
    orders of magnitude from row to row, a few rows rule the statistics: ``l2_standardise`` takes the lengths out
    first. The statistics come from training features alone and travel with the connector.
    """

    kind: NormaliseKind
    mean: Tensor | None = None
    std: Tensor | None = None

    @classmethod
    def fit(cls, kind: NormaliseKind, feature: Tensor) -> "Normaliser":
        """Take the statistics of training features [N, D]; a constant dimension is centred only."""
        if kind == "l2":
            return cls(kind)
        std, mean = torch.std_mean(_first(kind, feature), dim=0, correction=0)
        return cls(kind, mean, _without_tiny(std, mean))

    @classmethod
    def fit_parts(cls, kind: NormaliseKind, parts: Iterable[Tensor]) -> "Normaliser":
        """As `fit`, for features that come in parts [n, D], one after the other, and are never held together.

        Means and squares of parts are merged as in Chan, Golub & LeVeque 1979, in double precision.
        """
        if kind == "l2":
            return cls(kind)
        count, mean, square = 0, torch.zeros(()), torch.zeros(())
        for part in parts:
            own, total = _first(kind, part).double(), count + len(part)
            step = own.mean(0) - mean
            square = square + (own - own.mean(0)).square().sum(0) + step.square() * count * len(part) / total
            mean, count = mean + step * len(part) / total, total
        std, mean = (square / count).sqrt().float(), mean.float()
        return cls(kind, mean, _without_tiny(std, mean))

    def __call__(self, feature: Tensor) -> Tensor:
        """Normalise features [B, D]."""
        if self.mean is None or self.std is None:
            return functional.normalize(feature, dim=-1)
        return (_first(self.kind, feature) - self.mean.to(feature.device)) / self.std.to(feature.device)

    def to(self, device: torch.device) -> "Normaliser":
        """The same with its statistics on a device."""
        return Normaliser(
            self.kind, *(own if own is None else own.to(device) for own in (self.mean, self.std))
        )

    def tensors(self) -> dict[str, Tensor]:
        """The statistics to store, by name."""
        return {} if self.mean is None or self.std is None else {"mean": self.mean, "std": self.std}


def _first(kind: NormaliseKind, feature: Tensor) -> Tensor:
    """What is standardised."""
    return functional.normalize(feature, dim=-1) if kind == "l2_standardise" else feature


def _without_tiny(std: Tensor, mean: Tensor) -> Tensor:
    """Spreads to divide by: 1 for a dimension that is constant but for rounding."""
    return std.masked_fill(std <= 1e-6 * mean.abs().clamp_min(1e-6), 1.0)

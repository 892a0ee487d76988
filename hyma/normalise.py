"""How raw features are brought to a common scale before a connector sees them."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hyma.kinds import NormaliseKind


@dataclass(frozen=True)
class Normaliser:
    """Either unit length (``l2``, the paper's), or zero mean and unit variance a dimension.

    Raw features often share one large mean direction: as unit vectors all their cosines lie near 1, and a
    contrastive loss at scale 100 grows jumpy. Standardising takes that direction out. The statistics come
    from training features alone and travel with the connector.
    """

    kind: NormaliseKind
    mean: Tensor | None = None
    std: Tensor | None = None

    @classmethod
    def fit(cls, kind: NormaliseKind, feature: Tensor) -> "Normaliser":
        """Take the statistics of training features [N, D]; a constant dimension is centred only."""
        if kind == "l2":
            return cls(kind)
        std, mean = torch.std_mean(feature, dim=0, correction=0)
        tiny = std <= 1e-6 * mean.abs().clamp_min(1e-6)
        return cls(kind, mean, std.masked_fill(tiny, 1.0))

    def __call__(self, feature: Tensor) -> Tensor:
        """Normalise features [B, D]."""
        if self.mean is None or self.std is None:
            return functional.normalize(feature, dim=-1)
        return (feature - self.mean.to(feature.device)) / self.std.to(feature.device)

    def tensors(self) -> dict[str, Tensor]:
        """The statistics to store, by name."""
        return {} if self.mean is None or self.std is None else {"mean": self.mean, "std": self.std}

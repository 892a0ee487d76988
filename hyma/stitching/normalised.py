"""Training features as connectors take them, and what a connector is worth on those held out.

Letters: N rows, B rows drawn, D a width.
"""

import torch
from torch import Tensor
from torch.nn import functional

from hyma.common.names import TIE, NormaliseKind, PairName
from hyma.stitching.connectors import Connector, ConnectorSpec, Stitch, forward
from hyma.stitching.losses import info_nce
from hyma.stitching.normalise import Normaliser
from hyma.stitching.params import ConnectorParams
from hyma.stitching.table import Table, mapped
from hyma.stitching.training_set import TrainingFeatures

PART = 8192
"""Rows of a streamed table that are looked at together."""


class Normalised:
    """Training features under their normalisers: texts as the connector takes them, images of unit length."""

    def __init__(self, features: TrainingFeatures, params: ConnectorParams):
        self.features = features
        used = features.image_of_text_M[features.train].unique()
        self.image_normaliser = {
            slug: _fit(params.normalise, table, used) for slug, table in features.images.items()
        }
        self.text_normaliser = {
            slug: _fit(params.normalise, table, features.train) for slug, table in features.texts.items()
        }
        self.image = {
            slug: mapped(mapped(table, self.image_normaliser[slug]), unit_length)
            for slug, table in features.images.items()
        }
        self.text = {
            slug: mapped(table, self.text_normaliser[slug]) for slug, table in features.texts.items()
        }

    def stitch(
        self, pair: PairName, spec: ConnectorSpec, connector: Connector, image: Connector | None = None
    ) -> Stitch:
        """Bind a trained connector (and the image side's, if it has one) to the normalisers of its training."""

        def copied(weights: Connector) -> Connector:
            return {name: weight.detach().clone() for name, weight in weights.items()}

        return Stitch(
            spec,
            copied(connector),
            self.image_normaliser[pair[0]],
            self.text_normaliser[pair[1]],
            None if image is None else copied(image),
        )

    @torch.no_grad()
    def score(self, pair: PairName, connector: Connector, image: Connector | None = None) -> float:
        """Return `recall` at 5 on the held-out images and captions."""
        rows = self.features.held_out
        image_BD = self.image[pair[0]][self.features.image_of_text_M[rows]]
        return recall(
            forward(connector, self.text[pair[1]][rows]),
            image_BD if image is None else forward(image, image_BD),
        )

    @torch.no_grad()
    def held_out_loss(self, pair: PairName, connector: Connector, scale: float) -> float:
        """Return the loss of the held-out images and captions, all in one batch."""
        rows = self.features.held_out
        image_BD, text_BD = self.image[pair[0]][self.features.image_of_text_M[rows]], self.text[pair[1]][rows]
        return info_nce(forward(connector, text_BD), image_BD, scale, self.features.alike(rows))[0].item()


def unit_length(feature_ND: Tensor) -> Tensor:
    """Features divided by their lengths."""
    return functional.normalize(feature_ND, dim=-1)


def _fit(kind: NormaliseKind, table: Table, rows: Tensor) -> Normaliser:
    """A normaliser of these rows; a streamed table's are never held together."""
    if isinstance(table, Tensor):
        return Normaliser.fit(kind, table[rows])
    return Normaliser.fit_parts(kind, (table[part] for part in rows.split(PART)))


def recall(text_BD: Tensor, image_BD: Tensor, k: int = 5) -> float:
    """Return recall@k between matching rows of any length, mean of both directions.

    Ties and NaN count against it.
    """
    similarity_BB = functional.normalize(text_BD, dim=-1) @ functional.normalize(image_BD, dim=-1).T
    matching = similarity_BB.diagonal()
    beaten = (similarity_BB < matching[:, None] - TIE, matching[:, None] - TIE > similarity_BB.T)
    ranks = [(~lower_BB).sum(1) - 1 for lower_BB in beaten]
    return float(torch.stack([(rank < k).float().mean() for rank in ranks]).mean())

"""What a search is asked to do, by sizes alone: its FLOPs follow from these, before it runs as after."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from hyma.common.names import PairName
from hyma.stitching.connectors import ConnectorSpec
from hyma.stitching.params import ConnectorParams
from hyma.stitching.training_set import TrainingFeatures, held_out_count


@dataclass(frozen=True)
class Shapes:
    """Sizes of a search. Letters: D and E the widths of an image and a text encoder."""

    images: Mapping[str, int]
    """Image encoder's slug → D."""
    texts: Mapping[str, int]
    """Text encoder's slug → E."""
    image_rows: int
    """Images of the training set."""
    text_rows: int
    """Its captions."""
    train: int
    """Captions to train on: all but those of held-out images."""
    distinct: int
    """Images that these describe; samples with one caption an image are drawn from them."""
    connector: ConnectorParams
    seed: int
    left_out: frozenset[PairName] = frozenset()
    """Pairs that are scored but never trained on."""

    @classmethod
    def of(cls, features: TrainingFeatures, connector: ConnectorParams, seed: int) -> "Shapes":
        """The shapes of features that are there."""
        return cls(
            {slug: table.shape[1] for slug, table in features.images.items()},
            {slug: table.shape[1] for slug, table in features.texts.items()},
            len(next(iter(features.images.values()))),
            len(features.image_of_text_M),
            len(features.train),
            len(np.unique(features.image_of_text_M[features.train].cpu().numpy())),
            connector,
            seed,
            features.left_out,
        )

    @classmethod
    def expected(
        cls,
        images: Mapping[str, int],
        texts: Mapping[str, int],
        rows: tuple[int, int],
        connector: ConnectorParams,
        seed: int,
    ) -> "Shapes":
        """The shapes that a data set of so many images and captions (`rows`) will have, about."""
        held_out = held_out_count(rows[0], connector.holdout)
        train = max(1, round(rows[1] * (1 - held_out / max(1, rows[0]))))
        return cls(images, texts, *rows, train, max(1, rows[0] - held_out), connector, seed)

    @property
    def pairs(self) -> list[PairName]:
        """All (image, text) pairs, in the order of params.yaml."""
        return [(image, text) for image in self.images for text in self.texts]

    @property
    def seen(self) -> list[PairName]:
        """The pairs that a method may train on, in the same order."""
        return [pair for pair in self.pairs if pair not in self.left_out]

    @property
    def widths(self) -> list[int]:
        """Of all encoders, images' first."""
        return [*self.images.values(), *self.texts.values()]

    def widths_of(self, pairs: Iterable[PairName]) -> list[tuple[int, int]]:
        """D and E of each pair."""
        return [(self.images[image], self.texts[text]) for image, text in pairs]

    def specs(self, pairs: Iterable[PairName]) -> dict[PairName, ConnectorSpec]:
        """The shape of each pair's connector."""
        own = self.connector
        return {
            pair: ConnectorSpec(own.kind, self.texts[pair[1]], self.images[pair[0]], own.hidden)
            for pair in pairs
        }

    def drawn(self, samples: int) -> int:
        """How many samples a method gets that asks for `samples`, each of another image."""
        return min(samples, self.distinct)

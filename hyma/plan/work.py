"""The search that is planned, by its shapes alone: widths, connectors, rows to train on."""

from dataclasses import dataclass
from typing import Any

from hyma.common import params
from hyma.common.names import PairName
from hyma.methods import load
from hyma.plan.encoders import Encoder
from hyma.plan.experiment import Experiment
from hyma.plan.rows import Rows
from hyma.stitching.connectors import ConnectorSpec

MOST_HELD_OUT = 1000
"""Images; see `hyma.stitching.training_set.split`."""


@dataclass(frozen=True)
class Work:
    """All that the cost of a search depends on."""

    experiment: Experiment
    sections: dict[str, Any]
    """Search method → its section, validated."""
    images: dict[str, int]
    """Image encoder's slug → width D; without those whose width is unknown."""
    texts: dict[str, int]
    """Text encoder's slug → width E."""
    rows: Rows
    """Of the training set."""

    @property
    def specs(self) -> dict[PairName, ConnectorSpec]:
        """The connector of every pair."""
        own = self.experiment.connector
        return {
            (i, t): ConnectorSpec(own.kind, d_text, d_image, own.hidden)
            for i, d_image in self.images.items()
            for t, d_text in self.texts.items()
        }

    @property
    def samples(self) -> int:
        """Captions to train on: all but those of held-out images."""
        held_out = min(MOST_HELD_OUT, round(self.rows.images * self.experiment.connector.holdout))
        return max(1, round(self.rows.texts * (1 - held_out / max(1, self.rows.images))))

    @property
    def distinct(self) -> int:
        """Training images, from which methods draw samples with one caption each."""
        held_out = min(MOST_HELD_OUT, round(self.rows.images * self.experiment.connector.holdout))
        return max(1, self.rows.images - held_out)


def sections(experiment: Experiment) -> dict[str, Any]:
    """The section of every search method that has one.

    Raises:
        HymaError: if one has a mistake.
    """
    return {
        name: params.validate(content, load(name).Params, key=f"search.{name}")
        for name, content in (experiment.search.model_extra or {}).items()
    }


def describe(
    experiment: Experiment,
    checked: dict[str, Any],
    encoders: dict[str, Encoder],
    rows: dict[str, Rows | None],
) -> Work | None:
    """The search on those encoders whose widths are known; None if a side has none, or the rows are unknown."""
    training = rows[f"training/{next(iter(experiment.training))}"]
    images, texts = (
        {slug: own.dim for slug, own in encoders.items() if own.modality == side and own.dim is not None}
        for side in ("image", "text")
    )
    if training is None or not images or not texts:
        return None
    return Work(experiment, checked, images, texts, training)

"""One door to all search methods: their names, the models of their settings, and the call."""

from typing import Any

from hyma import methods
from hyma.common import parallel
from hyma.common.errors import HymaError
from hyma.common.params import Section
from hyma.common.timing import Stopwatch
from hyma.search import hyma_search, refine
from hyma.search.params import HymaParams, RefineParams
from hyma.stitching import grid
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import SearchResult, as_record, timed
from hyma.stitching.training_set import TrainingFeatures

OWN: dict[str, type[Section]] = {"grid": GridParams, "hyma": HymaParams, "refine": RefineParams}
"""The methods with a section of their own in params.yaml; all others have theirs in section ``search``."""


def known() -> list[str]:
    """The names of all methods."""
    return [*OWN, *methods.known()]


def model(name: str) -> type[Section]:
    """The model of a method's section."""
    return OWN[name] if name in OWN else methods.load(name).Params


def run_method(
    name: str,
    features: TrainingFeatures,
    settings: Any,
    connector: ConnectorParams,
    seed: int,
    before: SearchResult | None = None,
) -> SearchResult:
    """Search with one method; note what it took.

    Args:
        name: one of `known`.
        features: of all encoders.
        settings: the method's section, as `model` reads it.
        connector: section ``connector``.
        seed: of all that is drawn by lot.
        before: HYMA's result; only ``refine`` needs it, to start from.

    Raises:
        HymaError: if the settings do not suit the features, or a loss is not finite.
    """
    if name == "hyma":
        return hyma_search.search(features, settings, connector, seed)
    if name == "grid":
        return grid.search(features, settings, connector, seed)
    if name == "refine":
        if before is None:
            raise HymaError("refine starts from HYMA's connectors; search with hyma, too")
        return refine.search(features, settings, connector, seed, as_record(before), before.stitches)
    with Stopwatch().running() as spent:
        found: SearchResult = methods.load(name).search(features, settings, connector, seed)
    return timed(found, spent, parallel.threads(features.train.device))

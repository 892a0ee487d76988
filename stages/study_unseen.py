"""Rank pairs that were never trained on: python -m stages.study_unseen. Writes metrics/studies/unseen.json."""

from functools import partial
from pathlib import Path

from hyma.common import settings
from hyma.common.files import write_json
from hyma.methods import gcca, hyma_two_sided
from hyma.search import hyma_search
from hyma.search.params import HymaParams
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures
from hyma.studies.unseen import Search, study
from stages._features import sizes, training_features
from stages._run import run
from stages._study import judge, oracle_scores


def main() -> None:
    """Leave pairs out, search on the rest, judge on those left out."""
    connector, seed = settings.read("connector", ConnectorParams), settings.read("seed", int)
    two_sided = settings.read("search.hyma_two_sided", hyma_two_sided.Params)
    shared = settings.read("search.gcca", gcca.Params)
    hyma = settings.read("hyma", HymaParams, sizes())
    features, bench = training_features(), judge()

    def search_hyma(data: TrainingFeatures) -> SearchResult:
        own = hyma.model_copy(update={"bm": min(hyma.bm, len(data.seen))})
        return hyma_search.search(data, own, connector, seed)

    searches: dict[str, tuple[str, Search]] = {
        "hyma": (hyma_search.LABEL, search_hyma),
        "hyma_two_sided": (
            hyma_two_sided.LABEL,
            partial(hyma_two_sided.search, params=two_sided, connector=connector, seed=seed),
        ),
        "gcca": (gcca.LABEL, partial(gcca.search, params=shared, connector=connector, seed=seed)),
    }
    folds = settings.read("studies.folds", int)
    write_json(Path("metrics/studies/unseen.json"), study(features, searches, bench, oracle_scores(), folds))


if __name__ == "__main__":
    run(main)

"""Rank pairs that were never trained on: python -m stages.study_unseen. Writes metrics/studies/unseen.json."""

from functools import partial
from pathlib import Path

from hyma import params
from hyma.files import write_json
from hyma.search import hypernetwork
from hyma.search.data import TrainingFeatures
from hyma.search.methods import gcca, hyma_two_sided
from hyma.search.params import ConnectorParams, HymaParams
from hyma.search.result import SearchResult
from hyma.studies.unseen import Search, study
from stages._features import training_features
from stages._run import run
from stages._study import judge, oracle_scores


def main() -> None:
    """Leave pairs out, search on the rest, judge on those left out."""
    connector, seed = params.read("connector", ConnectorParams), params.read("seed", int)
    two_sided = params.read("search.hyma_two_sided", hyma_two_sided.Params)
    shared = params.read("search.gcca", gcca.Params)
    hyma = params.read("hyma", HymaParams)
    features, bench = training_features(), judge()

    def search_hyma(data: TrainingFeatures) -> SearchResult:
        own = hyma.model_copy(update={"bm": min(hyma.bm, len(data.seen))})
        return hypernetwork.search(data, own, connector, seed)

    searches: dict[str, tuple[str, Search]] = {
        "hyma": (hypernetwork.LABEL, search_hyma),
        "hyma_two_sided": (
            hyma_two_sided.LABEL,
            partial(hyma_two_sided.search, params=two_sided, connector=connector, seed=seed),
        ),
        "gcca": (gcca.LABEL, partial(gcca.search, params=shared, connector=connector, seed=seed)),
    }
    folds = params.read("studies.folds", int)
    write_json(Path("metrics/studies/unseen.json"), study(features, searches, bench, oracle_scores(), folds))


if __name__ == "__main__":
    run(main)

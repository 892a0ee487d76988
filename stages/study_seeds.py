"""Run every method with one seed and judge it on resampled benchmarks: python -m stages.study_seeds <seed>.

Reads features/ and data/prepared/benchmarks/, writes metrics/studies/seeds/<seed>.json.
"""

import argparse
from pathlib import Path

from hyma import params
from hyma.files import write_json
from hyma.search import grid, hypernetwork, refine
from hyma.search.methods import load
from hyma.search.params import ConnectorParams, GridParams, HymaParams, RefineParams
from hyma.search.result import SearchResult, as_record
from hyma.studies.seeds import count_grid, one_seed
from stages._features import training_features
from stages._run import run
from stages._study import judge


def main() -> None:
    """Search with all methods, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int, help="one of studies.seeds in params.yaml")
    seed = parser.parse_args().seed
    connector = params.read("connector", ConnectorParams)
    features, found = training_features(), dict[str, SearchResult]()
    settings = params.read("grid", GridParams)
    found["grid"] = count_grid(
        grid.search(features, settings, connector, seed), features, settings, connector
    )
    found["hyma"] = hypernetwork.search(features, params.read("hyma", HymaParams), connector, seed)
    budget, before = params.read("refine", RefineParams), found["hyma"]
    found["refine"] = refine.search(features, budget, connector, seed, as_record(before), before.stitches)
    for name in params.read("search.methods", list[str]):
        method = load(name)
        section = params.read(f"search.{name}", method.Params)
        found[name] = method.search(features, section, connector, seed)
    resamples = params.read("studies.resamples", int)
    pairs = ["-".join(pair) for pair in features.pairs]
    write_json(Path(f"metrics/studies/seeds/{seed}.json"), one_seed(found, judge(), "grid", pairs, resamples))


if __name__ == "__main__":
    run(main)

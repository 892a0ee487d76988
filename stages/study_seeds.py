"""Run every method with one seed and judge it on resampled benchmarks: python -m stages.study_seeds <seed>.

Reads features/ and data/prepared/benchmarks/, writes metrics/studies/seeds/<seed>.json.
"""

import argparse
from pathlib import Path

from hyma.common import params
from hyma.common.files import write_json
from hyma.common.run import run
from hyma.methods.shared.run import model, run_method
from hyma.search.params import HymaParams, RefineParams
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import SearchResult
from hyma.studies.seeds import one_seed
from stages._features import training_features
from stages._study import judge


def main() -> None:
    """Search with all methods, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int, help="one of studies.seeds in params.yaml")
    seed = parser.parse_args().seed
    connector = params.read("connector", ConnectorParams)
    features, found = training_features(), dict[str, SearchResult]()
    sections = {
        "grid": params.read("grid", GridParams),
        "hyma": params.read("hyma", HymaParams),
        "refine": params.read("refine", RefineParams),
    } | {
        name: params.read(f"search.{name}", model(name)) for name in params.read("search.methods", list[str])
    }
    for name, section in sections.items():
        found[name] = run_method(name, features, section, connector, seed, found.get("hyma"))
    resamples = params.read("studies.resamples", int)
    pairs = ["-".join(pair) for pair in features.pairs]
    write_json(Path(f"metrics/studies/seeds/{seed}.json"), one_seed(found, judge(), "grid", pairs, resamples))


if __name__ == "__main__":
    run(main)

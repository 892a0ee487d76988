"""Train the hypernetwork on all pairs: python -m stages.train_hyma.

Reads features/training/, writes models/hyma/ and the training log metrics/hyma_steps.csv, hyma_pairs.csv.
"""

import csv
from pathlib import Path

from hyma import params
from hyma.files import atomic
from hyma.search.hypernetwork import search
from hyma.search.params import ConnectorParams, HymaParams
from hyma.search.result import SearchResult, save
from stages._features import training_features
from stages._run import run


def main() -> None:
    """Search with HYMA; write every pair's connector and the log of the steps."""
    connector, seed = params.read("connector", ConnectorParams), params.read("seed", int)
    features = training_features()
    result = search(features, params.read("hyma", HymaParams), connector, seed)
    save(result, Path("models/hyma"))
    write_log(result)


def write_log(result: SearchResult) -> None:
    """Write a row a step, and a row a step and pair, for `dvc plots`."""
    for name, header, rows in (
        ("hyma_steps", list(result.history), zip(*result.history.values(), strict=True)),
        ("hyma_pairs", ["step", "pair", "accuracy"], result.pair_accuracy),
    ):
        with atomic(Path(f"metrics/{name}.csv")) as temporary, temporary.open("w", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(header)
            writer.writerows([f"{x:.6g}" if isinstance(x, float) else x for x in row] for row in rows)


if __name__ == "__main__":
    run(main)

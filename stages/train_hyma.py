"""Train the hypernetwork on all pairs: python -m stages.train_hyma.

Reads features/training/, writes models/hyma/ and the training log metrics/hyma_steps.csv, hyma_pairs.csv.
"""

import csv
from pathlib import Path

from hyma.common import settings
from hyma.common.files import atomic
from hyma.search.hyma_search import search
from hyma.search.params import HymaParams
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult, save
from stages._features import sizes, training_features
from stages._run import run


def main() -> None:
    """Search with HYMA; write every pair's connector and the log of the steps."""
    connector, seed = settings.read("connector", ConnectorParams), settings.read("seed", int)
    features = training_features()
    own = settings.read("hyma", HymaParams, sizes())
    result = search(features, own, connector, seed)
    result.notes |= settings.by_rule("hyma", own)
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

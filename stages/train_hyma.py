"""Train the hypernetwork on all pairs: python -m stages.train_hyma.

Reads features/training/, writes models/hyma/ and the training log metrics/hyma_steps.csv, hyma_pairs.csv.
"""

import csv
from pathlib import Path

from hyma import device, params
from hyma.files import atomic
from hyma.search.data import load
from hyma.search.hypernetwork import search
from hyma.search.params import ConnectorParams, HymaParams
from hyma.search.result import save
from hyma.search.training import History
from stages._run import run


def main() -> None:
    """Search with HYMA; write every pair's connector and the log of the steps."""
    connector, seed = params.read("connector", ConnectorParams), params.read("seed", int)
    (name,) = params.names("training")
    features = load(
        Path("data/prepared/training") / name,
        Path("features/training"),
        params.names("image_encoders"),
        params.names("text_encoders"),
        connector,
        seed,
        device.resolve(params.read("device", str)),
    )
    result, history = search(features, params.read("hyma", HymaParams), connector, seed)
    save(result, Path("models/hyma"))
    write_log(history, ["-".join(pair) for pair in features.pairs])


def write_log(history: History, pairs: list[str]) -> None:
    """Write a row a step, and a row a step and pair, for `dvc plots`."""
    columns = history.columns()
    steps = list(zip(*columns.values(), strict=True))
    accuracies = [(step, pairs[number], accuracy) for step, number, accuracy in history.pair_accuracy]
    for name, header, rows in (
        ("hyma_steps", list(columns), steps),
        ("hyma_pairs", ["step", "pair", "accuracy"], accuracies),
    ):
        with atomic(Path(f"metrics/{name}.csv")) as temporary, temporary.open("w", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(header)
            writer.writerows([f"{x:.6g}" if isinstance(x, float) else x for x in row] for row in rows)


if __name__ == "__main__":
    run(main)

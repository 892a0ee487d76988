"""Look for pictures of the benchmarks among the training pictures: python -m stages.leaks.

Writes metrics/leaks.json, what was found, and features/training/left_out.json, the training pictures that are not
trained on: none, unless `leaks` is drop.
"""

from pathlib import Path

from hyma.common import features, params, prepared, settings
from hyma.common.experiment import names
from hyma.common.files import write_json
from hyma.common.names import LeaksKind
from hyma.readers.base.params import DataSource
from hyma.readers.leaks import leaks, refuse
from stages._run import run

FOLDER = Path("data/prepared")


def main() -> None:
    """Compare, refuse or write."""
    (name,) = names("training")
    action: LeaksKind = settings.read("leaks", LeaksKind)  # type: ignore[arg-type]
    training = prepared.read(FOLDER / "training" / name)
    benchmarks = {slug: prepared.read(FOLDER / "benchmarks" / slug) for slug in names("benchmarks")}
    found, leaked = leaks(training, benchmarks)
    refuse(found, action, params.read("benchmarks", dict[str, DataSource]))
    dropped = leaked if action == "drop" else []
    write_json(features.LEFT_OUT, dropped)
    write_json(
        Path("metrics/leaks.json"),
        {"action": action, "training": name, "pictures": len(training.images), "leaked": len(leaked)}
        | {"benchmarks": found},
    )
    print(f"{len(leaked):,} of {len(training.images):,} training pictures are in a benchmark, too")


if __name__ == "__main__":
    run(main)

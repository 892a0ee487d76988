"""One unruly encoder among tame ones: python -m stages.study_stability. Writes metrics/studies/stability.json."""

from pathlib import Path

from hyma.common import settings
from hyma.common.files import write_json
from hyma.search.params import HymaParams
from hyma.stitching.params import ConnectorParams
from hyma.studies.stability import study
from stages._features import sizes, training_features
from stages._run import run
from stages._study import judge


def main() -> None:
    """Run HYMA with one encoder wild, under every remedy."""
    found = study(
        training_features(),
        settings.read("hyma", HymaParams, sizes()),
        settings.read("connector", ConnectorParams),
        settings.read("seed", int),
        judge(),
    )
    write_json(Path("metrics/studies/stability.json"), found)


if __name__ == "__main__":
    run(main)

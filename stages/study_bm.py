"""Compare numbers of pairs a step: python -m stages.study_bm. Writes metrics/studies/bm.json."""

from pathlib import Path

from hyma.common import settings
from hyma.common.files import write_json
from hyma.search.params import HymaParams
from hyma.stitching.params import ConnectorParams
from hyma.studies.bm import study
from stages._features import sizes, training_features
from stages._run import run
from stages._study import judge, oracle_scores


def main() -> None:
    """Run HYMA with every bm."""
    found = study(
        training_features(),
        settings.read("hyma", HymaParams, sizes()),
        settings.read("connector", ConnectorParams),
        settings.read("seed", int),
        settings.read("studies.bm", list[int]),
        judge(),
        oracle_scores(),
    )
    write_json(Path("metrics/studies/bm.json"), found)


if __name__ == "__main__":
    run(main)

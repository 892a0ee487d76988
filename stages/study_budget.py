"""Compare searches on HYMA's data budget: python -m stages.study_budget. Writes metrics/studies/budget.json."""

from pathlib import Path

from hyma.common import settings
from hyma.common.files import write_json
from hyma.search.params import HymaParams
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.studies.budget import study
from stages._features import sizes, training_features
from stages._run import run
from stages._study import judge, oracle_scores


def main() -> None:
    """Run every rival on the budget."""
    found = study(
        training_features(),
        settings.read("hyma", HymaParams, sizes()),
        settings.read("grid", GridParams, sizes()),
        settings.read("connector", ConnectorParams),
        settings.read("seed", int),
        judge(),
        oracle_scores(),
    )
    write_json(Path("metrics/studies/budget.json"), found)


if __name__ == "__main__":
    run(main)

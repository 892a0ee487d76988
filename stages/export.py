"""Write the winner as a model that loads anywhere: python -m stages.export. Writes models/best/."""

from pathlib import Path

from hyma.common import settings
from hyma.model.of_run import export_run
from hyma.model.params import ExportParams
from stages._run import run


def main() -> None:
    """Export the pair that section `export` chooses."""
    export_run(settings.read("export", ExportParams), Path("models/best"))


if __name__ == "__main__":
    run(main)

"""Write the provisional order by what needs no training: python -m stages.first. Writes reports/first.md."""

from pathlib import Path

from hyma.common import sealed
from hyma.common.experiment import names
from hyma.common.files import write_text
from hyma.report import first
from stages._run import run

UNTRAINED = Path("models/search/untrained")


def main() -> None:
    """Read the records of these methods, write the page."""
    records = {
        name: sealed.read(UNTRAINED / name / "result.json")
        for name in names("methods")
        if (UNTRAINED / name).is_dir()
    }
    write_text(Path("reports/first.md"), first.page(records))


if __name__ == "__main__":
    run(main)

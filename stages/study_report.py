"""Write the reports of the studies: python -m stages.study_report. Reads metrics/studies/."""

from pathlib import Path

from hyma.common import settings
from hyma.common.files import atomic, read_json, write_json, write_text
from hyma.ranking import luck
from hyma.report.studies import pages, pictures, stability
from hyma.studies.seeds import summarise
from stages._run import run

STUDIES, REPORTS = Path("metrics/studies"), Path("reports")
NAMES = ("unseen", "bm", "budget", "stability", "audit")


def main() -> None:
    """Put the seeds together, draw, write."""
    seeds = settings.read("studies.seeds", list[int])
    runs = {seed: read_json(STUDIES / f"seeds/{seed}.json") for seed in seeds}
    summary = summarise(runs, "grid")
    write_json(Path("metrics/studies.json"), summary)
    # For the report of the main pipeline; no output of this one, or `dvc repro` would run all of this before that.
    write_json(luck.FILE, summary["luck"])
    found = {name: read_json(STUDIES / f"{name}.json") for name in NAMES}
    with atomic(REPORTS / "studies") as folder:
        pictures.seeds(folder / "seeds.png", summary)
        pictures.pairs_a_step(folder / "bm.png", found["bm"])
        stability.draw(folder / "stability.png", found["stability"])
    write_text(REPORTS / "seeds.md", pages.seeds_page(summary))
    write_text(REPORTS / "unseen.md", pages.unseen_page(found["unseen"]))
    write_text(REPORTS / "bm.md", pages.bm_page(found["bm"]))
    write_text(REPORTS / "budget.md", pages.budget_page(found["budget"]))
    write_text(REPORTS / "stability.md", stability.page(found["stability"]))
    write_text(REPORTS / "audit.md", pages.audit_page(found["audit"]))


if __name__ == "__main__":
    run(main)

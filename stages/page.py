"""Write reports/index.html, the last run as one file to look at: python -m stages.page."""

from pathlib import Path

from hyma.common import params
from hyma.common.files import write_text
from hyma.common.run import run
from hyma.evaluation import last_run
from hyma.report.gallery import judge
from hyma.report.page import Shown, page, shown


def main() -> None:
    """Judge every benchmark by the winner's connector, draw items, write."""
    ranking, seed = last_run.ranking(), params.read("seed", int)
    winner = ranking["winner"]
    stitch = last_run.stitch(winner["method"], winner["pair"])

    def part(name: str) -> Shown:
        data, evaluator = last_run.benchmark(name)
        embedded = last_run.embeddings(name, data, winner["pair"], stitch)
        return shown(name, data, judge(data, evaluator, *embedded), seed)

    gallery = [part(name) for name in ranking["benchmarks"]]
    write_text(Path("reports/index.html"), page(ranking, Path("reports/figures"), gallery))


if __name__ == "__main__":
    run(main)

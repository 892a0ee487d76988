"""Write reports/ranking.md, reports/methods.md, their pictures and the run as a page: python -m stages.report."""

import csv
from pathlib import Path
from typing import Any

from hyma.common import sealed, settings
from hyma.common.experiment import finals, names
from hyma.common.files import atomic, read_json, write_text
from hyma.evaluation import last_run
from hyma.ranking import luck
from hyma.report import environment, methods, ranking
from hyma.report.gallery import judge
from hyma.report.inputs import Inputs
from hyma.report.page import Shown, page, shown
from hyma.report.pictures import draw
from hyma.stitching import records
from stages._run import run

METRICS, BESIDE = Path("metrics"), Path("studies/beside.json")
"""The second is the default's ranking where this is an experiment beside it, else empty."""


def main() -> None:
    """Read what was measured, draw, write."""
    everything = measured()
    reports = Path("reports")
    with atomic(reports / "figures") as folder:
        draw(folder, everything)
    write_text(reports / "ranking.md", ranking.page(everything))
    write_text(
        reports / "methods.md",
        methods.page(everything.ranking, read_json(BESIDE) if BESIDE.is_file() else {}),
    )
    write_text(
        reports / "index.html", page(everything.ranking, reports / "figures", gallery(everything.ranking))
    )


def gallery(ranking: dict[str, Any]) -> list[Shown]:
    """Items of every benchmark as the winner's connector judges them."""
    winner, seed = ranking["winner"], settings.read("seed", int)
    stitch = last_run.stitch(winner["method"], winner["pair"])

    def part(name: str) -> Shown:
        bench, evaluator = last_run.benchmark(name)
        embedded = last_run.embeddings(bench, winner["pair"], stitch)
        return shown(name, bench.data, judge(bench.data, evaluator, *embedded), seed)

    return [part(name) for name in ranking["benchmarks"]]


def measured() -> Inputs:
    """What the stages before left."""
    benchmarks, (trained_on,) = names("benchmarks"), names("training")
    sets = {f"{trained_on} (training)": f"training/{trained_on}"} | {
        name: f"benchmarks/{name}" for name in benchmarks
    }
    ranking = read_json(METRICS / "ranking.json")
    return Inputs(
        ranking=ranking | {"ties": luck.ties(ranking, luck.read())},
        benchmarks={name: records.benchmark(name) for name in benchmarks},
        flops=read_json(METRICS / "flops.json"),
        data={name: read_json(Path(f"data/prepared/{place}/meta.json")) for name, place in sets.items()},
        steps=columns(METRICS / "hyma_steps.csv"),
        grid={pair: sealed.read(records.of_pair(pair)) for pair in finals()["pairs"]},
        leaks=read_json(METRICS / "leaks.json"),
        gradients=sealed.read(records.folder("hyma") / "result.json")["gradients"],
        environment={
            **environment.versions(),
            "machine": environment.machine(),
            "device": settings.read("device", str),
            "seed": str(settings.read("seed", int)),
            "revision": environment.revision(),
        },
    )


def columns(file: Path) -> dict[str, list[float]]:
    """A csv of numbers as columns."""
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {key: [float(row[key]) for row in rows] for key in rows[0]}


if __name__ == "__main__":
    run(main)

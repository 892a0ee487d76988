"""Write reports/ranking.md and its pictures: python -m stages.report."""

import csv
from pathlib import Path

from hyma import params
from hyma.files import atomic, read_json, write_text
from hyma.report import environment, figures
from hyma.report.ranking import Inputs, page
from stages._run import run

METRICS = Path("metrics")


def main() -> None:
    """Read what was measured, draw, write."""
    ranking = read_json(METRICS / "ranking.json")
    names = params.names("benchmarks")
    pairs = [f"{i}-{t}" for i in params.names("image_encoders") for t in params.names("text_encoders")]
    grid = {pair: read_json(Path(f"models/grid/{pair}.json")) for pair in pairs}
    with atomic(Path("reports/figures")) as folder:
        figures.scatter(folder / "scatter.png", ranking, "hyma")
        figures.heatmap(folder / "pairs.png", ranking)
        figures.cost_quality(folder / "cost.png", ranking)
        figures.unimodal(folder / "unimodal.png", ranking)
        figures.training(folder / "training.png", columns(METRICS / "hyma_steps.csv"), grid)
    trained_on = params.names("training")[0]
    sets = {f"{trained_on} (training)": f"training/{trained_on}"} | {
        name: f"benchmarks/{name}" for name in names
    }
    inputs = Inputs(
        ranking=ranking,
        benchmarks={name: read_json(METRICS / "benchmarks" / f"{name}.json") for name in names},
        flops=read_json(METRICS / "flops.json"),
        data={label: read_json(Path(f"data/prepared/{place}/meta.json")) for label, place in sets.items()},
        environment={
            **environment.versions(),
            "machine": environment.machine(),
            "device": params.read("device", str),
            "seed": str(params.read("seed", int)),
            "revision": environment.revision(),
        },
    )
    write_text(Path("reports/ranking.md"), page(inputs))


def columns(file: Path) -> dict[str, list[float]]:
    """A csv of numbers as columns."""
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {key: [float(row[key]) for row in rows] for key in rows[0]}


if __name__ == "__main__":
    run(main)

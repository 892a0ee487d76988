"""Write reports/ranking.md, reports/methods.md and their pictures: python -m stages.report."""

import csv
from pathlib import Path

from hyma.common import params
from hyma.common.files import atomic, read_json, write_text
from hyma.common.run import run
from hyma.report import environment, methods, ranking
from hyma.report.inputs import Inputs
from hyma.report.pictures import draw

METRICS = Path("metrics")


def main() -> None:
    """Read what was measured, draw, write."""
    everything = measured()
    reports = Path("reports")
    with atomic(reports / "figures") as folder:
        draw(folder, everything)
    write_text(reports / "ranking.md", ranking.page(everything))
    write_text(reports / "methods.md", methods.page(everything.ranking))


def measured() -> Inputs:
    """What the stages before left."""
    names = params.names("benchmarks")
    pairs = [f"{i}-{t}" for i in params.names("image_encoders") for t in params.names("text_encoders")]
    trained_on = params.names("training")[0]
    sets = {f"{trained_on} (training)": f"training/{trained_on}"} | {
        name: f"benchmarks/{name}" for name in names
    }
    return Inputs(
        ranking=read_json(METRICS / "ranking.json"),
        benchmarks={name: read_json(METRICS / "benchmarks" / f"{name}.json") for name in names},
        flops=read_json(METRICS / "flops.json"),
        data={name: read_json(Path(f"data/prepared/{place}/meta.json")) for name, place in sets.items()},
        steps=columns(METRICS / "hyma_steps.csv"),
        grid={pair: read_json(Path(f"models/grid/{pair}.json")) for pair in pairs},
        gradients=read_json(Path("models/hyma/result.json"))["gradients"],
        environment={
            **environment.versions(),
            "machine": environment.machine(),
            "device": params.read("device", str),
            "seed": str(params.read("seed", int)),
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

"""Rank the pairs and compare the methods: python -m stages.rank. Writes metrics/ranking.json, metrics/summary.json."""

from pathlib import Path

from hyma import params
from hyma.files import read_json, write_json
from hyma.ranking import rank, summary
from stages._run import run


def main() -> None:
    """Gather what the stages before measured."""
    metrics = Path("metrics")
    benchmarks = {
        name: read_json(metrics / "benchmarks" / f"{name}.json") for name in params.names("benchmarks")
    }
    pairs = [(i, t) for i in params.names("image_encoders") for t in params.names("text_encoders")]
    seconds = {
        "hyma": read_json(Path("models/hyma/result.json"))["seconds"],
        "grid": sum(read_json(Path(f"models/grid/{i}-{t}.json"))["seconds"] for i, t in pairs),
    }
    flops, probes = read_json(metrics / "flops.json"), read_json(metrics / "probes.json")
    ranking = rank(benchmarks, flops, seconds, probes)
    write_json(metrics / "ranking.json", ranking)
    write_json(metrics / "summary.json", summary(ranking))


if __name__ == "__main__":
    run(main)

"""Rank the pairs and compare the methods: python -m stages.rank. Writes metrics/ranking.json, metrics/summary.json."""

from pathlib import Path

from hyma import params
from hyma.files import read_json, write_json
from hyma.ranking import rank, summary
from hyma.search import records
from stages._run import run


def main() -> None:
    """Gather what the stages before measured."""
    metrics = Path("metrics")
    benchmarks = {
        name: read_json(metrics / "benchmarks" / f"{name}.json") for name in params.names("benchmarks")
    }
    pairs = [f"{i}-{t}" for i in params.names("image_encoders") for t in params.names("text_encoders")]
    names = records.methods()
    found = {name: records.read(name, pairs) for name in names}
    flops, probes = read_json(metrics / "flops.json"), read_json(metrics / "probes.json")
    ranking = rank(benchmarks, flops, found, probes)
    write_json(metrics / "ranking.json", ranking)
    write_json(metrics / "summary.json", summary(ranking))


if __name__ == "__main__":
    run(main)

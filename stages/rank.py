"""Rank the pairs and compare the methods: python -m stages.rank. Writes metrics/ranking.json, metrics/summary.json."""

from pathlib import Path

from hyma.common import params
from hyma.common.files import read_json, write_json
from hyma.common.run import run
from hyma.ranking.rank import rank, summary
from hyma.stitching import records


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

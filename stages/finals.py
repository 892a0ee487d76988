"""Choose which pairs are trained on their own: python -m stages.finals.

Writes metrics/finals.json. Where all pairs are, it does not depend on what the searches found, so that no change of
theirs trains the grid again.
"""

import math
from pathlib import Path
from typing import Any

from hyma.common import settings
from hyma.common.experiment import names
from hyma.common.files import read_json, write_json
from hyma.common.names import MAIN, PairName, paired
from hyma.ranking import audit, signals
from hyma.ranking.params import AuditParams, FinalsParams, OracleKind, RankParams
from hyma.stitching import records
from stages._run import run


def main() -> None:
    """All pairs, the finals and a sample, or none."""
    kind: OracleKind = settings.read("oracle", OracleKind)  # type: ignore[arg-type]
    images, texts = names("image_encoders"), names("text_encoders")
    pairs = paired(images, texts)
    found: dict[str, Any] = {"oracle": kind, "pairs": pairs if kind == "full" else []}
    if kind == "audit":
        counted = _Pairs([(image, text) for image in images for text in texts])
        top = settings.read("finals", FinalsParams, counted).top
        count = settings.read("audit", AuditParams, counted).pairs
        drawn = audit.draw(predicted(pairs), top, count, settings.read("seed", int))
        chosen = {*drawn.finals, *drawn.sample}
        found |= {
            "pairs": [pair for pair in pairs if pair in chosen],
            "finals": drawn.finals,
            "sample": drawn.sample,
        }
    write_json(Path("metrics/finals.json"), found)


def predicted(pairs: list[str]) -> dict[str, float]:
    """Pair → HYMA's score, on the halves of the benchmarks that choose or by its own signal; but for failed pairs."""
    benchmarks = {name: read_json(Path(f"metrics/benchmarks/{name}.json")) for name in names("benchmarks")}
    found = signals.read(benchmarks, records.read_all([MAIN], pairs, []), [])
    scores = found.chosen(settings.read("rank", RankParams).by, MAIN)
    return {pair: score for pair, score in scores.items() if score > -math.inf}


class _Pairs:
    """What the rules of these sections go by."""

    def __init__(self, pairs: list[PairName]):
        self.pairs = pairs


if __name__ == "__main__":
    run(main)

"""Rank the pairs and compare the methods: python -m stages.rank.

Writes metrics/flops.json, metrics/ranking.json and metrics/summary.json.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyma.common import settings
from hyma.common.experiment import finals, names
from hyma.common.features import Features, Side, file_of
from hyma.common.files import read_json, write_json
from hyma.common.names import paired
from hyma.ranking import since
from hyma.ranking.params import RankParams
from hyma.ranking.rank import rank, summary
from hyma.stitching import records
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import stitched
from stages._run import run

METRICS, LAST = Path("metrics"), Path("data/kept/rank.json")
"""The second may be deleted at any time: then the report does not say what another encoder changed."""


def main() -> None:
    """Gather what the stages before measured."""
    benchmarks, chosen = {name: records.benchmark(name) for name in names("benchmarks")}, finals()
    pairs = paired(names("image_encoders"), names("text_encoders"))
    found = records.read_all(names("methods"), pairs, chosen["pairs"])
    whole = read_json(records.WHOLE)
    flops = {
        "methods": {
            name: {"total": sum(record["flops"].values()), "parts": record["flops"]}
            for name, record in found.items()
        },
        "whole_grid": {"total": sum(whole["flops"].values()), "pairs": whole["pairs"]},
        "extraction": extraction(),
    }
    seed, by = settings.read("seed", int), settings.read("rank", RankParams).by
    probes = read_json(METRICS / "probes.json")
    ranking = rank(
        benchmarks,
        flops,
        found,
        probes if all(probes.values()) else None,
        chosen,
        seed,
        by,
        held_out(found, seed) if by == "held_out" else None,
    )
    state = since.remember(read_json(LAST) if LAST.is_file() else {}, since.outline(ranking))
    ranking["since"] = since.changes(state)
    write_json(LAST, state)
    write_json(METRICS / "flops.json", flops)
    write_json(METRICS / "ranking.json", ranking)
    write_json(METRICS / "summary.json", summary(ranking))


def held_out(found: Mapping[str, records.Record], seed: int) -> dict[str, dict[str, float]]:
    """Method → pair → recall of its connector on the captions held out."""
    from hyma.stitching.held_out import HeldOut  # loads PyTorch, which nothing else here needs

    (name,) = names("training")
    data = HeldOut(Path("data/prepared/training") / name, settings.read("connector", ConnectorParams), seed)
    return {
        method: data.recalls(stitched(method, record, list(record["scores"])))
        | dict.fromkeys(record["failed"], -math.inf)
        for method, record in found.items()
        if record["connectors"] != "none"
    }


def extraction() -> dict[str, Any]:
    """What encoding the training set cost, encoder by encoder: all methods share it."""
    (name,) = names("training")
    sides: tuple[tuple[Side, str], ...] = (("image", "image_encoders"), ("text", "text_encoders"))
    found: dict[str, dict[str, Any]] = {}
    for side, section in sides:
        for slug in names(section):
            features = Features(file_of("training", side, slug, name))
            found[slug] = {
                "modality": side,
                "per_sample": features.info.flops_per_row,
                "samples": len(features),
                "total": features.info.flops_per_row * len(features),
            }
            if features.info.cut:
                found[slug] |= {"cut": features.info.cut, "limit": features.info.limit}
    return found


if __name__ == "__main__":
    run(main)

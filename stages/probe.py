"""Measure how strong each encoder is on its own side: python -m stages.probe.

Writes metrics/probes.json, and what it says of the pairs to models/search/unimodal/.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hyma.common import settings
from hyma.common.experiment import names
from hyma.common.files import write_json
from hyma.common.timing import Stopwatch
from hyma.evaluation.benchmark import Benchmark
from hyma.evaluation.halves import choosing
from hyma.evaluation.params import EvaluateParams
from hyma.evaluation.probes import caption_retrieval, linear_probe
from hyma.search.params import UnimodalParams
from hyma.search.unimodal import published, search
from hyma.stitching.result import save, timed
from stages._run import run

NOT_PROBED = {
    "image": "not probed: no classification benchmark with two pictures a class to choose by",
    "text": "not probed: no retrieval benchmark",
}


def main() -> None:
    """Probe images on the first classification benchmark, texts on the first retrieval benchmark.

    What they say may choose a pair: they see the half that chooses, and nothing of the other.
    """
    seed, own = settings.read("seed", int), settings.read("unimodal", UnimodalParams)
    salt = settings.read("evaluate", EvaluateParams).salt
    benchmarks = [Benchmark(name, salt) for name in names("benchmarks")]
    with Stopwatch().running() as spent:
        sides = {
            "image": _images(first_of(benchmarks, "classification"), seed),
            "text": _texts(first_of(benchmarks, "retrieval")),
        }
    write_json(Path("metrics/probes.json"), {side: found and found.content for side, found in sides.items()})
    strength, notes, flops = {}, {}, 0.0
    for side, given in (("image", own.image), ("text", own.text)):
        slugs, found = names(f"{side}_encoders"), sides[side]
        said = published(given, slugs, f"unimodal.{side}")
        flops += found.flops if found else 0.0
        strength[side] = said or (found.content["scores"] if found else dict.fromkeys(slugs, 0.0))
        measured = str(found.content["metric"]) if found else NOT_PROBED[side]
        notes[f"{side} side"] = "published scores" if said else measured
    result = search(strength["image"], strength["text"], flops, notes)
    save(timed(result, spent, torch.get_num_threads()), Path("models/search/unimodal"))


@dataclass(frozen=True)
class Probed:
    """A side's encoders, measured."""

    content: dict[str, Any]
    flops: float


def _images(bench: Benchmark | None, seed: int) -> Probed | None:
    if bench is None:
        return None
    own_N, label_N = choosing(bench.data, bench.salt), bench.data.images["label"].to_numpy().astype(int)
    own_N &= (
        np.bincount(label_N[own_N], minlength=label_N.max() + 1)[label_N] >= 2
    )  # one to learn from, one to tell
    label_N = label_N[own_N]
    if len(np.unique(label_N)) < 2:
        return None
    found = {
        slug: linear_probe(bench.features("image", slug)[own_N], label_N, seed)
        for slug in names("image_encoders")
    }
    scores = {slug: accuracy for slug, (accuracy, _) in found.items()}
    content = {"metric": "linear probe accuracy", "benchmark": bench.slug, "scores": scores}
    return Probed(content, sum(spent for _, spent in found.values()))


def _texts(bench: Benchmark | None) -> Probed | None:
    if bench is None:
        return None
    image_of_text_M = bench.data.texts["image"].to_numpy().astype(int)
    own_M = choosing(bench.data, bench.salt)[image_of_text_M]
    text_MD = {slug: bench.features("text", slug)[own_M] for slug in names("text_encoders")}
    scores = {slug: caption_retrieval(found, image_of_text_M[own_M]) for slug, found in text_MD.items()}
    content = {"metric": "caption-to-caption recall@1", "benchmark": bench.slug, "scores": scores}
    return Probed(content, sum(2.0 * found.size * len(found) for found in text_MD.values()))


def first_of(benchmarks: list[Benchmark], task: str) -> Benchmark | None:
    """The first benchmark with this task, if there is one."""
    return next((bench for bench in benchmarks if bench.data.meta.task == task), None)


if __name__ == "__main__":
    run(main)

"""Measure how strong each encoder is on its own side: python -m stages.probe.

Writes metrics/probes.json, and what it says of the pairs to models/search/unimodal/.
"""

import time
from pathlib import Path

from hyma.common import params
from hyma.common.errors import HymaError
from hyma.common.experiment import names
from hyma.common.files import write_json
from hyma.common.run import run
from hyma.evaluation.benchmark import Benchmark
from hyma.evaluation.probes import caption_retrieval, linear_probe
from hyma.search.params import UnimodalParams
from hyma.search.unimodal import published, search
from hyma.stitching.result import save


def main() -> None:
    """Probe images on the first classification benchmark, texts on the first retrieval benchmark."""
    seed, own = params.read("seed", int), params.read("unimodal", UnimodalParams)
    benchmarks = [Benchmark(name) for name in names("benchmarks")]
    labelled, captioned = first_of(benchmarks, "classification"), first_of(benchmarks, "retrieval")
    label_N = labelled.data.images["label"].to_numpy().astype(int)
    image_of_text_M = captioned.data.texts["image"].to_numpy().astype(int)
    image_ND = {slug: labelled.features("image", slug) for slug in names("image_encoders")}
    text_MD = {slug: captioned.features("text", slug) for slug in names("text_encoders")}
    start = time.perf_counter()
    probed = {slug: linear_probe(found, label_N, seed) for slug, found in image_ND.items()}
    text = {slug: caption_retrieval(found, image_of_text_M) for slug, found in text_MD.items()}
    seconds = time.perf_counter() - start
    image = {slug: accuracy for slug, (accuracy, _) in probed.items()}
    flops = sum(spent for _, spent in probed.values()) + sum(2.0 * x.size * len(x) for x in text_MD.values())
    content = {
        "image": {"metric": "linear probe accuracy", "benchmark": labelled.slug, "scores": image},
        "text": {"metric": "caption-to-caption recall@1", "benchmark": captioned.slug, "scores": text},
    }
    write_json(Path("metrics/probes.json"), content)
    given = {
        "image": published(own.image, list(image), "unimodal.image"),
        "text": published(own.text, list(text), "unimodal.text"),
    }
    notes = {
        f"{side} side": "published scores" if scores else str(content[side]["metric"])
        for side, scores in given.items()
    }
    found = search(given["image"] or image, given["text"] or text, seconds, flops, notes)
    save(found, Path("models/search/unimodal"))


def first_of(benchmarks: list[Benchmark], task: str) -> Benchmark:
    """The first benchmark with this task."""
    for bench in benchmarks:
        if bench.data.meta.task == task:
            return bench
    raise HymaError(f"params.yaml: benchmarks: the probes need one {task} benchmark; add one")


if __name__ == "__main__":
    run(main)

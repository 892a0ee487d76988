"""Measure how strong each encoder is on its own side: python -m stages.probe.

Writes metrics/probes.json, and what it says of the pairs to models/search/unimodal/.
"""

import time
from pathlib import Path

import numpy as np

from hyma.common import params, prepared
from hyma.common.errors import HymaError
from hyma.common.features import open_aligned
from hyma.common.files import write_json
from hyma.common.prepared import Prepared
from hyma.common.run import run
from hyma.evaluation.probes import caption_retrieval, linear_probe
from hyma.search.params import UnimodalParams
from hyma.search.unimodal import published, search
from hyma.stitching.result import save


def main() -> None:
    """Probe images on the first classification benchmark, texts on the first retrieval benchmark."""
    seed, own = params.read("seed", int), params.read("unimodal", UnimodalParams)
    folder = Path("data/prepared/benchmarks")
    data = {name: prepared.read(folder / name) for name in params.names("benchmarks")}
    labelled, captioned = first_of(data, "classification"), first_of(data, "retrieval")
    label_N = data[labelled].images["label"].to_numpy().astype(int)
    image_of_text_M = data[captioned].texts["image"].to_numpy().astype(int)
    image_ND = {i: features(i, labelled, data[labelled], "images") for i in params.names("image_encoders")}
    text_MD = {t: features(t, captioned, data[captioned], "texts") for t in params.names("text_encoders")}
    start = time.perf_counter()
    probed = {slug: linear_probe(found, label_N, seed) for slug, found in image_ND.items()}
    text = {slug: caption_retrieval(found, image_of_text_M) for slug, found in text_MD.items()}
    seconds = time.perf_counter() - start
    image = {slug: accuracy for slug, (accuracy, _) in probed.items()}
    flops = sum(spent for _, spent in probed.values()) + sum(2.0 * x.size * len(x) for x in text_MD.values())
    content = {
        "image": {"metric": "linear probe accuracy", "benchmark": labelled, "scores": image},
        "text": {"metric": "caption-to-caption recall@1", "benchmark": captioned, "scores": text},
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


def first_of(data: dict[str, Prepared], task: str) -> str:
    """The first benchmark with this task."""
    for name, content in data.items():
        if content.meta.task == task:
            return name
    raise HymaError(f"params.yaml: benchmarks: the probes need one {task} benchmark; add one")


def features(slug: str, benchmark: str, data: Prepared, table: str) -> np.ndarray:
    """An encoder's features on a benchmark."""
    rows = getattr(data, table)
    path = Path(f"features/benchmarks/{slug}/{benchmark}.arrow")
    return open_aligned(path, rows["id"], data.meta.data_hash).to_numpy()


if __name__ == "__main__":
    run(main)

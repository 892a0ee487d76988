"""Measure how strong each encoder is on its own side: python -m stages.probe. Writes metrics/probes.json."""

from pathlib import Path

import numpy as np

from hyma import params, prepared
from hyma.errors import HymaError
from hyma.features import open_aligned
from hyma.files import write_json
from hyma.prepared import Prepared
from hyma.probes import caption_retrieval, linear_probe
from stages._run import run


def main() -> None:
    """Probe images on the first classification benchmark, texts on the first retrieval benchmark."""
    seed = params.read("seed", int)
    folder = Path("data/prepared/benchmarks")
    data = {name: prepared.read(folder / name) for name in params.names("benchmarks")}
    labelled, captioned = first_of(data, "classification"), first_of(data, "retrieval")
    label_N = data[labelled].images["label"].to_numpy().astype(int)
    image_of_text_M = data[captioned].texts["image"].to_numpy().astype(int)
    image = {
        slug: linear_probe(features(slug, labelled, data[labelled], "images"), label_N, seed)
        for slug in params.names("image_encoders")
    }
    text = {
        slug: caption_retrieval(features(slug, captioned, data[captioned], "texts"), image_of_text_M)
        for slug in params.names("text_encoders")
    }
    content = {
        "image": {"metric": "linear probe accuracy", "benchmark": labelled, "scores": image},
        "text": {"metric": "caption-to-caption recall@1", "benchmark": captioned, "scores": text},
    }
    write_json(Path("metrics/probes.json"), content)


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

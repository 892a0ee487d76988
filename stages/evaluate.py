"""Evaluate every pair of every method on one benchmark: python -m stages.evaluate <slug>.

Reads models/, features/benchmarks/ and the prepared benchmark, writes metrics/benchmarks/<slug>.json.
"""

import argparse
from pathlib import Path

from hyma.common import params, prepared
from hyma.common.features import open_aligned
from hyma.common.files import write_json
from hyma.common.run import run
from hyma.evaluation.assess import assess
from hyma.evaluation.params import EvaluateParams
from hyma.stitching import records


def main() -> None:
    """Load features and connectors, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slug", help="key under benchmarks in params.yaml")
    slug = parser.parse_args().slug
    images, texts = params.names("image_encoders"), params.names("text_encoders")
    pairs = [f"{image}-{text}" for image in images for text in texts]
    names = records.methods()
    methods = records.stitches({name: records.read(name, pairs) for name in names}, pairs)
    width: dict[str, int] = {}
    for stitches in methods.values():
        for pair, stitch in stitches.items():
            image, text = pair.split("-")
            width |= {image: stitch.spec.d_image, text: stitch.spec.d_text}
    data = prepared.read(Path("data/prepared/benchmarks") / slug)
    rows = dict.fromkeys(images, data.images["id"]) | dict.fromkeys(texts, data.texts["id"])
    files = {encoder: Path(f"features/benchmarks/{encoder}/{slug}.arrow") for encoder in rows}
    features = {
        encoder: open_aligned(files[encoder], ids, data.meta.data_hash, width.get(encoder)).to_numpy()
        for encoder, ids in rows.items()
    }
    own = params.read("evaluate", EvaluateParams)
    write_json(Path(f"metrics/benchmarks/{slug}.json"), assess(slug, data, features, methods, own))


if __name__ == "__main__":
    run(main)

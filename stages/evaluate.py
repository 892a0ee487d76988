"""Evaluate every pair of every method on one benchmark: python -m stages.evaluate <slug>.

Reads models/, features/benchmarks/ and the prepared benchmark, writes metrics/benchmarks/<slug>.json.
"""

import argparse
from pathlib import Path

from hyma import params, prepared
from hyma.assess import assess
from hyma.evaluate_params import EvaluateParams
from hyma.features import open_aligned
from hyma.files import write_json
from hyma.search.result import load_stitches
from stages._run import run


def main() -> None:
    """Load features and connectors, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slug", help="key under benchmarks in params.yaml")
    slug = parser.parse_args().slug
    images, texts = params.names("image_encoders"), params.names("text_encoders")
    data = prepared.read(Path("data/prepared/benchmarks") / slug)
    features = {
        encoder: open_aligned(
            Path(f"features/benchmarks/{encoder}/{slug}.arrow"), table["id"], data.meta.data_hash
        ).to_numpy()
        for side, table in ((images, data.images), (texts, data.texts))
        for encoder in side
    }
    pairs = [f"{image}-{text}" for image in images for text in texts]
    methods = {
        "hyma": load_stitches([Path("models/hyma/result.safetensors")], pairs),
        "grid": load_stitches([Path(f"models/grid/{pair}.safetensors") for pair in pairs], pairs),
    }
    own = params.read("evaluate", EvaluateParams)
    write_json(Path(f"metrics/benchmarks/{slug}.json"), assess(slug, data, features, methods, own))


if __name__ == "__main__":
    run(main)

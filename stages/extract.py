"""Encode data sets with one encoder: python -m stages.extract image|text <slug> training|benchmarks.

Reads data/prepared/<part>/, writes features/<part>/<slug>/<data set>.arrow.
"""

import argparse
from pathlib import Path

from hyma import device, params
from hyma.encoders.flops import flops_per_row
from hyma.encoders.load import load
from hyma.encoders.params import ExtractParams, ImageEncoderParams, TextEncoderParams
from hyma.extract import extract
from stages._run import run


def main() -> None:
    """Encode every data set of one part with one encoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modality", choices=["image", "text"])
    parser.add_argument("slug", help="key under image_encoders or text_encoders in params.yaml")
    parser.add_argument("part", choices=["training", "benchmarks"])
    args = parser.parse_args()
    own = (
        params.read(f"image_encoders.{args.slug}", ImageEncoderParams)
        if args.modality == "image"
        else params.read(f"text_encoders.{args.slug}", TextEncoderParams)
    )
    settings = params.read("extract", ExtractParams)
    encoder = load(own, args.slug, device.resolve(params.read("device", str)))
    row_flops = flops_per_row(encoder)
    names = params.names("training") if args.part == "training" else params.names("benchmarks")
    for name in names:
        folder, out = Path("data/prepared") / args.part / name, Path("features") / args.part / args.slug
        extract(encoder, args.modality, folder, out / f"{name}.arrow", settings, row_flops)


if __name__ == "__main__":
    run(main)

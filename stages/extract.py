"""Encode data sets with one encoder: python -m stages.extract image|text <slug> training|benchmarks.

Reads data/prepared/<part>/, writes features/<part>/<slug>/<data set>.arrow. Finished chunks are kept in
data/unfinished/<part>/<slug>/ until the stage is done, so that a killed one goes on where it was.
"""

import argparse
from functools import cache
from pathlib import Path

from hyma.common import device, params, precision
from hyma.common.files import remove
from hyma.common.run import run
from hyma.encoders.base import precomputed
from hyma.encoders.base.common import field
from hyma.encoders.base.extract import extract
from hyma.encoders.base.flops import flops_per_row
from hyma.encoders.base.load import Encoder, load
from hyma.encoders.base.params import ExtractParams, ImageEncoderParams, TextEncoderParams


def main() -> None:
    """Encode every data set of one part with one encoder, or take the features that somebody published."""
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
    place = device.resolve(params.read("device", str))
    kept = Path("data/unfinished") / args.part / args.slug

    @cache
    def live() -> tuple[Encoder, float]:
        encoder = load(own, field(own, args.slug), place, precision.resolve(settings.precision, place))
        return encoder, flops_per_row(encoder)

    for name in params.names("training") if args.part == "training" else params.names("benchmarks"):
        folder = Path("data/prepared") / args.part / name
        out = Path("features") / args.part / args.slug / f"{name}.arrow"
        reference = precomputed.reference(own, args.slug, args.part, name)
        if reference is not None:
            precomputed.write(reference, folder, args.modality, out, own.unit_length, settings.chunk)
        else:
            encoder, row_flops = live()
            extract(encoder, args.modality, folder, out, settings, row_flops, kept / name, place)
    remove(kept)


if __name__ == "__main__":
    run(main)

"""Encode the training set and all benchmarks with one encoder: python -m stages.extract image|text <slug>.

Reads data/prepared/, writes features/<part>/<side>/<slug>/<data set>.arrow. A data set whose features stay is not
encoded again (data/kept/); finished chunks of one that was killed are in data/unfinished/.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import get_args

import torch

from hyma.common import device, features, params, precision, prepared
from hyma.common.experiment import names
from hyma.common.features import Part, Side
from hyma.common.files import remove
from hyma.common.kept import Kept, place
from hyma.common.run import run
from hyma.common.sources import code
from hyma.encoders.base import precomputed
from hyma.encoders.base.common import field
from hyma.encoders.base.extract import extract
from hyma.encoders.base.flops import flops_per_row
from hyma.encoders.base.load import Encoder, load, source
from hyma.encoders.base.params import EncoderParams, ExtractParams, ImageEncoderParams, TextEncoderParams

UNFINISHED = Path("data/unfinished")


@dataclass
class Extraction:
    """One encoder of the experiment at work."""

    side: Side
    slug: str
    own: EncoderParams
    settings: ExtractParams
    device: torch.device

    @cached_property
    def live(self) -> tuple[Encoder, float]:
        """The encoder, loaded when it is first needed, and the FLOPs of a row."""
        dtype = precision.resolve(self.settings.precision, self.device)
        encoder = load(self.own, field(self.own, self.slug), self.device, dtype)
        return encoder, flops_per_row(encoder)

    def data_set(self, part: Part, name: str, kept: Kept) -> None:
        """Put the features of one data set in their place: given ones, those kept, or new ones."""
        folder, out = Path("data/prepared") / part / name, features.file_of(part, self.side, self.slug, name)
        given = precomputed.reference(self.own, self.slug, part, name)
        if given is not None:
            precomputed.write(given, folder, self.side, out, self.own.unit_length, self.settings.chunk)
            return
        encoder, row_flops = self.live
        inputs = (
            *(encoder.identity, str(row_flops), prepared.read_meta(folder).data_hash, self.device.type),
            *(self.settings.model_dump_json(), code("hyma.encoders.base.extract", source(self.own))),
        )
        made = kept.result(f"{part}-{name}", inputs, self.make(part, name, folder, encoder, row_flops))
        place(made / out.name, out)

    def make(
        self, part: Part, name: str, folder: Path, encoder: Encoder, row_flops: float
    ) -> Callable[[Path], None]:
        """What encodes the data set in `folder` into a folder that it is given."""
        unfinished = UNFINISHED / part / self.slug / name

        def encode(into: Path) -> None:
            out = into / f"{name}.arrow"
            extract(encoder, self.side, folder, out, self.settings, row_flops, unfinished, self.device)

        return encode


def main() -> None:
    """Encode every data set, or take the features that somebody published."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=get_args(Side))
    parser.add_argument("slug", help="key under image_encoders or text_encoders in params.yaml")
    args = parser.parse_args()
    own = (
        params.read(f"image_encoders.{args.slug}", ImageEncoderParams)
        if args.side == "image"
        else params.read(f"text_encoders.{args.slug}", TextEncoderParams)
    )
    settings, where = params.read("extract", ExtractParams), device.resolve(params.read("device", str))
    work = Extraction(args.side, args.slug, own, settings, where)
    sets: dict[Part, list[str]] = {"training": names("training"), "benchmarks": names("benchmarks")}
    with Kept(f"extract-{args.slug}") as kept:
        for part, names_of_sets in sets.items():
            for name in names_of_sets:
                work.data_set(part, name, kept)
    for part in sets:
        remove(UNFINISHED / part / args.slug)


if __name__ == "__main__":
    run(main)

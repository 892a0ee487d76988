"""Encode the training set and all benchmarks with every encoder of a side: python -m stages.extract image|text.

Reads data/prepared/, writes features/<part>/<side>/<slug>/<data set>.arrow. A data set whose features stay is not
encoded again (data/kept/); finished chunks of one that was killed are in data/unfinished/.

With a slug, and a part if you like, it tries that encoder: python -m stages.extract text mpnet training. Data sets are
then those of params.yaml, only this encoder's features of them are written, and nothing that is kept is touched.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from hyma.common import device, features, params, prepared, settings
from hyma.common.errors import HymaError
from hyma.common.experiment import names
from hyma.common.features import Part, Side
from hyma.common.files import remove
from hyma.common.kept import Kept
from hyma.encoders.base import precomputed
from hyma.encoders.base.extract import Job, extract
from hyma.encoders.base.live import Live, together
from hyma.encoders.base.params import EncoderParams, ExtractParams, ImageEncoderParams, TextEncoderParams
from stages._run import run

UNFINISHED = Path("data/unfinished")


def encode(encoders: list[Live], side: Side, part: Part, name: str, kept: Kept) -> None:
    """Put the features of one data set in their place: those kept, or new ones, made together."""
    folder = Path("data/prepared") / part / name
    data_hash = prepared.read_meta(folder).data_hash
    results = {f"{each.slug}-{part}-{name}": each for each in encoders}

    def make(into: dict[str, Path]) -> None:
        new = {result: each for result, each in results.items() if result in into}
        jobs = [_job(each, side, part, name, into[result] / f"{name}.arrow") for result, each in new.items()]
        extract(jobs, side, folder, encoders[0].settings, encoders[0].device)

    made = kept.results({result: each.depends_on(data_hash) for result, each in results.items()}, make)
    for result, each in results.items():
        out = features.file_of(part, side, each.slug, name)
        kept.place(made[result] / out.name, out)


def given(each: Live, side: Side, part: Part, name: str) -> bool:
    """Take the features that somebody published, if they did."""
    reference = precomputed.reference(each.own, each.slug, part, name)
    if reference is None:
        return False
    folder, out = Path("data/prepared") / part / name, features.file_of(part, side, each.slug, name)
    precomputed.write(reference, folder, side, out, each.own.unit_length, each.settings.chunk)
    return True


def alone(each: Live, side: Side, part: Part, name: str) -> None:
    """Encode one data set with one encoder, straight into its place: what is kept stays as it is."""
    if given(each, side, part, name):
        return
    job = _job(each, side, part, name, features.file_of(part, side, each.slug, name))
    extract([job], side, Path("data/prepared") / part / name, each.settings, each.device)
    remove(job.unfinished)


def _job(each: Live, side: Side, part: Part, name: str, out: Path) -> Job:
    each.try_out()
    return Job(each.encoder, each.row_flops, out, UNFINISHED / part / side / each.slug / name)


def _chosen(own: Mapping[str, EncoderParams], side: Side, slug: str | None) -> Mapping[str, EncoderParams]:
    """The encoders by slug: all of them, or the one to try."""
    if slug is None:
        return own
    if slug not in own:
        raise HymaError(f"params.yaml: {side}_encoders: no {slug!r} there; give one of {', '.join(own)}")
    return {slug: own[slug]}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("side", choices=get_args(Side))
    parser.add_argument("slug", nargs="?", help="try this encoder of params.yaml alone")
    parser.add_argument(
        "part", nargs="?", choices=get_args(Part), help="of the training set or the benchmarks alone"
    )
    return parser.parse_args()


def main() -> None:
    """Encode every data set, or take the features that somebody published."""
    args = _arguments()
    side: Side = args.side
    how, where = settings.read("extract", ExtractParams), device.resolve(settings.read("device", str))
    own: Mapping[str, EncoderParams] = (
        params.read("image_encoders", dict[str, ImageEncoderParams])
        if side == "image"
        else params.read("text_encoders", dict[str, TextEncoderParams])
    )
    encoders = [Live(slug, each, how, where) for slug, each in _chosen(own, side, args.slug).items()]
    if args.slug is not None:
        for part in [args.part] if args.part else get_args(Part):
            for name in params.names(part):
                alone(encoders[0], side, part, name)
        return
    sets: list[tuple[Part, str]] = [
        *(("training", name) for name in names("training")),
        *(("benchmarks", name) for name in names("benchmarks")),
    ]
    wanted = {
        (part, name): [each for each in encoders if not given(each, side, part, name)] for part, name in sets
    }
    with Kept(f"extract-{side}") as kept:
        for loaded in together([each for each in encoders if any(each in some for some in wanted.values())]):
            for (part, name), some in wanted.items():
                if here := [each for each in loaded if each in some]:
                    encode(here, side, part, name, kept)
    for part in get_args(Part):
        remove(UNFINISHED / part / side)


if __name__ == "__main__":
    run(main)

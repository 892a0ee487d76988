"""Bring one data set into the prepared form: python -m stages.prepare training|benchmarks <slug>.

Reads the folder named in params.yaml, writes data/prepared/<part>/<slug>/.
"""

import argparse
from pathlib import Path

from hyma.common import left_out, params
from hyma.common.errors import HymaError
from hyma.readers.base.params import DataSource
from hyma.readers.base.prepare import prepare
from stages._run import run


def main() -> None:
    """Read, check and write one data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["training", "benchmarks"])
    parser.add_argument("slug", help="key of the data set in params.yaml")
    args = parser.parse_args()
    key = f"{args.part}.{args.slug}"
    source = (
        params.read(f"training.{args.slug}", DataSource)
        if args.part == "training"
        else params.read(f"benchmarks.{args.slug}", DataSource)
    )
    meta = prepare(source, Path("data/prepared") / args.part / args.slug, key)
    if args.part == "benchmarks" and meta.images < 2:
        raise HymaError(
            f"params.yaml: {key}: a single picture, where one half chooses a pair and the other says what it is worth; "
            "give it two different ones at least, or take it out"
        )
    print(f"{key}: {meta.images} images, {meta.texts} texts, {meta.questions} questions")
    for line in left_out.lines(meta):
        print(f"  {line}")


if __name__ == "__main__":
    run(main)

"""Encode the pictures of a folder into a file in which `hyma search` finds them by text.

The folder is searched to the bottom. The index holds the pictures' paths and vectors, not the pictures, and belongs
to the model that made it.
"""

import argparse
import time
from pathlib import Path

from hyma.cli import options

HELP = "make the pictures of a folder searchable"
EXAMPLES = """examples:
  hyma index photos                              writes index.arrow
  hyma index photos --out photos.arrow --skip-unreadable
  hyma index photos --model models/other && hyma search index.arrow "two red dogs" --model models/other
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    folder = parser.add_argument("folder", help="the folder of pictures")
    options.complete(folder, folder=True)
    out = parser.add_argument(
        "--out", default="index.arrow", metavar="FILE", help="where to (default: %(default)s)"
    )
    options.complete(out)
    options.add_model(parser)
    options.add_pictures(parser)


def run(args: argparse.Namespace) -> None:
    """Write the index.

    Raises:
        HymaError: if there are no pictures, one cannot be read, or the model cannot be used.
    """
    from hyma.model.files import find
    from hyma.model.index import write

    out = options.output(args.out, "--out")
    # The index's paths hold wherever it is searched from.
    there = find([Path(args.folder).resolve()])
    options.tell_left_out(there.left_out)
    model = options.load(args)
    start = time.perf_counter()
    skipped = write(out, model, there.paths, args.batch_size, args.skip_unreadable)
    seconds, count, size = time.perf_counter() - start, len(there.paths) - len(skipped), out.stat().st_size
    options.tell_skipped(skipped)
    if args.json:
        options.print_json(
            {"index": args.out, "model": args.model, "images": count, "bytes": size, "seconds": seconds}
            | {
                "skipped": [vars(each) for each in skipped],
                "left_out": options.left_out_json(there.left_out),
            }
        )
    else:
        rate = f"{seconds:,.1f} s, {count / seconds:,.0f} a second"
        print(f"{args.out}: {count:,} pictures in {rate}; {size / 1e6:,.1f} MB")

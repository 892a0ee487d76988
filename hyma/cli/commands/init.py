"""Write params.yaml for your own pictures: look at folders, say what is in them, propose encoders.

A folder may hold a table of captions (captions.csv, .jsonl, .parquet), shards (*.tar), a folder of pictures a class,
or one of the published data sets; the folders directly in it are looked at, too. The largest captioned set trains,
the others rank the pairs. If there is only one, some of its pictures are held out: two tables are written to
data/split/, and your pictures stay where they are. No picture is decoded, and nothing is downloaded.
"""

import argparse
import shlex
from pathlib import Path

from hyma.cli import options

HELP = "write params.yaml for your own pictures"
EXAMPLES = """examples:
  hyma init photos                                           encoders from a short list that fits this machine
  hyma init photos --demo                                    the small encoders that come with HYMA, offline
  hyma init photos --benchmark classes                       and rank pairs by zero-shot classification, too
  hyma init --training big --benchmark flickr8k --size medium
  hyma init photos --image vit_small_patch16_224.augreg_in21k_ft_in1k --image mine=weights/my_resnet
  hyma init photos --text sentence-transformers/all-mpnet-base-v2 --output mine.yaml
"""
SIZES = ("auto", "small", "medium", "large")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    folders = parser.add_argument("folders", nargs="*", metavar="FOLDER", help="with pictures and captions")
    training = parser.add_argument(
        "--training", metavar="FOLDER", help="the set to train on (default: the largest)"
    )
    benchmark = parser.add_argument(
        "--benchmark",
        action="append",
        default=[],
        metavar="FOLDER",
        help="a set to rank pairs by; repeatable",
    )
    for action in (folders, training, benchmark):
        options.complete(action)
    for side in ("image", "text"):
        parser.add_argument(
            f"--{side}",
            action="append",
            default=[],
            metavar="SPEC",
            help=f"one {side} encoder: slug=source:name, a name, or a folder; repeatable",
        )
    lists = parser.add_mutually_exclusive_group()
    lists.add_argument(
        "--size", choices=SIZES, default="auto", help="the short list of encoders (default: auto)"
    )
    lists.add_argument("--demo", action="store_true", help="take the small encoders that come with HYMA")
    output = parser.add_argument(
        "--output", default="params.yaml", metavar="FILE", help="where to (default: %(default)s)"
    )
    options.complete(output)
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")
    parser.add_argument("--json", action="store_true", help="print one json document instead of text")


def run(args: argparse.Namespace) -> None:
    """Look, write, and say what was found.

    Raises:
        HymaError: if there is nothing to train on, an encoder is not as it should be, or the file is there.
    """
    from hyma.cli import found
    from hyma.plan.init import Wanted, init

    written = init(
        Wanted(
            folders=[Path(folder) for folder in args.folders],
            training=Path(args.training) if args.training else None,
            benchmarks=[Path(folder) for folder in args.benchmark],
            image=args.image,
            text=args.text,
            size=args.size,
            demo=args.demo,
            output=Path(args.output),
            force=args.force,
            command=_command(args),
        )
    )
    if args.json:
        options.print_json(found.as_json(written))
    else:
        print(found.text(written))


def _command(args: argparse.Namespace) -> str:
    """The line that was given, as far as it says what is in the file."""
    words = ["hyma", "init", *args.folders]
    words += ["--training", args.training] if args.training else []
    for name in ("benchmark", "image", "text"):
        words += [word for value in getattr(args, name) for word in (f"--{name}", value)]
    words += ["--demo"] if args.demo else []
    words += ["--size", args.size] if args.size != "auto" else []
    return " ".join(shlex.join(words).split())

"""Show where two pairs differ: what both get right, what only one of them does, benchmark by benchmark.

It reads what `dvc repro` has left in this folder: features, connectors, prepared benchmarks. Nothing is trained;
nothing is written but the page that --html names.
"""

import argparse

from hyma.cli import options

HELP = "where two pairs differ, with pictures"
EXAMPLES = """examples:
  hyma compare resnet-minilm resnet-words                     by the connectors of grid search
  hyma compare resnet-minilm vit-minilm --method hyma        by those of another method
  hyma compare resnet-minilm vit-minilm --html differ.html   the pictures that only one of them gets right
  hyma compare resnet-minilm vit-minilm --json               the same numbers for machines
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("first", metavar="PAIR", help="a pair of the last run, image-text")
    parser.add_argument("second", metavar="PAIR", help="another one")
    parser.add_argument(
        "--method", help="whose connectors (default: grid search's if it trained all pairs, else HYMA's)"
    )
    html = parser.add_argument("--html", metavar="FILE", help="write a page with pictures, too")
    options.complete(html)
    parser.add_argument("--json", action="store_true", help="print one json document instead of text")


def run(args: argparse.Namespace) -> None:
    """Print the comparison, and write the page if it is wanted.

    Raises:
        HymaError: if there is no such pair or method, or no run in this folder.
    """
    page = args.html and options.output(args.html, "--html")
    from hyma.report import two_pairs
    from hyma.report.compare_pairs import compare

    found = compare(args.first, args.second, args.method)
    if page:
        from hyma.common.files import write_text

        write_text(page, two_pairs.html(found))
    if args.json:
        options.print_json(found.as_json())
    else:
        print(two_pairs.text(found))

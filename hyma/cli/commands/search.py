"""Find the pictures of an index that a text describes best.

A line a picture: the cosine of its vector and the text's, then its path; the best first.
"""

import argparse
from pathlib import Path

from hyma.cli import options
from hyma.common.errors import HymaError

HELP = "find pictures by a text"
EXAMPLES = """examples:
  hyma index photos && hyma search index.arrow "a red bus in the snow"
  hyma search index.arrow "a cat" --top 30 --html cats.html      thumbnails, in one file for the browser
  hyma search index.arrow "a cat" --json | jq -r .hits[0].path   the best one's path
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    index = parser.add_argument("index", help="what hyma index wrote")
    options.complete(index)
    parser.add_argument("query", help="a text")
    parser.add_argument(
        "--top", type=options.positive, default=10, metavar="N", help="pictures to show (default: 10)"
    )
    html = parser.add_argument("--html", metavar="FILE", help="write a page of thumbnails, too")
    options.complete(html)
    options.add_model(parser)


def run(args: argparse.Namespace) -> None:
    """Print what was found.

    Raises:
        HymaError: if the index or the model cannot be used, or they do not belong together.
    """
    if not args.query.strip():
        raise HymaError("query: empty; say what to look for")
    page = args.html and options.output(args.html, "--html")
    from hyma.model.index import ImageIndex

    index = ImageIndex.open(Path(args.index))
    hits = options.load(args).search(args.query, index, args.top)
    if page:
        from hyma.cli.hits import hits_page
        from hyma.common.files import write_text

        write_text(page, hits_page(args.query, hits, len(index), args.model))
    if args.json:
        found = [{"path": hit.path, "score": hit.score} for hit in hits]
        options.print_json({"index": args.index, "model": args.model, "query": args.query, "hits": found})
    else:
        print(*(f"{hit.score:.3f}  {options.shown(hit.path)}" for hit in hits), sep="\n")

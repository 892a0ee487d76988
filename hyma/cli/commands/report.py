"""Say what the last run found and where its reports lie, or compare it with other runs.

With --compare it writes a page and pictures: what changed in params.yaml between the revisions, and how the
winner, the ranking and the cost moved. A revision is whatever git knows (a commit, a branch, a tag, HEAD~1) or
the name of an experiment (`dvc exp run -n NAME`); the working tree is the last one. Nothing is run.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hyma.cli import options
from hyma.common.errors import HymaError

HELP = "what the last run found, or what changed between runs"
EXAMPLES = """examples:
  hyma report                                          the last run in a few lines
  hyma report --compare HEAD                           what the changes since the last commit did
  hyma report --compare main wide narrow               three runs, and the working tree
  hyma report --compare v1 v2 --no-workspace --json    two tags, as json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--compare", nargs="+", metavar="REV", help="revisions of git, or names of DVC experiments"
    )
    parser.add_argument(
        "--no-workspace", action="store_true", help="leave the working tree out of the comparison"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("reports"),
        metavar="FOLDER",
        help="where the reports lie (default: reports)",
    )
    parser.add_argument("--json", action="store_true", help="print json instead of text")


def run(args: argparse.Namespace) -> None:
    """Print the last run's answer, or write and print a comparison.

    Raises:
        HymaError: if there is no run, or nothing that can be compared.
    """
    if args.compare:
        _compare(args)
    else:
        _last(args)


def _compare(args: argparse.Namespace) -> None:
    from hyma.common.files import atomic, write_text
    from hyma.ranking import movement
    from hyma.report import compare, revisions, slopes

    found = movement.compare(revisions.read(args.compare, workspace=not args.no_workspace))
    page = args.out / "compare.md"
    with atomic(args.out / "compare") as folder:
        for method in compare.pictured(found):
            slopes.slopes(folder / f"{method}.png", found, method)
    write_text(page, compare.page(found))
    if args.json:
        options.print_json(found)
        return
    said = map(_plain, (compare.answer(found), compare.within(found), *compare.notes(found)))
    print(*said, _aligned(compare.glance(found)), page, sep="\n\n")


def _last(args: argparse.Namespace) -> None:
    from hyma.common.files import read_json
    from hyma.ranking import luck
    from hyma.ranking.rank import summary
    from hyma.report import ranking
    from hyma.report.inputs import Inputs, of_two

    file = Path("metrics/ranking.json")
    if not file.is_file():
        raise HymaError(
            f"{file}: there is no run here yet; start one with `dvc repro`, from the project's root"
        )
    measured: dict[str, Any] = read_json(file)
    reports = _reports(args.out)
    if args.json:
        options.print_json(summary(measured) | {"reports": reports})
        return
    found = measured | {"ties": luck.ties(measured, luck.read())}
    two = of_two(Inputs(found, {}, {}, {}, {}, {}, {})).ranking
    width = max(map(len, reports), default=0)
    where = "\n".join(f"{path:<{width}}  {title}" for path, title in reports.items())
    print(_plain(ranking.answer(two)), where, sep="\n\n")


def _reports(folder: Path) -> dict[str, str]:
    """Path → title, of the pages that there are."""
    found = {}
    for page in sorted(folder.glob("*.md")):
        first = page.read_text(encoding="utf-8").split("\n", 1)[0]
        found[str(page)] = first.lstrip("# ")
    html = folder / "index.html"
    return ({str(html): "all of it on one page, for a browser"} if html.is_file() else {}) | found


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table as columns for a terminal, the first one to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*map(_bare, rows), strict=True)]
    lines = []
    for first, *others in map(_bare, rows):
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("   ".join([f"{first:<{widths[0]}}", *cells]).rstrip())
    return "\n".join(lines)


def _bare(cells: Sequence[str]) -> list[str]:
    return [_plain(cell) for cell in cells]


def _plain(text: str) -> str:
    """Markdown as a terminal shows it."""
    return text.replace("*", "").replace("`", "")

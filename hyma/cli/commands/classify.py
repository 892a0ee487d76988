"""Say what is on pictures, in labels of your own (zero-shot classification).

A line a picture: its path, then the likeliest labels and how likely each is among all that were given.
"""

import argparse
from pathlib import Path

from hyma.cli import options
from hyma.common.errors import HymaError

HELP = "say which of your labels fit pictures"
EXAMPLES = """examples:
  hyma classify photo.jpg --labels cat,dog,horse
  hyma classify photos --labels-file labels.txt --top 1               a whole folder, a label a line
  hyma classify photos --labels cat,dog --template "a photo of a {}" --template "a drawing of a {}"
  hyma classify photos --labels cat,dog --json > labels.json          for machines
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    images = parser.add_argument("images", nargs="+", help="picture files, and folders that hold some")
    options.complete(images)
    labels = parser.add_mutually_exclusive_group(required=True)
    labels.add_argument("--labels", metavar="A,B,C", help="what to choose from, two at least")
    file = labels.add_argument("--labels-file", metavar="FILE", help="the same, a label a line")
    options.complete(file)
    parser.add_argument(
        "--template",
        action="append",
        metavar="TEXT",
        help='a sentence with {} where the label goes, "a photo of a {}" for one; several are averaged '
        "(default: the label alone)",
    )
    parser.add_argument(
        "--top", type=options.positive, default=3, metavar="N", help="labels a picture (default: 3)"
    )
    options.add_model(parser)
    options.add_pictures(parser)


def run(args: argparse.Namespace) -> None:
    """Print the labels.

    Raises:
        HymaError: if a picture, the labels or the model cannot be used.
    """
    from hyma.model.files import PictureFiles, find

    labels, templates = _labels(args), args.template or ["{}"]
    there = find(args.images)
    options.tell_left_out(there.left_out)
    pictures = PictureFiles(there.paths, args.skip_unreadable)
    chance_NC = options.load(args).classify(pictures, labels, templates, args.batch_size)
    best_NK = chance_NC.topk(min(args.top, len(labels)))
    found = [
        {
            "path": str(path),
            "labels": [
                {"label": labels[column], "probability": chance} for chance, column in zip(*row, strict=True)
            ],
        }
        for path, *row in zip(pictures.read, best_NK.values.tolist(), best_NK.indices.tolist(), strict=True)
    ]
    options.tell_skipped(pictures.skipped)
    if args.json:
        skipped = [vars(each) for each in pictures.skipped]
        options.print_json(
            {"model": args.model, "labels": labels, "templates": templates}
            | {"images": found, "skipped": skipped, "left_out": options.left_out_json(there.left_out)}
        )
    else:
        print(*_lines(found), sep="\n")


def _labels(args: argparse.Namespace) -> list[str]:
    """The labels, each once, without blanks around them."""
    if args.labels is not None:
        given = args.labels.split(",")
    else:
        try:
            given = Path(args.labels_file).read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise HymaError(f"{args.labels_file}: no text in UTF-8; write a label a line") from None
    return list(dict.fromkeys(label.strip() for label in given if label.strip()))


def _lines(found: list[dict]) -> list[str]:
    """A line a picture, in columns."""
    path_width = max(len(each["path"]) for each in found)
    label_width = max(len(label["label"]) for each in found for label in each["labels"])
    return [
        "  ".join(
            [f"{each['path']:{path_width}}"]
            + [f"{label['label']:{label_width}} {label['probability']:6.1%}" for label in each["labels"]]
        )
        for each in found
    ]

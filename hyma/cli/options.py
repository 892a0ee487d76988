"""What the commands that use a model share: arguments, loading it, files to write, what was left out."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import shtab

from hyma.common.errors import HymaError
from hyma.common.names import DeviceName

if TYPE_CHECKING:
    from hyma.common.left_out import LeftOut
    from hyma.model.files import Unread
    from hyma.model.stitched import StitchedModel

MODEL = "models/best"
"""Where `dvc repro` puts the model that a search ends in."""
SHOWN = 10
"""Pictures left out that are named on stderr; of the others only the number."""


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add ``--model``, ``--device`` and ``--json``."""
    model = parser.add_argument(
        "--model", default=MODEL, help="the model's folder, or owner/name on the hub (default: %(default)s)"
    )
    complete(model, folder=True)
    parser.add_argument(
        "--device",
        choices=get_args(DeviceName),
        default="auto",
        help="where to compute (default: auto, a GPU if there is one)",
    )
    parser.add_argument("--json", action="store_true", help="print one json document instead of text")


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """Add ``--batch-size`` and ``--skip-unreadable``."""
    parser.add_argument(
        "--batch-size", type=positive, default=64, metavar="N", help="pictures encoded at once (default: 64)"
    )
    parser.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="leave out pictures that cannot be read, and say which, instead of stopping",
    )


def complete(action: argparse.Action, folder: bool = False) -> None:
    """Have the shell complete an argument with files, or with folders."""
    action.complete = shtab.DIRECTORY if folder else shtab.FILE  # type: ignore[attr-defined]


def positive(text: str) -> int:
    """A whole number from 1 on.

    Raises:
        argparse.ArgumentTypeError: if `text` is anything else.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def load(args: argparse.Namespace) -> "StitchedModel":
    """Load the model that ``--model`` names.

    Raises:
        HymaError: if there is none, or it cannot be loaded.
    """
    if args.model == MODEL and not Path(MODEL).is_dir():  # nobody meant a repository of that name on the hub
        raise HymaError(
            f"{MODEL}: no such folder; run `dvc repro` here, or name a model's folder with --model"
        )
    from hyma.model.stitched import StitchedModel

    return StitchedModel.from_pretrained(args.model, device=args.device)


def output(name: str, option: str) -> Path:
    """The path of a file to write.

    Raises:
        HymaError: if there is a folder: it would be replaced, with all that is in it.
    """
    if Path(name).is_dir():
        raise HymaError(f"{option}: {name} is a folder; name a file, there or elsewhere")
    return Path(name)


def print_json(value: Any) -> None:
    """Print a json document, the only thing on stdout.

    Null stands for what is no finite number, an escape for what the terminal's encoding lacks.
    """
    as_is, ascii_alone = (
        json.dumps(_finite(value), indent=1, ensure_ascii=escaped, allow_nan=False, default=str)
        for escaped in (False, True)
    )
    print(as_is if _fits(as_is) else ascii_alone)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _fits(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def tell_left_out(found: "Sequence[LeftOut]") -> None:
    """Say on stderr, a line a reason, what lies in the folders and is no picture; nothing if there is nothing."""
    for each in found:
        more = ", …" if each.count > len(each.names) else ""
        names = ", ".join(map(shown, each.names))
        print(f"left out: {each.reason} ({each.count:,}): {names}{more}", file=sys.stderr)


def left_out_json(found: "Sequence[LeftOut]") -> list[dict[str, Any]]:
    """The same for machines."""
    return [{"reason": each.reason, "count": each.count, "names": each.names} for each in found]


def tell_skipped(skipped: "Sequence[Unread]") -> None:
    """Say on stderr which pictures were left out."""
    for each in skipped[:SHOWN]:
        print(f"left out: {each}", file=sys.stderr)
    if len(skipped) > SHOWN:
        print(f"left out: {len(skipped) - SHOWN:,} more", file=sys.stderr)


def shown(path: str) -> str:
    """A path as people read it: from the current folder on, if it lies in it."""
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path

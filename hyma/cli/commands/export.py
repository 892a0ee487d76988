"""Write a pair of the last run as a model: a folder that loads anywhere.

The folder holds config.json, connector.safetensors, the encoders' weights where they are local files, and a
model card with the run's results. `dvc repro` exports the winner to models/best/; this command any other pair,
or the same pair with another search method's connector.
"""

import argparse
from pathlib import Path

from hyma.cli import options

HELP = "write a pair of the last run as a model"
EXAMPLES = """examples:
  hyma export                                      the winner again, to models/best
  hyma export vit-minilm                           another pair, to models/exported/vit-minilm
  hyma export --method hyma --out /tmp/mine        the winner with HYMA's own connector
  hyma export --push me/my-stitched-model          and upload it to the Hugging Face hub
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "pair", nargs="?", default="winner", help="<image slug>-<text slug> (default: the winner)"
    )
    parser.add_argument("--method", default="best", help="whose connector (default: the best of all methods)")
    parser.add_argument("--out", type=Path, help="the folder, replaced if it is there")
    parser.add_argument("--push", metavar="OWNER/NAME", help="upload it to the hub as well")
    parser.add_argument("--json", action="store_true", help="print json instead of text")


def run(args: argparse.Namespace) -> None:
    """Export, and say what was written.

    Raises:
        HymaError: if there is no run here, no such pair or method, or the hub does not take it.
    """
    from hyma.model.of_run import export_run
    from hyma.model.params import ExportParams

    chosen = ExportParams(pair=args.pair, method=args.method)
    out = args.out or Path("models") / ("best" if chosen == ExportParams() else f"exported/{args.pair}")
    model = export_run(chosen, out)
    url = _push(out, args.push) if args.push else None
    if args.json:
        options.print_json({"pair": model.pair, "method": model.method, "folder": str(out), "url": url})
        return
    print(f"{model.pair.replace('-', ' × ')} with the connector of {model.method}: {out}/")
    if url:
        print(url)


def _push(folder: Path, repository: str) -> str:
    from hyma.common.errors import HymaError
    from hyma.encoders.base.common import reason
    from hyma.model.stitched import StitchedModel

    try:
        return str(StitchedModel.from_pretrained(folder).push_to_hub(repository))
    except HymaError:
        raise
    except Exception as error:  # the hub's client raises its own kinds, and those of its transport
        raise HymaError(
            f"--push {repository}: the hub does not take it ({reason(error)}); {folder}/ is written; connect, "
            "`hf auth login`, and run again"
        ) from None

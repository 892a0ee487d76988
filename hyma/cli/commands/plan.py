"""Say what `dvc repro` will run for the params.yaml of this folder, and what it will take.

It says what is missing and how to get it, which stages will run, the sizes of downloads and results, the
floating-point operations of every encoder and search method, memory, and time: by what searches took in the last run
here if there is one, else by typical figures of two cores. Nothing is run, downloaded or written.
"""

import argparse
import os
from pathlib import Path

from hyma.cli import options

HELP = "what dvc repro will run, and what it will take"
EXAMPLES = """examples:
  hyma plan                                            for the params.yaml of this folder
  hyma plan --json > plan.json                         the same numbers for machines
  cp presets/paper-27.yaml params.yaml && hyma plan  for the paper's 27 pairs
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print json instead of text")


def run(args: argparse.Namespace) -> None:
    """Print the plan.

    Raises:
        HymaError: if params.yaml has a mistake.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported: nothing may be asked of it
    from hyma.plan.gather import gather
    from hyma.plan.page import page

    found = gather(Path())
    if args.json:
        options.print_json(found)
    else:
        print(page(found))

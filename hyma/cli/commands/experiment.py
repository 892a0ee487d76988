"""Run an experiment beside the one in params.yaml, in a folder of its own: `dvc repro` in experiments/NAME.

Its params.yaml is presets/NAME.yaml. The folder has its own lock files, metrics and models, and shares code and
pipelines; every command of DVC and of hyma may be given in it. Its reports are in reports/NAME. What follows NAME is
for `dvc repro`, such as `first`, which stops at the provisional order.
"""

import argparse
from pathlib import Path

HELP = "run presets/NAME.yaml in a folder of its own"
EXAMPLES = """examples:
  hyma experiment real                run presets/real.yaml in experiments/real
  hyma experiment real first          only as far as reports/real/first.md
  hyma experiment real --lay          make the folder, run nothing
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("name", metavar="NAME", help="of the preset")
    parser.add_argument("targets", nargs="*", metavar="STAGE", help="to stop at (default: all stages)")
    parser.add_argument("--lay", action="store_true", help="make the folder and run nothing")


def run(args: argparse.Namespace) -> None:
    """Make the folder if it is not there, and run.

    Raises:
        HymaError: if there is no such preset, or this is not the project's root.
        SystemExit: with DVC's exit code, if it fails.
    """
    import subprocess
    import sys

    from hyma.plan.beside import lay

    folder = lay(Path(), args.name)
    if args.lay:
        print(folder)
        return
    done = subprocess.run([sys.executable, "-m", "dvc", "repro", *args.targets], cwd=folder)
    if done.returncode:
        sys.exit(done.returncode)
    print(f"reports: {Path('reports') / args.name}")

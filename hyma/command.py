"""The command line: ``hyma <command>``, or ``python -m hyma.command <command>``; a file a command in hyma/commands/."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from hyma import commands
from hyma.errors import HymaError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; a `HymaError` is one line on stderr and exit code 1."""
    args = parser().parse_args(arguments)
    try:
        args.run(args)
    except HymaError as error:
        sys.exit(f"error: {error}")


def parser() -> argparse.ArgumentParser:
    """The parser with all commands."""
    top = argparse.ArgumentParser(prog="hyma", description="Find the best image encoder × text encoder pair.")
    added = top.add_subparsers(metavar="command", required=True)
    for name in commands.known():
        module = import_module(f"{commands.__name__}.{name}")
        own = added.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(own)
        own.set_defaults(run=module.run)
    return top


if __name__ == "__main__":
    main()

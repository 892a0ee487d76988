"""The command line: ``hyma <command>``, or ``python -m hyma <command>``; a file a command in hyma/cli/commands/."""

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version

import shtab

from hyma.cli import commands
from hyma.cli.ending import ending

STOPPED = "stopped; nothing half-written is left"
COMPLETION = """completion of commands, options and paths in the shell, bash for one:
  eval "$(hyma --print-completion bash)"      this line in ~/.bashrc
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; see `hyma.cli.ending.ending` for what becomes of its errors."""
    with ending(STOPPED):
        args = parser().parse_args(arguments)
        with quiet():
            args.run(args)


def parser() -> argparse.ArgumentParser:
    """The parser with all commands."""
    top = argparse.ArgumentParser(
        prog="hyma",
        description="Find the best image encoder × text encoder pair, and use the model that they make.",
        epilog=COMPLETION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"hyma {version('hyma')}")
    shtab.add_argument_to(top, "--print-completion", help="print a script that completes command lines")
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


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out the libraries' warnings and show this package's on a line each, unless Python was told otherwise."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", module=r"hyma\.")
            warnings.showwarning = _one_line  # put back with the filters
        yield


def _one_line(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    main()

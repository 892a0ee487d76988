"""The commands of ``hyma``: one file each, named as the command.

Such a module has

- a docstring, the first text of its ``--help``;
- ``HELP``: a line for the list of commands;
- ``EXAMPLES``: how it is called, at the end of its ``--help``;
- ``arguments(parser)``: adds its arguments;
- ``run(args)``: does it; a `HymaError` becomes one line and exit code 1.

What several commands share is in hyma/cli/options.py. A module is imported whenever the command line is, so what is
slow to import is imported in ``run``.
"""

from pathlib import Path


def known() -> list[str]:
    """The names of all commands, found by their files."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem != "__init__")

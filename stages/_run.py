"""How every stage runs: what a person can mend ends in one line and exit code 1. No result depends on it."""

import logging
from collections.abc import Callable

from hyma.cli.ending import ending
from stages import STOPPED


def run(main: Callable[[], None]) -> None:
    """Call `main`; see `hyma.cli.ending.ending` for what becomes of its errors."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with ending(STOPPED):
        main()

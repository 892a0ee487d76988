"""What every stage shares: a user's mistake ends in one line and exit code 1."""

import logging
import sys
from collections.abc import Callable

from hyma.common.errors import HymaError


def run(main: Callable[[], None]) -> None:
    """Call `main`; print a `HymaError` as one line on stderr and exit with 1."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main()
    except HymaError as error:
        sys.exit(f"error: {error}")

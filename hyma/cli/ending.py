"""How a command or a stage ends: what a person can mend is one line and an exit code, on a terminal of any encoding.

Stages end so, too (stages/_run.py): nothing of a result depends on it.
"""

import errno
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import NoReturn

from hyma.common.errors import HymaError
from hyma.common.files import UNWRITABLE, unwritable

INTERRUPTED, BROKEN_PIPE = 130, 141
"""Exit codes as shells have them: 128 and the signal's number."""
CLOSED = "correct its permissions, or name another place"
REMEDIES = {
    errno.EFBIG: "name a place that takes files as large",
    errno.EACCES: CLOSED,
    errno.EPERM: CLOSED,
    errno.EIO: "the disk fails: look after it, or name another place",
    errno.ENOENT: "correct the path, or put it there",
    errno.EMFILE: "allow more open files (`ulimit -n`) and run again",
    errno.ENFILE: "close other programs and run again",
    errno.ENOMEM: "free some memory and run again",
    errno.ENAMETOOLONG: "name it shorter",
}
"""Faults of the surroundings, and what to do."""
ELSE = "see what is there, and run again"
_OF_RUST = re.compile(r"os error (\d+)|Os \{ code: (\d+)")
"""How safetensors and tokenizers name such faults."""


@contextmanager
def ending(stopped: str) -> Iterator[None]:
    """Turn what may go wrong within into one line on stderr and an exit code.

    Args:
        stopped: what to say where somebody pressed Ctrl-C.

    Raises:
        SystemExit: 1 after a `HymaError` or a fault of the surroundings, `INTERRUPTED` after Ctrl-C, `BROKEN_PIPE`
            where nobody reads what is printed; other exceptions pass.
    """
    any_encoding()
    try:
        try:
            yield
        finally:
            _flush()  # now, while it can be noticed that the reader has left or the disk is full
    except HymaError as error:
        _leave(f"error: {error}")
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        _leave(INTERRUPTED)
    except BrokenPipeError:
        _leave(BROKEN_PIPE)
    except Exception as error:
        said = fault(error)
        if said is None:
            raise
        _leave(f"error: {said}")


def any_encoding() -> None:
    """Have characters that the terminal lacks replaced, on both streams."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def fault(error: Exception) -> str | None:
    """Return which of the surroundings failed (a file, the disk, its permissions) and what to do.

    None: it is another kind of error, whose traceback is wanted.
    """
    number, name = _number(error), _name(error)
    if why := unwritable(error) or UNWRITABLE.get(number or 0):
        return f"{name or 'writing'}: {why}"
    if number is None or (name is None and number not in REMEDIES):
        return None
    place = "" if name is None else f"{name}: "
    return f"{place}{os.strerror(number)}; {REMEDIES.get(number, ELSE)}"


def _number(error: Exception) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    found = _OF_RUST.search(str(error)) if type(error).__name__ == "SafetensorError" else None
    return int(found[1] or found[2]) if found else None


def _name(error: Exception) -> str | None:
    name = getattr(error, "filename", None)
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else None


def _flush() -> None:
    if sys.stdout is not None:  # it is None where a shell closed it: >&-
        sys.stdout.flush()


def _leave(code: int | str) -> NoReturn:
    """Exit; what could not be printed is given up: Python would try again, and complain."""
    try:
        _flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def quiet_interruption(stopped: str) -> None:
    """Say `stopped` in place of a traceback where Ctrl-C comes before `ending` is reached, while modules are loaded."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print(stopped, file=sys.stderr)
        else:
            before(kind, error, trace)

    sys.excepthook = hook

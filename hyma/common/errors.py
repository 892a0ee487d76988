"""The one exception that means "the user can mend this"."""


class HymaError(Exception):
    """A mistake in the input: one line that says what is wrong, in which file and field, and what to do.

    Stage scripts and the command line print it alone, without a traceback, and exit with 1.
    """


def reason(error: BaseException, most: int = 200) -> str:
    """An error's message on one line of at most so many characters."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= most else f"{words[: most - 1]}…"

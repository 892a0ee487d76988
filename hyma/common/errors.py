"""The one exception that means "the user can mend this", and texts of others' making on one line."""

LONGEST = 1000
"""Letters of an error: names and values that it tells may be of any length."""


class HymaError(Exception):
    """A mistake in the input: one line that says what is wrong, in which file and field, and what to do.

    Stage scripts and the command line print it alone, without a traceback, and exit with 1.
    """

    def __init__(self, message: str):
        super().__init__(plain(message, LONGEST))


def plain(text: str, most: int) -> str:
    """A text on one line of at most so many letters, what cannot be written spelled out."""
    line = " ".join(text.splitlines()).encode("utf-8", "backslashreplace").decode()
    return line if len(line) <= most else f"{line[: most // 2]} … {line[len(line) - most // 2 + 3 :]}"


def reason(error: BaseException, most: int = 200) -> str:
    """An error's message on one line of at most so many letters."""
    return plain(" ".join(str(error).split()) or type(error).__name__, most)

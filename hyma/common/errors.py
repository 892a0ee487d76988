"""The one exception that means "the user can mend this"."""


class HymaError(Exception):
    """A mistake in the input: one line that says what is wrong, in which file and field, and what to do.

    Stage scripts and the command line print it alone, without a traceback, and exit with 1.
    """

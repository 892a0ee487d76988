"""How a checkpoint that does not fit its model is spoken of: which weights it lacks, or has too many."""

import re
from collections.abc import Iterable

NAMED = 3
"""Weights that are named; the others are counted."""

_QUOTED = re.compile(r'"([^"]+)"')
_RESHAPED = re.compile(r"size mismatch for ([^:\s]+):")


def misfit(missing: Iterable[str], unexpected: Iterable[str], reshaped: Iterable[str]) -> str:
    """Say what is wrong with a checkpoint, by the names of weights; nothing if all fit.

    >>> misfit(["a", "b", "c", "d"], [], ["e"])
    'lacks 4 weights of its model (a, b, c, …), has 1 weight of another shape (e)'
    """
    said = (
        ("lacks {} of its model", sorted(missing)),
        ("has {} that its model does not know", sorted(unexpected)),
        ("has {} of another shape", sorted(reshaped)),
    )
    return ", ".join(form.format(_counted(names)) + _some(names) for form, names in said if names)


def in_words(error: Exception) -> str:
    """What torch says of a checkpoint that does not fit, shorter; nothing of another error."""
    text = str(error)
    if "in loading state_dict for" not in text:
        return ""
    lines = text.splitlines()
    missing, unexpected = (
        [name for line in lines if kind in line for name in _QUOTED.findall(line)]
        for kind in ("Missing key(s)", "Unexpected key(s)")
    )
    return misfit(missing, unexpected, _RESHAPED.findall(text))


def _counted(names: list[str]) -> str:
    return f"{len(names)} weight{'s' if len(names) > 1 else ''}"


def _some(names: list[str]) -> str:
    more = ", …" if len(names) > NAMED else ""
    return f" ({', '.join(names[:NAMED])}{more})"

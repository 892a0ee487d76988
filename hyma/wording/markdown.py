"""Small helpers for markdown: tables and numbers that people can read."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A markdown table; the first `left` columns are text, the others numbers."""
    return "\n".join([head(*header, left=left), *(row(*cells) for cells in rows)])


def head(*names: object, left: int = 1) -> str:
    """The first two lines of a table, whose first `left` columns are text, the others numbers."""
    return row(*names) + "\n" + row(*[":--"] * left, *["--:"] * (len(names) - left))


def row(*cells: object) -> str:
    """A line of a table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def points(value: float | None) -> str:
    """A fraction as points of a hundred."""
    return "–" if value is None else f"{100 * value:.1f}"


def percent(value: float | None) -> str:
    """A share."""
    return "–" if value is None else f"{100 * value:.1f}%"


def decimal(value: float | None, digits: int = 3) -> str:
    """A plain number."""
    return "–" if value is None else f"{value:.{digits}f}"


def flops(value: float) -> str:
    """FLOPs with a fitting unit."""
    for unit, size in (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if float(f"{value / size:.3g}") >= 1:
            return f"{value / size:.3g} {unit}FLOPs"
    return f"{value:.0f} FLOPs"


def seconds(value: float | None) -> str:
    """A time that was taken."""
    if value is None:
        return "–"
    return f"{value:.1f}" if value >= 0.05 else "< 0.1"


def times(ratio: float | None) -> str:
    """A ratio, as in 12×."""
    if ratio is None:
        return "–"
    return f"{ratio:.1f}×" if ratio < 10 else f"{ratio:.0f}×"


def cheaper(ratio: float, less: str, more: str) -> str:
    """A ratio in words that stay true when it falls below one, as in "12× fewer" or "1.5× more"."""
    return f"{times(ratio)} {less}" if ratio >= 1 else f"{times(1 / ratio)} {more}"


def pair(name: str) -> str:
    """A pair's name for people."""
    image, text = name.split("-")
    return f"{image} × {text}"


def sentence(text: str) -> str:
    """The text with a capital at its start."""
    return text[:1].upper() + text[1:]

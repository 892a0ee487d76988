"""Aligned tables, and numbers with two digits and a fitting unit, for people at a terminal."""

from collections.abc import Iterable, Sequence

NONE = "–"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An aligned table; the first column is text, the others are numbers."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def padded(line: Sequence[str]) -> str:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        return f"| {' | '.join(cells)} |"

    rule = "|".join("-" * (width + 1) + "-:"[column > 0] for column, width in enumerate(widths))
    return "\n".join([padded(lines[0]), f"|:{rule[1:]}|", *map(padded, lines[1:])])


def two(value: float) -> str:
    """A number with two significant digits."""
    return f"{float(f'{value:.2g}'):,g}" if value < 1e6 else f"{value:.2g}"


def scaled(value: float | None, units: Sequence[tuple[str, float]]) -> str:
    """A number in the largest unit that it reaches; "unknown" for None."""
    if value is None:
        return "unknown"
    for unit, amount in units:
        if float(f"{value / amount:.2g}") >= 1:
            return f"{two(value / amount)} {unit}".strip()
    return f"{two(value)} {units[-1][0]}".strip()


def size(value: float | None) -> str:
    """Bytes."""
    return scaled(value, (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1)))


def flops(value: float | None) -> str:
    """Floating-point operations."""
    return scaled(value, (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("", 1)))


def span(value: float | None) -> str:
    """A time."""
    return scaled(value, (("days", 172_800), ("h", 3600), ("min", 60), ("s", 1)))


def number(value: int | None) -> str:
    """A count."""
    return "unknown" if value is None else f"{value:,}" if value else NONE

"""What was left out of a data set, by reason: said when it is prepared, and in the report."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from hyma.common.prepared import Kind, Meta, Skipped

SHOWN = 3
"""Names that are told."""
PLURAL: dict[Kind, str] = {"image": "images", "text": "texts", "question": "questions", "file": "files"}


@dataclass(frozen=True)
class LeftOut:
    """Things of one kind that are left out, and why."""

    kind: Kind
    reason: str
    count: int
    names: tuple[str, ...]
    """The first of them."""


def left_out(skipped: Sequence[Skipped]) -> list[LeftOut]:
    """What was left out, by kind and reason; what differs from file to file stands in brackets, and is not told."""
    grouped: dict[tuple[Kind, str], list[str]] = defaultdict(list)
    for one in skipped:
        grouped[one.kind, one.reason.partition(" (")[0]].append(one.file)
    return [
        LeftOut(kind, reason, len(names), tuple(names[:SHOWN])) for (kind, reason), names in grouped.items()
    ]


def lines(meta: Meta) -> list[str]:
    """A line a reason."""
    return [
        f"left out: {one.count:,}{_of(one, meta)} {PLURAL[one.kind]}: {one.reason}: {', '.join(one.names)}"
        + (" …" if one.count > len(one.names) else "")
        for one in left_out(meta.skipped)
    ]


def _of(one: LeftOut, meta: Meta) -> str:
    return f" of {meta.read[one.kind]:,}" if one.kind in meta.read else ""

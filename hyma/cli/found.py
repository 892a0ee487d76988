"""What `hyma init` says: as text for people, and as json for machines."""

import shlex
from collections.abc import Iterator
from typing import Any

from hyma.common.left_out import SHOWN
from hyma.common.params import FILE
from hyma.plan.choose import Entry, note
from hyma.plan.init import Written
from hyma.plan.params_text import entry
from hyma.readers.look import Found

WIDEST = 100
"""Letters of a caption that are shown."""


def text(written: Written) -> str:
    """What was found, what was written, and the next command."""
    sets, encoders = written.sets, written.encoders
    lines = [line for found in written.survey.found for line in _found(found)]
    lines += [f"not used: {line}" for line in [*sets.unused, *written.survey.problems]]
    pairs = len(encoders.image) * len(encoders.text)
    lines += [
        *("", f"{written.output} is written:"),
        f"  trains       {_entry(sets.training)}",
        *(f"  ranks pairs  {_entry(own)}" for own in sets.benchmarks),
        f"  encoders     {len(encoders.image)} image × {len(encoders.text)} text = {pairs} pairs ({written.origin})",
        f"               {', '.join(encoders.image)} × {', '.join(encoders.text)}",
        *("", "next:", *(f"  {line:<12} {what}" for line, what in _next(written))),
    ]
    return "\n".join(lines)


def _found(found: Found) -> Iterator[str]:
    yield f"{found.source.path}: {note(found)} (format {found.source.format})"
    for caption in found.said[:SHOWN]:
        yield f"  “{_cut(caption)}”"
    classes = found.draft.meta.classes
    if classes:
        yield f"  {', '.join(classes[:SHOWN])}{' …' if len(classes) > SHOWN else ''}"
    for left in found.left_out:
        more = ", …" if left.count > len(left.names) else ""
        yield f"  left out: {left.reason} ({left.count:,}): {', '.join(map(_cut, left.names))}{more}"


def _cut(caption: str) -> str:
    line = " ".join(caption.split())
    return line if len(line) <= WIDEST else f"{line[: WIDEST - 2]} …"


def _entry(own: Entry) -> str:
    return f"{own.slug}: {own.note} ({own.source.format}, {own.source.path})"


def _next(written: Written) -> list[tuple[str, str]]:
    copy = [] if written.output == FILE else [(f"cp {shlex.quote(str(written.output))} {FILE}", "")]
    return [*copy, ("hyma plan", "what will run, and how long it takes"), ("dvc repro", "runs it")]


def as_json(written: Written) -> dict[str, Any]:
    """The same as plain data."""
    sets, encoders = written.sets, written.encoders
    return {
        "found": [_as_json(found) for found in written.survey.found],
        "not_used": [*sets.unused, *written.survey.problems],
        "params": str(written.output),
        "training": _sources([sets.training]),
        "benchmarks": _sources(sets.benchmarks),
        "image_encoders": {slug: entry(own) for slug, own in encoders.image.items()},
        "text_encoders": {slug: entry(own) for slug, own in encoders.text.items()},
        "next": [line for line, _ in _next(written)],
    }


def _sources(entries: list[Entry]) -> dict[str, Any]:
    return {
        own.slug: own.source.model_dump(exclude_defaults=True) | {"pictures": own.pictures} for own in entries
    }


def _as_json(found: Found) -> dict[str, Any]:
    return {
        "path": found.source.path,
        "format": found.source.format,
        "pictures": found.pictures,
        "captions": len(found.said),
        "classes": len(found.draft.meta.classes),
        "questions": len(found.draft.questions),
        "first_captions": found.said[:SHOWN],
        "left_out": [vars(left) for left in found.left_out],
    }

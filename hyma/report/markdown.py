"""Pages of markdown: templates of hyma/report/templates filled in, each of which reads like its page."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hyma.common.names import MAIN
from hyma.ranking import choice
from hyma.report.inputs import label, picked
from hyma.wording import markdown as words


Json = dict[str, Any]


def page(template: str, found: Json, **context: Any) -> str:
    """Fill in ``<template>.md.j2``: there a paragraph may be broken into lines, and blank lines do not count.

    Templates see `found` and, as ``oracle``, the name of its oracle for people.
    """
    oracle = found["oracle"] if "oracle" in found else found["common"]["oracle"]
    context |= {"found": found, "oracle": label(found, oracle)}
    text = _environment().get_template(f"{template}.md.j2").render(context)
    text = re.sub(r"(?<=\S) *\n(?! *(?:[\n#|>!]|- |$)) *", " ", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def labels(methods: Iterable[str], ranking: Json) -> list[str]:
    """The methods' names for people."""
    return [label(ranking, method) for method in methods]


def span(values: Sequence[float]) -> str:
    """The lowest and the highest score."""
    return f"{words.points(min(values))} – {words.points(max(values))}" if values else "–"


@cache
def _environment() -> Environment:
    kept = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
    made = Environment(loader=PackageLoader("hyma.report"), undefined=StrictUndefined, **kept)
    shown = (words.points, words.decimal, words.flops, words.seconds, words.times, words.pair, words.sentence)
    made.filters |= {show.__name__: show for show in (*shown, labels, span)}
    made.filters["bold"] = "**{}**".format
    known = (words.table, words.head, words.row, words.cheaper, label, picked)
    made.globals |= {"MAIN": MAIN, "choice": choice} | {function.__name__: function for function in known}
    return made

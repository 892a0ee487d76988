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
    """Fill in ``<template>.md.j2``, which sees `found` and, where that has an oracle, its name as ``oracle``."""
    oracle = found.get("oracle") or found.get("common", {}).get("oracle")
    context |= {"found": found} | ({"oracle": label(found, oracle)} if oracle else {})
    return flowing(environment().get_template(f"{template}.md.j2").render(context))


def flowing(text: str) -> str:
    """Markdown in its final form: each paragraph and list item in one line, one blank line between blocks."""
    text = re.sub(r"(?<=\S) *\n(?! *(?:[\n#|>!]|- |$)) *", " ", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def labels(methods: Iterable[str], found: Json) -> list[str]:
    """The methods' names for people."""
    return [label(found, method) for method in methods]


def span(values: Sequence[float]) -> str:
    """The lowest and the highest score."""
    return f"{words.points(min(values))} – {words.points(max(values))}" if values else "–"


def arrows(texts: Iterable[str]) -> str:
    """Values from run to run; one that is the same in all is written once."""
    values = list(texts)
    return values[0] if len(set(values)) == 1 else " → ".join(values)


def value(content: Any, longest: int = 120) -> str:
    """A value of params.yaml in one line, as YAML writes it, cut at so many characters."""
    text = _flow(content)
    return text if len(text) <= longest else f"{text[:longest]}…"


def _flow(content: Any) -> str:
    if isinstance(content, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in content.items()) + "}"
    if isinstance(content, list):
        return "[" + ", ".join(map(_flow, content)) + "]"
    if content is None or isinstance(content, bool):
        return {None: "null", True: "true", False: "false"}[content]
    short = f"{content:g}" if isinstance(content, float) else ""
    return short if short and float(short) == content else str(content)


@cache
def environment(autoescape: bool = False) -> Environment:
    """The templates, with the number formats as filters."""
    made = Environment(
        loader=PackageLoader("hyma.report"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not autoescape,
    )
    shown = (words.points, words.decimal, words.flops, words.seconds, words.times, words.pair, words.sentence)
    made.filters |= {show.__name__: show for show in (*shown, labels, span, arrows, value, picked)}
    made.filters["bold"] = "**{}**".format
    known = (*shown, words.head, words.row, words.cheaper, label, picked)
    made.globals |= {"MAIN": MAIN, "choice": choice} | {function.__name__: function for function in known}
    return made

"""Pages of markdown: templates of hyma/report/templates filled in, each of which reads like its page."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment

from hyma.common.names import MAIN, ORACLE
from hyma.ranking import choice
from hyma.report.inputs import clocked, label, many, picked, taken, time_words
from hyma.wording import markdown as words
from hyma.wording import templates

Json = dict[str, Any]


def page(template: str, found: Json, **context: Any) -> str:
    """Fill in ``<template>.md.j2``, which sees `found`, and as ``oracle`` the oracle's name or, without one, None."""
    oracle = found.get("oracle") or found.get("common", {}).get("oracle")
    context |= {"found": found, "oracle": label(found, oracle) if oracle else None}
    return templates.flowing(environment().get_template(f"{template}.md.j2").render(context))


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
    """The templates, with what the reports call things."""
    made = templates.environment("hyma.report", autoescape)
    made.filters |= {show.__name__: show for show in (labels, span, arrows, value, picked)}
    made.filters["bold"] = "**{}**".format
    made.globals |= {
        "MAIN": MAIN,
        "ORACLE": ORACLE,
        "choice": choice,
        "label": label,
        "picked": picked,
        "time_words": time_words,
        "taken": taken,
        "clocked": clocked,
        "many": many,
    }
    return made

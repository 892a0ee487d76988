"""All settings of an experiment in one list, each with what it comes from: `python -m stages.check --explain`."""

from collections.abc import Iterator, Mapping
from typing import Any

from hyma.common.params import AUTO
from hyma.methods import load
from hyma.plan import encoders, methods, rows
from hyma.plan.experiment import SETTINGS, Experiment, guess, read, settings
from hyma.stitching.shapes import Shapes

GIVEN, DEFAULT, RULE = "params.yaml", "default", "rule"


def page(given: Mapping[str, Any]) -> str:
    """The list as text.

    Args:
        given: content of a valid params.yaml.
    """
    experiment = read()
    known = methods.shapes(experiment, encoders.look(experiment), rows.look(experiment))
    if known is not None and len(known.widths) < len(experiment.image_encoders) + len(
        experiment.text_encoders
    ):
        known = None
    sizes = known or guess(given)
    lines = list(_lines(given, sizes))
    width, middle = (max(len(line[column]) for line in lines) for column in (0, 2))
    shown = [f"{key:<{width}}  {origin:<{middle}}  {value}" for key, value, origin in lines]
    about = f"{sizes.train:,} captions to train on, {len(sizes.images)} × {len(sizes.texts)} encoders"
    sure = "" if known else ", a guess: data or encoders cannot be looked at yet"
    return "\n".join([*shown, "", f"{RULE}: follows from {about}{sure}."])


def _lines(given: Mapping[str, Any], sizes: Shapes) -> Iterator[tuple[str, str, str]]:
    """Key, value and origin of every setting that is in use."""
    found, settled = settings(given), read(sizes=sizes)
    for name in SETTINGS:
        if name == "search":
            yield from _search(given.get(name) or {}, settled, sizes)
        elif isinstance(found[name], dict):
            own = getattr(settled, name).model_dump()
            yield from _section(name, found[name], own, given.get(name) or {})
        else:
            value = getattr(settled, name)
            yield name, "off" if value is None else str(value), GIVEN if name in given else DEFAULT


def _search(given: Mapping[str, Any], settled: Experiment, sizes: Shapes) -> Iterator[tuple[str, str, str]]:
    chosen = settled.search.methods
    yield "search.methods", ", ".join(chosen), GIVEN if "methods" in given else DEFAULT
    sections = methods.sections(settled, sizes)
    for method in chosen:
        own = given.get(method) or {}
        raw = load(method).Params.defaults() | own
        yield from _section(f"search.{method}", raw, sections[method].model_dump(), own)


def _section(
    place: str, raw: Mapping[str, Any], own: Mapping[str, Any], given: Mapping[str, Any]
) -> Iterator[tuple[str, str, str]]:
    for key, value in raw.items():
        ruled = value == AUTO and own[key] != AUTO
        origin = RULE if ruled else GIVEN if key in given else DEFAULT
        yield f"{place}.{key}", _shown(own[key]), origin


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

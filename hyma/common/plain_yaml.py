"""YAML as people mean it: keys are text, and each stands once; what is otherwise is named by its line."""

import re
from typing import Any

import yaml

MEANT = {
    "bool": "a truth value",
    "int": "a number",
    "float": "a number",
    "null": "nothing",
    "timestamp": "a date",
}
"""What YAML reads a key as, by its tag."""
_NUMBER = re.compile(
    r"^(?!_)[-+]?((\.[\d_]+|[\d_]+(\.[\d_]*)?)(e[-+]?\d+)?|0b[01_]+|0o?[0-7_]+|0x[\da-f_]+)$", re.IGNORECASE
)
"""What DVC reads as a number, by a later version of YAML, and PyYAML in part as text."""
_TAG = "tag:yaml.org,2002:"


class RefusedError(ValueError):
    """A key that is no text, or given twice; the message names line, place and remedy."""


class _Loader(yaml.SafeLoader):
    """A safe loader that looks at every mapping before it is made."""

    def compose_document(self) -> Any:
        document = super().compose_document()
        _check(document, (), set())
        return document


class _Dumper(yaml.SafeDumper):
    """A safe dumper that quotes what one of the versions of YAML would take for a number."""


_Dumper.add_implicit_resolver(f"{_TAG}float", _NUMBER, list("+-.0123456789"))


def dump(value: Any, **style: Any) -> str:
    """Return plain data as YAML that `load` and DVC read alike; `style` as for `yaml.dump`."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **style)


def load(text: str) -> Any:
    """Return what YAML says.

    Raises:
        RefusedError: if a key is no text, or given twice in a mapping.
        yaml.YAMLError, ValueError, RecursionError: if it is no YAML, has an impossible date, or is nested too deeply.
    """
    return yaml.load(text, _Loader)


def _check(node: Any, place: tuple[str, ...], seen: set[int]) -> None:
    if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
        return
    seen.add(id(node))  # an alias leads back to it
    if isinstance(node, yaml.SequenceNode):
        for number, each in enumerate(node.value):
            _check(each, (*place, str(number)), seen)
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        _check_key(key, place, lines)
        _check(value, (*place, key.value), seen)


def _check_key(key: Any, place: tuple[str, ...], lines: dict[str, int]) -> None:
    """Refuse a key that is no text or among those before it, whose `lines` are known; note its own."""
    line = key.start_mark.line + 1
    start = f"line {line}: " + "".join(f"{step}." for step in place).rstrip(".") + (": " if place else "")
    if not isinstance(key, yaml.ScalarNode):
        raise RefusedError(f"{start}a key is a list or a mapping; write it as text")
    kind = key.tag.removeprefix(_TAG)
    if kind == "str" and key.style is None and _NUMBER.match(key.value):
        kind = "float"
    if kind not in ("str", "merge"):
        meant = MEANT.get(kind, "something else than text")
        quoted = '"' + key.value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        raise RefusedError(
            f"{start}the key {key.value} is read by YAML as {meant}; write it in quotes: {quoted}"
        )
    if key.value in lines:
        raise RefusedError(
            f"{start}the key {key.value} is given twice, first in line {lines[key.value]}; keep one of them"
        )
    lines[key.value] = line

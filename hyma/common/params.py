"""Reading a section of params.yaml into a model, with errors in plain language.

A key that depends on how much data and how many encoders there are may be ``auto``, and is if it is not given: then
the section's own rule says what it is.
"""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, TypeVar, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from hyma.common import plain_yaml
from hyma.common.errors import HymaError

T = TypeVar("T")
FILE = Path("params.yaml")
AUTO = "auto"
LONGEST = 100
"""Letters of a value that an error shows."""
LARGEST = 2**53
"""Whole numbers beyond are no counts of anything, and are not exact as floating-point numbers."""
Values = Mapping[str, Any]
Rule = Callable[[Any, Values], Any]
"""What a key is: from the sizes of the search (`hyma.stitching.shapes.Shapes`) and the section's other values."""


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    RULES: ClassVar[Mapping[str, Rule]] = {}
    """Of the keys that may be ``auto``; a rule sees what the rules before it gave."""

    @model_validator(mode="before")
    @classmethod
    def _by_rule(cls, given: Any, info: ValidationInfo) -> Any:
        if info.context is None or not isinstance(given, Mapping):
            return given
        return {**given, **by_rule(cls, given, info.context)}

    @field_validator("*", mode="before")
    @classmethod
    def _plain_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse truth values, which Python takes for 0 and 1, and numbers beyond all measure."""
        if _numeric(cls.model_fields[str(info.field_name)].annotation):
            for each in _values(value):
                if isinstance(each, bool):
                    raise ValueError(f"should be a number, but it is {str(each).lower()}")
                if isinstance(each, int) and abs(each) > LARGEST:
                    raise ValueError(f"should be {LARGEST:.0e} at most, but it is {float(each):.0e}")
        return value

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Every key that has a default, with it: ``auto`` where there is a rule."""
        return {
            name: AUTO if name in cls.RULES else field.get_default(call_default_factory=True)
            for name, field in cls.model_fields.items()
            if name in cls.RULES or not field.is_required()
        }


def _numeric(kind: Any) -> bool:
    """Whether a field holds numbers, or a list or a mapping of some."""
    return kind in (int, float) or any(map(_numeric, get_args(kind)))


def _values(given: Any) -> Iterable[Any]:
    """A value itself, or those in a list or a mapping."""
    if isinstance(given, dict):
        return given.values()
    return given if isinstance(given, list) else [given]


def by_rule(model: type[Section], given: Values, sizes: Any) -> dict[str, Any]:
    """The keys that are left to their rules, and what these say for a search of such `sizes`."""
    plain = {name: field.get_default(call_default_factory=True) for name, field in model.model_fields.items()}
    known = plain | {name: value for name, value in given.items() if value != AUTO}
    found: dict[str, Any] = {}
    for name, rule in model.RULES.items():
        if given.get(name, AUTO) == AUTO:
            try:
                found[name] = rule(sizes, known | found)
            except (TypeError, ValueError):  # another key is no number, which is what has to be said
                found[name] = plain[name]
    return found


def read(key: str, model: type[T], file: Path = FILE, sizes: Any = None) -> T:
    """Return the value under a dotted `key`, such as ``hyma`` or ``image_encoders.vit``, as `model`.

    Args:
        key: where it stands.
        model: what it should be.
        file: the file.
        sizes: what keys that are ``auto`` follow from.

    Raises:
        HymaError: if the key is missing or its value does not fit the model.
    """
    return validate(_lookup(key, file), model, file, key, sizes)


def names(key: str, file: Path = FILE) -> list[str]:
    """Return the keys under `key` (the slugs of encoders or benchmarks) in the file's order.

    Raises:
        HymaError: if there is no such mapping, or it is empty.
    """
    value = _lookup(key, file)
    if not isinstance(value, dict) or not value:
        raise HymaError(f"{file}: {key}: should be a mapping with at least one entry")
    return list(value)


def load(file: Path = FILE) -> dict[str, Any]:
    """Return the whole file as plain data.

    Raises:
        HymaError: if it is missing or no YAML mapping.
    """
    return _parse(str(file.resolve()), file)


def validate(value: Any, model: type[T], file: Path = FILE, key: str = "", sizes: Any = None) -> T:
    """Return `value` as `model`; `file` and `key` name the place in errors, `sizes` are for rules.

    Raises:
        HymaError: with the first mistake, its place and the remedy.
    """
    try:
        return TypeAdapter(model).validate_python(value, context=sizes)
    except ValidationError as error:
        details = error.errors()
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        raise HymaError(f"{file}: {_explain(details[0], key, model)}{more}") from None


@cache
def _parse(resolved: str, file: Path) -> dict[str, Any]:
    try:
        content = plain_yaml.load(Path(resolved).read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise HymaError(f"{file}: file not found; run from the project's root") from None
    except plain_yaml.RefusedError as error:
        raise HymaError(f"{file}: {error}") from None
    except UnicodeDecodeError:
        raise HymaError(f"{file}: not valid YAML: no text in UTF-8; save it in that encoding") from None
    except (yaml.YAMLError, ValueError) as error:
        raise HymaError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise HymaError(f"{file}: not valid YAML: nested too deeply") from None
    if not isinstance(content, dict):
        raise HymaError(f"{file}: should be a mapping of sections")
    return content


def _lookup(key: str, file: Path) -> Any:
    value: Any = load(file)
    for step in key.split("."):
        if not isinstance(value, dict) or step not in value:
            raise HymaError(f"{file}: {key}: missing; add it{_suggest(step, value)}")
        value = value[step]
    return value


def _suggest(name: str, known: Any) -> str:
    entries = [str(entry) for entry in known] if isinstance(known, dict | list) else []
    close = get_close_matches(name, entries, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _explain(detail: ErrorDetails, key: str, model: Any) -> str:
    place = ".".join(str(step) for step in (key, *detail["loc"]) if step not in ("", "[key]"))
    if detail["type"] == "extra_forbidden":
        known = _fields(model, detail["loc"][:-1])
        suggestion = _suggest(str(detail["loc"][-1]), known)
        return f"{place}: unknown key{suggestion or '; known: ' + ', '.join(known)}"
    if detail["type"] == "missing":
        return f"{place}: missing; add it"
    if detail["type"] == "value_error":
        return f"{place}: {detail['msg'].removeprefix('Value error, ')}".removeprefix(": ")
    message, given = detail["msg"][0].lower() + detail["msg"][1:], repr(detail["input"])
    shown = given if len(given) <= LONGEST else f"{given[: LONGEST - 1]}…"
    return f"{place}: {message}, but it is {shown}"


def _fields(model: Any, path: tuple[int | str, ...]) -> list[str]:
    """The field names of the model reached by `path`; dictionaries lead to their value's model."""
    for step in path:
        if hasattr(model, "model_fields"):
            model = model.model_fields[str(step)].annotation if str(step) in model.model_fields else None
        else:
            model = (getattr(model, "__args__", None) or [None])[-1]
        if isinstance(model, UnionType):  # a section that may be left out
            model = next((one for one in model.__args__ if one is not type(None)), None)
    return list(getattr(model, "model_fields", {}))

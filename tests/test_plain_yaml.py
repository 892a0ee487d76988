"""Keys that YAML does not read as people mean them, keys given twice; and numbers out of all bounds, in any section."""

import math
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args, get_origin

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from hyma.common import params, plain_yaml
from hyma.common.errors import HymaError
from hyma.common.params import Section
from hyma.encoders.base.params import ExtractParams
from hyma.methods import known, load
from hyma.model.config import ModelConfig
from hyma.plan.experiment import Experiment

WAYS = ("no", "on", "YES", "true", "384", "1_000", "0x1f", "12:30:45", "null", "~", "1.5", ".inf", "1e5", "0o14",
        "2026-01-01", "=")  # fmt: skip


@pytest.mark.parametrize("key", WAYS)
def test_a_key_that_is_no_text(tmp_path: Path, key: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(f"seed: 0\nimage_encoders:\n  vit: {{}}\n  {key}: {{}}\n")
    with pytest.raises(HymaError) as caught:
        params.load(file)
    said = str(caught.value)
    assert said.startswith(f"{file}: line 4: image_encoders: the key {key} is read by YAML as ")
    assert said.endswith(f'; write it in quotes: "{key}"')


@pytest.mark.parametrize("key", WAYS)
def test_in_quotes_it_is_text_to_dvc_too(key: str) -> None:
    text = f'image_encoders: {{"{key}": 1}}'
    assert plain_yaml.load(text) == {"image_encoders": {key: 1}}
    assert YAML(typ="safe").load(text) == {"image_encoders": {key: 1}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3",
            "line 5: b: the key c is given twice, first in line 3; keep one",
        ),
        ("a: 1\n\n'a': 2", "line 3: the key a is given twice, first in line 1"),
        ("a: [{b: 1}, {c: 1,\n c: 2}]", "line 2: a.1: the key c is given twice, first in line 1"),
        ("no: 1", 'line 1: the key no is read by YAML as a truth value; write it in quotes: "no"'),
        ("? [a]\n: 1", "line 1: a key is a list or a mapping; write it as text"),
        ("a: 2026-13-45", "not valid YAML: month must be in 1..12"),
        ("a: !!python/object:os.system {}", "not valid YAML: could not determine a constructor"),
        ("[" * 5000, "not valid YAML: nested too deeply"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(HymaError) as caught:
        params.load(file)
    assert str(caught.value).startswith(f"{file}: {said}")
    assert "\n" not in str(caught.value)


def test_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("seed: 1", encoding="utf-16")
    with pytest.raises(HymaError, match=r"p\.yaml: not valid YAML: no text in UTF-8; save it in that"):
        params.load(tmp_path / "p.yaml")
    (tmp_path / "bom.yaml").write_text("seed: 1", encoding="utf-8-sig")
    assert params.load(tmp_path / "bom.yaml") == {"seed": 1}


def test_aliases_and_merges_are_as_ever() -> None:
    text = "a: &x {b: 1}\nc: {<<: *x, d: 2}\ne: [*x, *x]\nf: &y {g: *y}"
    assert plain_yaml.load(text)["c"] == {"b": 1, "d": 2}
    assert plain_yaml.load(text)["e"] == [{"b": 1}] * 2


KEYS = st.from_regex("[a-z0-9_]+", fullmatch=True)
NUMERALS = st.from_regex("[-+._0-9eExXobaf:]+", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]))


@settings(deadline=None)
@given(st.dictionaries(KEYS | NUMERALS, st.integers() | KEYS | NUMERALS | TEXTS | st.floats(allow_nan=False)))
@example({"08_": "0_8", "-_1": "1_.e5"})
def test_what_is_written_is_read_again_and_by_dvc(value: dict[str, Any]) -> None:
    text = plain_yaml.dump(value)
    assert plain_yaml.load(text) == value
    assert YAML(typ="safe").load(text) == value


def test_dumped_keys_that_look_like_numbers_are_quoted() -> None:
    assert plain_yaml.dump({"1e5": 1, "no": 2, "a": "1e5"}) == "'1e5': 1\n'no': 2\na: '1e5'\n"
    assert yaml.safe_load("1e5: 1") == {"1e5": 1}  # PyYAML alone would take it for text


def sections(of: type[Section] = Section) -> Iterator[type[Section]]:
    for each in of.__subclasses__():
        yield from (each, *sections(each))


for _name in known():
    load(_name)
NUMBERS = sorted(
    {(each, name) for each in {*sections(), Experiment} if each.__module__.startswith("hyma")
     for name, field in each.model_fields.items() if params._numeric(field.annotation)},
    key=lambda item: (item[0].__module__, item[0].__name__, item[1]),
)  # fmt: skip


def shaped(kind: Any, value: Any) -> Any:
    """A value as a list or a mapping of it where the field is one."""
    first = get_origin(kind)
    if first in (Annotated, UnionType):
        return shaped(get_args(kind)[0], value)
    return [value] if first is list else {"a": value} if first is dict else value


def test_all_sections_are_found() -> None:
    assert len(NUMBERS) > 100
    assert {(ExtractParams, "workers"), (ModelConfig, "logit_scale")} <= set(NUMBERS)


@pytest.mark.parametrize("value", [True, math.nan, math.inf, 10**30, -(10**30)])
def test_no_number_of_a_section_is_beyond_measure(value: Any) -> None:
    accepted = [f"{model.__module__}.{name}" for model, name in NUMBERS if accepts(model, name, value)]
    assert accepted == []


def test_counts_and_shares_are_not_negative() -> None:
    """But for published scores, the version of a file's format, and layers, which are counted from the end, too."""
    accepted = {name for model, name in NUMBERS if accepts(model, name, -1)}
    assert accepted == {"image", "text", "format_version", "layer"}


def accepts(model: type[Section], name: str, value: Any) -> bool:
    try:
        model.model_validate({name: shaped(model.model_fields[name].annotation, value)})
    except ValidationError as error:
        of_whole = [each for each in error.errors() if not each["loc"]]  # hyma.widths
        return not of_whole and all(each["loc"][0] != name for each in error.errors())
    return True


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workers": -1}, "extract.workers: should be auto, or a whole number from 0 on, but it is -1"),
        ({"batch": 0}, "extract.batch: should be auto, or a whole number from 1 on, but it is 0"),
        ({"batch": True}, "extract.batch: should be a number, but it is true"),
        ({"batch": "many"}, "extract.batch: should be auto, or a whole number from 1 on, but it is 'many'"),
        ({"chunk": 10**20}, "extract.chunk: should be 9e+15 at most, but it is 1e+20"),
    ],
)
def test_said_in_words(given: dict[str, Any], said: str) -> None:
    with pytest.raises(HymaError) as caught:
        params.validate(given, ExtractParams, key="extract")
    assert str(caught.value) == f"params.yaml: {said}"

"""Which modules a module runs, and whether their text is what it was: on a toy package."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hyma.common import sources

TOY = {
    "hyma/__init__": "from hyma.deep import never",
    "hyma/top": "import json\nimport hyma\nfrom hyma.parts import first\n\nTOP = 1",
    "hyma/parts/__init__": '"""Parts."""',
    "hyma/parts/first": "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from hyma import typed\n\n"
    "def call():\n    from hyma.deep.inner import value\n    return value",
    "hyma/deep/__init__": "import hyma.beside",
    "hyma/deep/inner": "from . import never\nvalue = 1",
    "hyma/deep/never": "",
    "hyma/beside": "from hyma import top",
    "hyma/typed": "",
    "stages/run": "import hyma.beside",
    "other/out": "",
}  # fmt: skip
REACHED = {"hyma.top", "hyma.parts", "hyma.parts.first", "hyma.deep", "hyma.deep.inner", "hyma.beside"}


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of its own in place of this one."""
    for name, text in TOY.items():
        file = tmp_path / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """Modules are read once a process: read them anew."""
    for cached in (sources.imported, sources._text, sources._file):
        cached.cache_clear()


def code(root: Path, name: str, **changed: str) -> str:
    """The digest of a module's code with other modules' text changed."""
    for module, text in changed.items():
        (root / f"hyma/{module}.py").write_text(text)
    forget()
    return sources.code(name)


def test_own_imports() -> None:
    assert sources.imported("hyma.top") == {"hyma.parts", "hyma.parts.first"}
    assert sources.imported("hyma.parts.first") == {"hyma.parts", "hyma.deep.inner"}


def test_within_functions_and_round_circles() -> None:
    """But neither for type checkers, nor through the front door, nor what is not the project's."""
    assert sources.closure(["hyma.top"]) == REACHED
    assert sources.closure(["stages.run", "other.out", "hyma.gone"]) == REACHED | {"stages.run"}


def test_only_the_projects_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PROJECT", ("hyma",))
    assert sources.closure(["stages.run"]) == set()


def test_all_modules_of_a_package() -> None:
    assert sources.modules("hyma/deep") == ["hyma.deep", "hyma.deep.inner", "hyma.deep.never"]


@pytest.mark.parametrize("changed", ["top", "parts/first", "parts/__init__", "deep/inner", "beside"])
def test_code_changes_with_every_module_that_may_run(root: Path, changed: str) -> None:
    before = sources.code("hyma.top")
    text = (root / f"hyma/{changed}.py").read_text()
    assert code(root, "hyma.top", **{changed: f"{text}\n# another line"}) != before
    assert code(root, "hyma.top", **{changed: text}) == before


@pytest.mark.parametrize("changed", ["__init__", "typed", "deep/never"])
def test_code_stays_when_others_change(root: Path, changed: str) -> None:
    before = sources.code("hyma.top")
    assert code(root, "hyma.top", **{changed: "x = 2"}) == before


def test_code_is_one_for_any_order() -> None:
    assert sources.code("hyma.top", "hyma.typed") == sources.code("hyma.typed", "hyma.top")
    assert sources.code("hyma.top", "hyma.typed") != sources.code("hyma.top")

"""The house: packages in one order, each importing earlier ones only; no circle; no file too long to read at once."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from hyma.common.sources import imported, modules

ROOT = Path(__file__).parent.parent
LAYERS = (
    *("common", "wording", "embedded", "readers", "encoders", "stitching", "search", "methods", "evaluation"),
    *("ranking", "studies", "report", "model", "memory", "plan", "cli"),
)
"""Lowest first: hyma's packages. What is touched often stands where nothing imports it."""
INNER = {"readers": ("base", "formats"), "encoders": ("base", "sources"), "report": ("studies",)}
LONGEST = 300
FRONT_DOOR = {"__init__", "__main__"}


def package(module: str) -> str:
    """The package below hyma that a module lies in; nothing for the front door."""
    return module.split(".")[1] if module.count(".") else ""


def test_every_package_has_its_place() -> None:
    folders = {path.parent.name for path in (ROOT / "hyma").glob("*/__init__.py")}
    assert folders == set(LAYERS)
    assert len(folders) <= 18
    assert {path.stem for path in (ROOT / "hyma").glob("*.py")} == FRONT_DOOR


def test_imports_go_down() -> None:
    wrong = [
        f"{module} imports {other}"
        for module in modules("hyma")
        if package(module) in LAYERS
        for other in imported(module)
        if package(other) in LAYERS and LAYERS.index(package(other)) > LAYERS.index(package(module))
    ]
    assert wrong == []


def test_an_import_upwards_would_be_found() -> None:
    assert "hyma.common.errors" in imported("hyma.stitching.grid")
    assert LAYERS.index("common") < LAYERS.index("stitching")


def test_no_circle() -> None:
    """Not even one that only closes within functions."""
    graph = {
        module: imported(module) - {"hyma"}
        for module in modules("hyma")
        if module not in ("hyma", "hyma.__main__")
    }
    TopologicalSorter(graph).prepare()  # raises CycleError with the circle


def test_stages_are_thin_and_nobody_imports_them() -> None:
    assert [
        module for module in modules("hyma") if any(name.startswith("stages") for name in imported(module))
    ] == []
    assert [
        path.name for path in (ROOT / "stages").glob("*.py") if len(path.read_text().splitlines()) > 70
    ] == []


@pytest.mark.parametrize("folder", ["hyma", "stages", "benchmarks"])
def test_files_are_short(folder: str) -> None:
    assert {
        str(path): lines
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > LONGEST
    } == {}


@pytest.mark.parametrize("name", LAYERS)
def test_packages_say_what_they_are(name: str) -> None:
    tree = ast.parse((ROOT / "hyma" / name / "__init__.py").read_text())
    assert len(ast.get_docstring(tree) or "") > 40

"""The house: packages in one order, each importing earlier ones only; no circle; no file too long to read at once."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from hyma.common.sources import imported, modules

ROOT = Path(__file__).parent.parent
LAYERS = (
    *(
        "common",
        "wording",
        "embedded",
        "fetched",
        "readers",
        "encoders",
        "stitching",
        "search",
        "methods",
        "evaluation",
    ),
    *("ranking", "studies", "report", "model", "memory", "plan", "cli"),
)
"""Lowest first: hyma's packages. What is touched often stands where nothing imports it."""
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


def upwards(module: str, other: str) -> bool:
    """Whether one module lies in a lower package than the other, which it imports."""
    return LAYERS.index(package(other)) > LAYERS.index(package(module))


def test_imports_go_down() -> None:
    inside = [module for module in modules("hyma") if package(module) in LAYERS]
    found = [(module, other) for module in inside for other in imported(module) if package(other) in LAYERS]
    assert len(found) > 400  # they are seen at all
    assert [f"{module} imports {other}" for module, other in found if upwards(module, other)] == []


def test_an_import_upwards_would_be_found() -> None:
    assert upwards("hyma.stitching.grid", "hyma.report.page")
    assert not upwards("hyma.report.page", "hyma.stitching.grid")
    assert {"hyma.stitching.trainer", "hyma.common.names"} <= imported("hyma.stitching.grid")


def test_no_circle() -> None:
    """Not even one that only closes within functions."""
    graph = {
        module: imported(module) - {"hyma"}
        for module in modules("hyma")
        if module not in ("hyma", "hyma.__main__")
    }
    TopologicalSorter(graph).prepare()  # raises CycleError with the circle


def test_nobody_imports_a_stage() -> None:
    assert [
        module for module in modules("hyma") if any(name.startswith("stages") for name in imported(module))
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

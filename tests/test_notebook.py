"""The example notebook: it runs from its first cell to its last, offline, and shows what readers see in it."""

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.root import ROOT

nbformat = pytest.importorskip("nbformat", reason="needs the extra `notebook`")
nbclient = pytest.importorskip("nbclient", reason="needs the extra `notebook`")
pytest.importorskip("ipykernel", reason="needs the extra `notebook`")
pytest.importorskip("pandas", reason="needs the extra `notebook`")

NOTEBOOK = ROOT / "examples" / "stitch.ipynb"
SIZE = 400_000
"""Bytes that a notebook in git may have, pictures included."""


@pytest.fixture(scope="module")
def committed() -> Any:
    return nbformat.read(NOTEBOOK, 4)


def run() -> Any:
    """The notebook, run from its own folder, as it is in an editor."""
    notebook = nbformat.read(NOTEBOOK, 4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    return nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources=resources
    ).execute()


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def result(notebook: Any) -> dict[str, Any]:
    """What the last cell says."""
    return ast.literal_eval(notebook.cells[-1].outputs[-1].data["text/plain"])


def kinds(notebook: Any) -> list[tuple[str, list[str]]]:
    """What every cell shows, but for the numbers in it."""
    return [
        (cell.id, [sorted(output.get("data", output)) for output in cell.get("outputs", [])])
        for cell in notebook.cells
    ]


def check(notebook: Any) -> None:
    """No errors, no warnings; a model that is worth having."""
    for output in outputs(notebook):
        assert output.output_type != "error", output
        assert output.get("name") != "stderr", output.text
    found = result(notebook)
    assert found["best"].startswith("resnet-")
    assert found["regret"] < 0.05
    assert found["accuracy"] > 0.7
    assert found["found"] >= 4
    assert found["same_after_loading"] is True


def test_it_runs(committed: Any) -> None:
    """Running it shows what readers of the repository see."""
    executed = run()
    for notebook in (executed, committed):
        check(notebook)
    assert kinds(committed) == kinds(executed)


def test_size(committed: Any) -> None:
    pictures = [output for output in outputs(committed) if "image/jpeg" in output.get("data", {})]
    assert len(pictures) == 4
    assert NOTEBOOK.stat().st_size < SIZE


def test_it_names_no_machine(committed: Any) -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert str(ROOT) not in text
    assert str(Path.home()) not in text
    counts = [cell.execution_count for cell in committed.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))

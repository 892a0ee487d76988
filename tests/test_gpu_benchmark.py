"""The program that proves the CUDA path on a GPU, in its tiny form: every part has rows, and what is wrong fails."""

import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from benchmarks.gpu import __main__ as program
from benchmarks.gpu import compare, data, device, pictures, steps
from benchmarks.gpu.sizes import TINY, Sizes
from benchmarks.gpu.table import HEAD, PARTS, Row, all_at_most, at_most, failures, measured, page, text
from hyma.stitching.flops import connector_forward
from hyma.stitching.grid import train_pair
from hyma.stitching.result import SearchResult
from tests.pretend import CUDA, gpu

ROOT = Path(__file__).parent.parent
HEAVY = ("dvc", "matplotlib", "sklearn", "scipy", "timm", "torchvision", "transformers", "fvcore", "pandas")
CPU = torch.device("cpu")


class Run(NamedTuple):
    """What a run of the program left."""

    code: int
    printed: str
    page: str

    @property
    def table(self) -> list[list[str]]:
        """The cells of the table's rows."""
        lines = self.printed.split("\n\n")[1].splitlines()
        assert lines[0].split() == [cell for cell in HEAD if cell]
        return [re.split(r"\s{2,}", line) for line in lines[1:]]


def run(*arguments: str) -> Run:
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = program.main(["--tiny", *arguments])
    file = Path(arguments[-1])
    return Run(code, printed.getvalue(), file.read_text() if file.suffix == ".md" else "")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run("--markdown", str(tmp_path_factory.mktemp("gpu") / "gpu.md"))


def test_every_part_has_rows_and_nothing_fails(whole: Run) -> None:
    assert whole.code == 0
    assert {cells[0] for cells in whole.table} == set(PARTS) == set(program.CHECKS)
    assert all(len(cells) == len(HEAD) and cells[4] in ("ok", "not run") for cells in whole.table)
    assert whole.printed.endswith("Nothing failed.\n")


def test_what_is_checked(whole: Run) -> None:
    found = {(cells[0], cells[1]): cells[2] for cells in whole.table}
    for name in ("grid search", "hyma, factorised, linear", "hyma, dense, twice on the device"):
        assert found["a", name].startswith("loss 0, scores 0, outputs ")
    assert {what[:4] for part, what in found if part == "b"} == {"fp32", "bf16", "fp16"}
    assert found["c", "grid search, standardised"].startswith("loss ")
    assert found["d", "the same, TF32 on"].endswith(" TFLOP/s")
    assert found["d", "grid search, batch 256, 16→24, fp16"].endswith(" % of the peak")
    assert found["d", "hyma, factorised, batch 64, fp32"].endswith(" % of the peak")
    assert "blockwise ÷ naive" in found["e", "512 × 16: the naive form"]
    assert found["f", "test_vit, fp16: extraction"].endswith(" % of the forward pass")
    assert found["f", "test_vit, fp32: batch, asked for 4"].startswith("4 of ")


def test_recall_is_neither_0_nor_1(whole: Run) -> None:
    recalls = [float(cells[2].split(", ")[1]) for cells in whole.table if cells[1].endswith("recall@5")]
    assert len(recalls) == 3
    assert all(0.2 < recall < 0.95 for recall in recalls)


def test_the_page(whole: Run) -> None:
    assert whole.page.startswith("# On a GPU\n")
    for fact in (date.today().isoformat(), f"PyTorch {torch.__version__}", "- no GPU: the CPU stands for it"):
        assert fact in whole.page
    assert re.findall(r"^## (.+)$", whole.page, re.M) == [
        title[0].upper() + title[1:] for title in PARTS.values()
    ]
    lines = [line for line in whole.page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {5}
    assert len(lines) == len(whole.table) + 2 * len(PARTS)


def test_a_broken_comparison_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def broken(*arguments: Any) -> SearchResult:
        found = train_pair(*arguments)
        called.append(arguments)
        if len(called) == 1:
            found.history["loss"][3] *= 1.02
        return found

    monkeypatch.setattr(compare, "train_pair", broken)
    found = run("--parts", "a")
    assert found.code == 1
    wrong = [cells for cells in found.table if cells[-1] == "FAILED"]
    assert [cells[1] for cells in wrong] == ["grid search", "grid search, twice on the device"]
    assert wrong[0][2].startswith("loss 0.02")
    assert "Failed:\n- a: grid search: loss 0.02" in found.printed


def ends_in(error: Exception) -> Callable[[Sizes, torch.device], Iterator[Row]]:
    def check(_: Sizes, __: torch.device) -> Iterator[Row]:
        yield measured("b", "before", "1")
        raise error

    return check


def test_an_error_fails_and_the_other_parts_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(program.CHECKS, "b", ends_in(RuntimeError("no kernel\nimage")))
    found = run("--parts", "b", "e")
    assert found.code == 1
    assert [cells[-1] for cells in found.table if cells[0] == "b"] == ["ok", "FAILED"]
    assert "RuntimeError: no kernel image" in found.printed
    assert any(cells[0] == "e" for cells in found.table)


def test_too_little_memory_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(program.CHECKS, "b", ends_in(torch.OutOfMemoryError("CUDA out of memory")))
    found = run("--parts", "b")
    assert found.code == 0
    assert "not run: it does not fit into the device's memory" in found.printed


@pytest.mark.parametrize("part", ["c", "g"])
def test_the_parts_keep_devices_apart(part: str) -> None:
    with gpu():
        rows = list(program.CHECKS[part](TINY, CUDA))
    assert {row.verdict for row in rows} == {"ok"}


def test_without_timm_and_fvcore(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (device, pictures, steps):
        monkeypatch.setattr(module, "installed", lambda _: False)
    assert [row.figure for row in pictures.extraction(TINY, CPU)] == ["not run: timm is not installed"]
    arrays = data.draw(TINY.rows, TINY.images, TINY.texts, TINY.noise)
    features = data.put(arrays, compare.connector(TINY), CPU)
    connector_forward.cache_clear()
    found = compare.hyma(TINY, "dense")(features)
    assert found.flops["hypernetwork"] == found.flops["connector forward"] == 0 < found.flops["InfoNCE"]
    assert connector_forward(features.spec(compare.PAIR, compare.connector(TINY)), 1) > 0


def test_the_flops_of_a_step_are_those_of_grid_search() -> None:
    from hyma.stitching.connectors import ConnectorSpec
    from hyma.stitching.flops import grid

    spec = ConnectorSpec("mlp1", 7, 5, 11)
    assert steps.step_flops(spec, 13) == sum(grid({("i", "t"): spec}, 13, 1).values())


def test_equal_signs_undo_a_flip(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one thing that two libraries may choose differently, and no more than that."""
    fit = compare.Principal.fit.__func__  # type: ignore[attr-defined]

    def flipped(cls: Any, *arguments: Any) -> Any:
        found = fit(cls, *arguments)
        return cls(found.mean_D, -found.basis_DR, found.variance_R, found.flops)

    arrays = data.draw(TINY.rows, TINY.images, TINY.texts, TINY.noise)
    features = data.put(arrays, compare.connector(TINY), CPU)
    searches = compare.hyma(TINY, "factorised"), compare.with_equal_signs(compare.hyma(TINY, "factorised"))
    before = [search(features).history["loss"] for search in searches]
    monkeypatch.setattr(compare.Principal, "fit", classmethod(flipped))
    searches = compare.hyma(TINY, "factorised"), compare.with_equal_signs(compare.hyma(TINY, "factorised"))
    after = [search(features).history["loss"] for search in searches]
    assert not np.allclose(before[0], after[0], rtol=1e-3)
    assert before[1] == after[1]


def test_rows_by_hand() -> None:
    assert at_most("a", "x", 0.2, 0.1).verdict == "FAILED"
    assert at_most("a", "x", float("nan"), 0.1).verdict == "FAILED"
    good = at_most("a", "x", 0.1, 0.1, " GB")
    assert good.cells == ("a", "x", "0.1 GB", "≤ 0.1 GB", "ok")
    both = all_at_most("c", "y", {"loss": (0.0, 0.0), "scores": (0.5, 0.25)})
    assert both.cells == ("c", "y", "loss 0, scores 0.5", "≤ 0, ≤ 0.25", "FAILED")
    assert text([good, both]).splitlines() == [
        "part  what  figure              limit",
        "a     x     0.1 GB              ≤ 0.1 GB     ok",
        "c     y     loss 0, scores 0.5  ≤ 0, ≤ 0.25  FAILED",
    ]
    assert failures([good]) == "Nothing failed."
    assert failures([good, both]) == "Failed:\n- c: y: loss 0, scores 0.5 (limit ≤ 0, ≤ 0.25)"
    assert "| x | 0.1 GB | ≤ 0.1 GB | ok |" in page([good], ["a card"], date(2026, 1, 2))


def test_it_starts_with_little_more_than_torch() -> None:
    lines = "import sys, benchmarks.gpu.__main__\n"
    lines += f"print(*(name for name in {HEAVY!r} if name in sys.modules), 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", lines], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE
    )
    assert done.stdout.split() == ["True"]

"""What a process loads: a search does not load PyTorch's compiler, nor do those load PyTorch that read json alone."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import startup
from hyma.stitching.adamw import AdamW

ROOT = Path(__file__).parent.parent
SEARCHES = """
import numpy as np, torch
from hyma.search import hyma_search
from hyma.search.params import HymaParams
from hyma.stitching import grid
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.training_set import assemble

x_ND = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
connector = ConnectorParams(hidden=8, holdout=0.1)
features = assemble({"i": [x_ND]}, {"t": [x_ND]}, np.arange(100), connector, 0, torch.device("cpu"))
assert grid.search(features, GridParams(batch=30, epochs=2), connector, 0).flops
for decoder in ("dense", "factorised"):
    assert hyma_search.search(features, HymaParams(decoder=decoder, epochs=2), connector, 0).flops
"""


def loaded(program: str) -> set[str]:
    """The heavy libraries that a program loads."""
    lines = f"{program}\nimport sys\nprint(*(name for name in {startup.HEAVY!r} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", lines], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE
    )
    return set(done.stdout.split())


def test_a_search_never_loads_the_compiler() -> None:
    assert loaded(SEARCHES) == {"torch", "fvcore"}


@pytest.mark.parametrize(
    "module", ["hyma.stitching.result", "hyma.search.recorded", "hyma.search.unimodal", "hyma.ranking.rank"]
)
def test_those_who_read_json_load_nothing_heavy(module: str) -> None:
    assert loaded(f"import {module}") == set()


def trained(optimizer: type[torch.optim.AdamW]) -> list[Tensor]:
    """The weights after some steps with clipped gradients, a schedule and a scaler, as `train` takes them."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Linear(7, 3))
    adamw = optimizer(model.parameters(), lr=0.01, betas=(0.9, 0.99), weight_decay=0.1, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(adamw, lambda step: 1 / (step + 1))
    scaler = torch.amp.GradScaler("cpu")
    for _ in range(10):
        adamw.zero_grad()
        scaler.scale(model(torch.randn(4, 5)).square().mean()).backward()
        scaler.unscale_(adamw)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        scaler.step(adamw)
        scaler.update()
        schedule.step()
    assert torch.is_grad_enabled()
    return list(model.parameters())


def test_adamw_is_pytorchs_to_the_bit() -> None:
    for ours, theirs in zip(trained(AdamW), trained(torch.optim.AdamW), strict=True):
        assert torch.equal(ours, theirs)


def test_benchmark_says_what_a_stage_loads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = startup.stages()[0]
    monkeypatch.setattr(sys, "argv", ["startup", "--stage", stage, "--runs", "1"])
    startup.main()
    header, line = capsys.readouterr().out.splitlines()
    name, cpu, wall, *_ = line.split()
    assert header.startswith("imported")
    assert name == stage
    assert 0 < float(cpu) < 60
    assert 0 < float(wall) < 60

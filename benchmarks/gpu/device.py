"""The machine: which device stands for the GPU, its time and its memory."""

import importlib.util
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch

from hyma.common.pictures import cores
from hyma.stitching import flops

CPU = torch.device("cpu")


def facts(device: torch.device) -> list[str]:
    """What the page says of the machine."""
    name = "no GPU: the CPU stands for it"
    if device.type == "cuda":
        own = torch.cuda.get_device_properties(device)
        name = f"{own.name}, {own.total_memory / 2**30:.0f} GiB"
    return [
        name,
        f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}",
        f"{platform.system()}, {cores()} cores",
    ]


def installed(module: str) -> bool:
    """Whether a library is there, without loading it."""
    return importlib.util.find_spec(module) is not None


def wait(device: torch.device) -> None:
    """Until the device has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(function: Callable[[], object], device: torch.device, repeats: int, rounds: int = 3) -> float:
    """Median seconds of a call, of `rounds` rounds of `repeats` calls each, after one to warm up."""
    function()
    taken = []
    for _ in range(rounds):
        wait(device)
        start = time.perf_counter()
        for _ in range(repeats):
            function()
        wait(device)
        taken.append((time.perf_counter() - start) / repeats)
    return statistics.median(taken)


def peak_bytes(function: Callable[[], object], device: torch.device) -> int:
    """The most memory of a GPU that a call allocates, above what is allocated before."""
    wait(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    function()
    wait(device)
    return torch.cuda.max_memory_allocated(device) - before


@contextmanager
def tf32(on: bool) -> Iterator[None]:
    """Products in float32 by the tensor cores, in TF32, or not; then as before."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if on else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def uncounted() -> Iterator[None]:
    """Where fvcore is not installed, searches say 0 for the FLOPs that it would count."""
    if installed("fvcore"):
        yield
        return
    with patch.object(flops, "count_forward", lambda *_: 0.0):
        yield
    flops.connector_forward.cache_clear()

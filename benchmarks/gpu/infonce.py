"""Part e: InfoNCE in blocks of rows, against its naive form, which holds all logits."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.gpu.device import peak_bytes, seconds
from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.table import Row, at_most, measured, not_run
from benchmarks.infonce import Loss, features, naive
from hyma.stitching.losses import BLOCK, blockwise

SPARE = 8
"""Blocks of logits that may be in memory at once, with what is computed of them; beside the gradient and its copy."""
REPEATS = 3
CLOSE = 1e-4
"""Relative difference of the two forms' losses and gradients, in fp32."""


def large_batch(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    """Compare, then measure memory and time, forward and backward."""
    batch, width = sizes.infonce
    name = f"{batch} × {width}"
    row_BD, column_BD = (side.detach().to(device) for side in features(batch, width))
    row_BD.requires_grad_()
    step = _step(blockwise, row_BD, column_BD)
    step()
    yield from _memory(f"{name}: peak memory above the two sides", step, row_BD, device)
    taken = seconds(step, device, REPEATS)
    yield measured("e", f"{name}: forward and backward", f"{taken * 1e3:.1f} ms")
    loss, grad_BD = step()
    try:
        yield from _naive(name, _step(naive, row_BD, column_BD), loss, grad_BD, taken, device)
    except torch.OutOfMemoryError:
        yield not_run("e", f"{name}: the naive form", "it does not fit into the device's memory")


def _step(loss: Loss, row_BD: Tensor, column_BD: Tensor) -> Callable[[], tuple[Tensor, Tensor]]:
    def step() -> tuple[Tensor, Tensor]:
        row_BD.grad = None
        found = loss(row_BD, column_BD)[0]
        found.backward()
        assert row_BD.grad is not None
        return found.detach(), row_BD.grad

    return step


def _memory(what: str, step: Callable[[], object], row_BD: Tensor, device: torch.device) -> Iterator[Row]:
    if device.type != "cuda":
        yield not_run("e", what, "a CPU's is measured by python -m benchmarks.infonce")
        return
    row_BD.grad = None
    block = row_BD.element_size() * min(BLOCK, len(row_BD)) * len(row_BD)
    limit = 2 * row_BD.nbytes + SPARE * block
    yield at_most(
        "e", f"{what} (two gradients and {SPARE} blocks)", peak_bytes(step, device) / 1e9, limit / 1e9, " GB"
    )


def _naive(
    name: str,
    step: Callable[[], tuple[Tensor, Tensor]],
    loss: Tensor,
    grad_BD: Tensor,
    taken: float,
    device: torch.device,
) -> Iterator[Row]:
    other, other_grad_BD = step()
    yield at_most(
        "e", f"{name}: loss, relative to the naive form's", float((loss - other).abs() / other), CLOSE
    )
    apart = float((grad_BD - other_grad_BD).norm() / other_grad_BD.norm())
    yield at_most("e", f"{name}: gradient, relative to the naive form's", apart, CLOSE)
    naive_seconds = seconds(step, device, REPEATS)
    figure = f"{naive_seconds * 1e3:.1f} ms; blockwise ÷ naive {taken / naive_seconds:.2f}"
    yield measured("e", f"{name}: the naive form", figure)
    if device.type == "cuda":
        del other_grad_BD
        yield measured(
            "e", f"{name}: the naive form's peak memory", f"{peak_bytes(step, device) / 1e9:.2g} GB"
        )

"""Memory and time of InfoNCE in large batches: python -m benchmarks.infonce [--width D] [BATCH …].

For each batch, in a process of its own: the peak of memory above the two sides' features, forward and backward,
and the time in units of the naive loss's, which holds all B×B logits. Text to image as connectors are trained:
the gradient goes to the text side alone.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from hyma.stitching.losses import blockwise, contrast_logits

Loss = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def main() -> None:
    """Measure every batch; print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("batches", nargs="*", type=int, default=[4096, 8192, 16384], metavar="BATCH")
    parser.add_argument("--width", type=int, default=1024, metavar="D")
    parser.add_argument("--repeats", type=int, default=3, help="the median of so many, taken in turns")
    args = parser.parse_args()
    print(f"width {args.width}, float32, {torch.get_num_threads()} threads\n")
    print("   batch   peak above features   naive loss's   growth   seconds   ÷ naive's", flush=True)
    before: tuple[int, float] | None = None
    for batch in args.batches:
        peak, whole = (apart(memory, loss, batch, args.width) for loss in (blockwise, naive))
        seconds, ratio = apart(times, batch, args.width, args.repeats)
        growth = "" if before is None else f"{peak / before[1]:.2f}× for {batch / before[0]:g}×"
        print(
            f"{batch:8d} {peak:17.3f} GB {whole:11.3f} GB {growth:>14} {seconds:7.2f} {ratio:10.2f}",
            flush=True,
        )
        before = batch, peak


def naive(row_BD: Tensor, column_BD: Tensor) -> tuple[Tensor, Tensor]:
    """The loss with all logits in memory."""
    return contrast_logits(row_BD @ column_BD.T)


def apart(
    function: Callable[..., tuple[float, ...] | float], *arguments: object
) -> tuple[float, ...] | float:
    """Call in a fresh process: the peak of memory that a process has seen never falls."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def features(batch: int, width: int) -> tuple[Tensor, Tensor]:
    """Both sides, of unit length, times a scale of 100 on the side that is trained."""
    torch.manual_seed(0)
    row_BD, column_BD = (torch.nn.functional.normalize(torch.randn(batch, width), dim=-1) for _ in range(2))
    return (100 * row_BD).requires_grad_(), column_BD


def memory(loss: Loss, batch: int, width: int) -> float:
    """GB at the peak of forward and backward, above what the process held with the features alone."""
    loss(*features(64, width))[0].backward()  # the libraries' own buffers
    row_BD, column_BD = features(batch, width)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far (Linux)
    before = peak_bytes()
    loss(row_BD, column_BD)[0].backward()
    return (peak_bytes() - before) / 1e9


def peak_bytes() -> int:
    """The most memory that this process has held, since its peak was last forgotten."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def times(batch: int, width: int, repeats: int) -> tuple[float, float]:
    """Median seconds of the blockwise loss, forward and backward, and in units of the naive one's."""
    row_BD, column_BD = features(batch, width)
    taken: dict[Loss, list[float]] = {blockwise: [], naive: []}
    for _ in range(repeats):
        for loss, seconds in taken.items():
            row_BD.grad = None
            start = time.perf_counter()
            loss(row_BD, column_BD)[0].backward()
            seconds.append(time.perf_counter() - start)
    own, other = (statistics.median(seconds) for seconds in taken.values())
    return own, own / other


if __name__ == "__main__":
    main()

"""Prove and measure the CUDA path on this machine's GPU: python -m benchmarks.gpu [--markdown FILE].

Needs no network and no data, and at most about eight minutes. It draws features by lot that belong together, and
checks and measures, a row each in one table:

a. grid search and `hyma` on the GPU equal the CPU's, and are the same to the bit when repeated;
b. bf16 and fp16 reach what fp32 reaches;
c. features that are streamed to the device give what features that lie there give;
d. what a step takes, and how near that is to the peak of a large matrix product;
e. memory and time of InfoNCE in a large batch;
f. extraction against the encoder's bare forward pass;
g. methods that train nothing score pairs on the GPU as on the CPU.

Ends with what failed, with exit code 1 if anything did. Without a GPU, or with ``--tiny``, it runs the same code on
tiny sizes, in seconds, with the CPU in both parts: that checks this program, not a GPU. It needs torch, numpy,
safetensors, pyarrow, pydantic, pillow, tqdm, pyyaml and psutil; part f needs timm, and the time of the dense decoder
fvcore: where they are not installed, their rows say so.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.gpu.compare import on_both, precisions, streamed
from benchmarks.gpu.device import facts
from benchmarks.gpu.infonce import large_batch
from benchmarks.gpu.methods import untrained
from benchmarks.gpu.pictures import extraction
from benchmarks.gpu.sizes import TINY, WHOLE, Sizes
from benchmarks.gpu.steps import step_times
from benchmarks.gpu.table import PARTS, Row, failed, failures, not_run, text, write_page
from hyma.common import device as devices

CHECKS: dict[str, Callable[[Sizes, torch.device], Iterator[Row]]] = {
    "a": on_both,
    "b": precisions,
    "c": streamed,
    "d": step_times,
    "e": large_batch,
    "f": extraction,
    "g": untrained,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts, or those asked for; print the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--tiny", action="store_true", help="tiny sizes on the CPU, as where there is no GPU")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as a page, too")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="only these")
    args = parser.parse_args(arguments)
    start = time.perf_counter()
    place = devices.resolve("cpu" if args.tiny else "auto")
    sizes = WHOLE if place.type == "cuda" else TINY
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("once")
        rows = [row for part in args.parts for row in run(part, sizes, place)]
    machine = [*facts(place), *remarks(caught), f"{time.perf_counter() - start:.0f} s in all"]
    print("\n".join(machine), text(rows), failures(rows), sep="\n\n")
    if args.markdown:
        write_page(args.markdown, rows, machine)
    return int(any(row.verdict == "FAILED" for row in rows))


def run(part: str, sizes: Sizes, place: torch.device) -> Iterator[Row]:
    """The rows of a part, and what ended it if it did not come to its end; each is told of as it comes."""
    for row in _guarded(part, sizes, place):
        print(f"{row.part}: {row.what}: {row.figure} {row.verdict}", file=sys.stderr, flush=True)
        yield row


def _guarded(part: str, sizes: Sizes, place: torch.device) -> Iterator[Row]:
    try:
        yield from CHECKS[part](sizes, place)
    except torch.OutOfMemoryError:
        yield not_run(part, "what is missing here", "it does not fit into the device's memory")
    except Exception as error:  # whatever it is, the other parts should run
        yield failed(part, "what is missing here", error)


def remarks(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    """What libraries warned of, each once, cut short."""
    said = dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught)
    return [f"warned: {line[:160]}" for line in said]


if __name__ == "__main__":
    sys.exit(main())

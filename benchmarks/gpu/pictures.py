"""Part f: extraction against the encoder's bare forward pass, by the code of `benchmarks.extraction`."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.gpu.device import installed
from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.table import Row, measured, not_run
from hyma.common.names import Precision
from hyma.encoders.base.params import ExtractParams

TOGETHER = 3
"""Encoders that share opened pictures."""
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")


def extraction(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    """Measure both rates of an image encoder with random weights, in both precisions."""
    if not installed("timm"):
        yield not_run("f", sizes.model, "timm is not installed")
        return
    for precision in PRECISIONS:
        yield from _rates(sizes, device, precision)


def _rates(sizes: Sizes, device: torch.device, precision: Precision) -> Iterator[Row]:
    from benchmarks import extraction  # needs timm

    params = ExtractParams(batch=sizes.extract_batch, workers=sizes.workers, precision=precision)
    with tempfile.TemporaryDirectory(prefix="hyma-") as name:
        folder, said = Path(name), list[str]()
        files = extraction.draw(folder / "raw", sizes.pictures)
        encoder = extraction.make_encoder(sizes.model, folder / "weights", device, params)
        rates = extraction.compare(
            encoder, files, folder / "data", params, device, sizes.seconds, sizes.rounds, said.append
        )
        joint = extraction.together(encoder, TOGETHER, folder / "data", params, device)
    what = f"{sizes.model}, {precision}"
    yield measured(
        "f", f"{what}: batch, asked for {sizes.extract_batch}", f"{rates.batch} of {rates.rows} pictures"
    )
    yield measured("f", f"{what}: forward pass alone, batches on the device", f"{rates.forward:.0f} images/s")
    figure = f"{rates.extraction:.0f} images/s, {100 * rates.ratio:.0f} % of the forward pass"
    yield measured("f", f"{what}: extraction", figure)
    figure = f"{joint:.0f} images/s, {100 * joint / rates.forward:.0f} % of the forward pass"
    yield measured("f", f"{what}: extraction, {TOGETHER} encoders over the same pictures", figure)

"""Part d: what a step of grid search and of HYMA takes, and how near that comes to the device's peak.

A step's FLOPs are those of `hyma.stitching.flops`: what is computed twice to save memory counts once. The peak is that
of a large square product in the same precision, by the tensor cores in half precision; "fp32" is without TF32, as the
searches compute. The loss is in fp32 in every precision.
"""

import time
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.gpu import data
from benchmarks.gpu.compare import SEED
from benchmarks.gpu.device import installed, seconds, tf32, uncounted, wait
from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.table import Row, measured, not_run
from hyma.common.names import Precision
from hyma.common.precision import DTYPES
from hyma.search import hyma_search
from hyma.search.params import HymaParams
from hyma.stitching import flops
from hyma.stitching.connectors import ConnectorSpec
from hyma.stitching.grid import train_pair
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.training_set import TrainingFeatures

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
PRODUCTS = 10
"""A round of measuring the peak."""


def step_times(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    """Measure the peaks, then the steps."""
    peaks = {}
    for precision in PRECISIONS:
        peaks[precision] = peak(sizes.matmul, DTYPES[precision], device)
        yield measured(
            "d", f"peak: a product of {sizes.matmul}², {_named(precision)}", _rate(peaks[precision])
        )
    with tf32(True):
        yield measured("d", "the same, TF32 on", _rate(peak(sizes.matmul, torch.float32, device)))
    text, image = sizes.step_widths
    own = ConnectorParams(hidden=sizes.step_hidden)
    arrays = data.draw(sizes.step_rows, (image, image), (text, text), sizes.noise)
    features = data.put(arrays, own, device)
    del arrays
    for batch, steps in sizes.steps:
        for precision in PRECISIONS:
            taken = grid_step(features, own, batch, steps, precision, device)
            spent = step_flops(
                ConnectorSpec("mlp1", text, image, sizes.step_hidden), min(batch, len(features.train))
            )
            what = f"grid search, batch {batch}, {text}→{image}, {precision}"
            yield measured("d", what, _step(taken, spent, peaks[precision]))
    for decoder in ("factorised", "dense"):
        # A dense one of this size is drawn anew, on the CPU, for every search: two precisions will do.
        for precision in PRECISIONS if decoder == "factorised" else PRECISIONS[::2]:
            what = f"hyma, {decoder}, batch {sizes.steps[0][0]}, {precision}"
            if decoder == "dense" and not installed("fvcore"):
                yield not_run("d", what, "fvcore, which counts its FLOPs, is not installed")
                continue
            taken, spent = hyma_step(features, own, sizes, decoder, precision, device)
            yield measured("d", what, _step(taken, spent, peaks[precision]))


def peak(size: int, dtype: torch.dtype, device: torch.device) -> float:
    """FLOPs a second of a square product."""
    generator = torch.Generator(device).manual_seed(SEED)
    first, second = (torch.randn(size, size, device=device, generator=generator).to(dtype) for _ in range(2))
    return 2.0 * size**3 / seconds(lambda: first @ second, device, PRODUCTS)


def step_flops(spec: ConnectorSpec, batch: int) -> float:
    """As `flops.pair_step` with the optimizer, without fvcore."""
    forward = sum(2.0 * batch * out * into for out, into in spec.layers)
    optimizer = flops.optimizer(sum(out * into + out for out, into in spec.layers))
    return forward + flops.connector_backward(spec, batch) + flops.info_nce(batch, spec.d_image) + optimizer


def grid_step(
    features: TrainingFeatures,
    connector: ConnectorParams,
    batch: int,
    steps: int,
    precision: Precision,
    device: torch.device,
) -> float:
    """Seconds of a step: the difference of a longer and a shorter training, over the steps between."""
    params = GridParams(batch=batch, precision=precision)

    def train(steps: int) -> float:
        wait(device)
        start = time.perf_counter()
        train_pair(features, params, connector, SEED, ("i0", "t0"), steps)
        wait(device)
        return time.perf_counter() - start

    train(1)  # to warm up
    return _between(train(steps), train(2 * steps)) / steps


def hyma_step(
    features: TrainingFeatures,
    connector: ConnectorParams,
    sizes: Sizes,
    decoder: Any,
    precision: Precision,
    device: torch.device,
) -> tuple[float, float]:
    """Seconds and FLOPs of a step, likewise."""
    taken, spent, steps = [], [], []
    for epochs in (1, *sizes.hyma_epochs):  # the first to warm up
        params = HymaParams(
            batch=sizes.steps[0][0],
            epochs=epochs,
            precision=precision,
            decoder=decoder,
            widths=list(sizes.step_codes),
        )
        wait(device)
        with uncounted():
            found = hyma_search.search(features, params, connector, SEED)
        taken.append(found.seconds)
        spent.append(sum(found.flops.values()))
        steps.append(found.steps)
    count = steps[-1] - steps[-2]
    return _between(taken[-2], taken[-1]) / count, (spent[-1] - spent[-2]) / count


def _between(shorter: float, longer: float) -> float:
    """The difference; on a busy machine it may not even be positive, and then the whole is what is known."""
    return longer - shorter if longer > shorter else longer


def _step(taken: float, spent: float, peak: float) -> str:
    rate = spent / taken
    return f"{taken * 1e3:.2f} ms, {_rate(rate)}, {100 * rate / peak:.1f} % of the peak"


def _rate(rate: float) -> str:
    return f"{rate / 1e12:.3g} TFLOP/s"


def _named(precision: Precision) -> str:
    return "fp32, TF32 off" if precision == "fp32" else precision

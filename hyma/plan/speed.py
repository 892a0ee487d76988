"""How fast this machine is at what the stages do, measured in about ten seconds with random numbers."""

import contextlib
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from PIL import Image

from hyma.common import precision
from hyma.encoders.base.params import EncoderParams
from hyma.plan.encoders import Encoder
from hyma.plan.experiment import Experiment
from hyma.plan.models import build

ENOUGH = 0.2
"""Seconds that a measurement takes at least."""
MOST_FLOPS = 15e9
MOST_PARAMETERS = 60_000_000
"""Of a row, and of the weights, up to which an encoder is timed itself."""
BATCH_FLOPS = 2e9
"""Of the batch that it is timed with."""


@dataclass
class Speed:
    """Seconds, or operations a second, on this machine."""

    start: dict[str, float] = field(default_factory=dict)
    """Kind of stage → seconds until its process has imported what it needs."""
    lock_line: float = 0.0
    """Seconds that DVC takes for a line of dvc.lock, a stage."""
    row: dict[str, float] = field(default_factory=dict)
    """Encoder's slug → seconds of a row's forward pass."""
    picture: dict[str, float] = field(default_factory=dict)
    """Encoder's slug → seconds of opening and transforming a picture, on one core."""
    decode: float = 0.0
    """Seconds of opening a picture alone, on one core."""
    draw: float = 0.0
    """Seconds of drawing one, on one core."""
    grid: float = 0.0
    """FLOPs a second of grid search's steps."""
    hyma: float = 0.0
    """FLOPs a second of HYMA's search."""
    cell: float = 0.0
    """Seconds of comparing an image with a text in an evaluation."""
    value: float = 0.0
    """Seconds of one number of a text's embedding in an evaluation."""


def device(experiment: Experiment) -> torch.device:
    """Where the stages will compute; the CPU if there is no GPU, whatever the experiment asks for."""
    return torch.device("cuda" if experiment.device != "cpu" and torch.cuda.is_available() else "cpu")


def now() -> float:
    """Seconds that pass; on one core alone only those in which this process computes, whatever else runs."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def repeated(action: Callable[[], object], enough: float = ENOUGH) -> float:
    """Seconds of one call: the quickest of those that take `enough` together, after one that does not count.

    The quickest is what the machine can do; the others waited for something else that runs on it.
    """
    action()
    quickest, end = float("inf"), time.perf_counter() + enough
    while time.perf_counter() < end or quickest == float("inf"):
        start = now()
        action()
        quickest = min(quickest, now() - start)
    return quickest


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide the progress bars of what is timed."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def rows(encoders: list[Encoder], experiment: Experiment) -> dict[str, float]:
    """Seconds of a row of every encoder: timed where that is quick, else by the rate of the largest that was."""
    found: dict[str, float] = {}
    timed: dict[str, float] = {}
    rate = 0.0
    for encoder in sorted(encoders, key=lambda one: one.flops_per_row or 0.0):
        flops, name = encoder.flops_per_row, _same(encoder.own)
        if flops is None or encoder.parameters is None:
            continue
        if name not in timed and flops <= MOST_FLOPS and encoder.parameters <= MOST_PARAMETERS:
            with contextlib.suppress(
                RuntimeError, TypeError, ValueError
            ):  # one that random weights do not suit
                timed[name] = _row(encoder, experiment)
                rate = flops / timed[name] if flops else rate
        seconds = timed.get(name, flops / rate if rate else None)
        if seconds is not None:
            found[encoder.slug] = seconds
    return found


def _same(own: EncoderParams) -> str:
    return f"{own.source}|{own.name}|{own.weights}"


def _row(encoder: Encoder, experiment: Experiment) -> float:
    on = device(experiment)
    body = build(encoder.own, encoder.slug, experiment.zoo, on.type)
    count = max(1, min(64, int(BATCH_FLOPS / max(encoder.flops_per_row or 1.0, 1.0))))
    batch = body.inputs(count)
    dtype = precision.resolve(experiment.extract.precision, on)

    def encode() -> None:
        with torch.inference_mode(), precision.autocast(on, dtype):
            body.forward(batch).float().cpu()

    return repeated(encode) / count


def pictures(jpeg: bytes, encoders: list[Encoder]) -> dict[str, float]:
    """Seconds of opening a picture and bringing it into the form that each image encoder takes."""
    from timm.data import create_transform

    by_side: dict[int, float] = {}
    for side in sorted({encoder.side for encoder in encoders if encoder.side}):
        transform = create_transform((3, side, side), is_training=False)
        by_side[side] = repeated(lambda: transform(opened(jpeg)), ENOUGH / 2)  # noqa: B023
    return {encoder.slug: by_side[encoder.side] for encoder in encoders if encoder.side}


def opened(jpeg: bytes) -> Image.Image:
    """The picture, decoded."""
    with Image.open(io.BytesIO(jpeg)) as picture:
        return picture.convert("RGB")

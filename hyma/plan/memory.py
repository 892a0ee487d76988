"""What the largest stages hold in memory at once, in bytes, against what this machine has."""

from typing import Any

import psutil
import torch

from hyma.encoders.base.params import ExtractParams
from hyma.plan.encoders import Encoder
from hyma.plan.experiment import Experiment
from hyma.plan.methods import network_of
from hyma.plan.sizes import FLOAT
from hyma.plan.work import Work
from hyma.stitching.losses import BLOCK, WHOLE
from hyma.stitching.table import COPIES, SHARE

COPIES_OF_WEIGHTS = 4
"""Weights, gradient, and the optimizer's two moments."""
COPIES_OF_LOGITS = 4
"""Logits, both directions' softmax, and the gradient."""
BLOCKS = 3
"""Blocks of logits held at once where a batch is too large to hold all of them."""
COPIES_OF_LARGEST = 3
"""Tensors of the largest size held at once in a forward pass: in, out, and one beside them."""
AUTO_BATCH = 1
"""What ``extract.batch: auto`` counts as: it takes what room there is, and needs no more than a row."""


def look(experiment: Experiment, work: Work | None, encoders: dict[str, Encoder]) -> dict[str, Any]:
    """Memory by part, the peak, and the machine's; parts that are unknown are left out."""
    machine, streamed = machine_memory(), False
    own = [extraction(encoder, experiment.extract) for encoder in encoders.values()]
    parts = {"extraction": max(own, default=0.0)}
    if work is not None:
        size = COPIES * training_features(work)
        streamed = size > SHARE * machine["device"]
        parts["training features"] = 0.0 if streamed else size
        parts |= {"logits": logits(work), "hypernetwork": hypernetwork(work)}
    peak = max(parts["extraction"], sum(size for part, size in parts.items() if part != "extraction"))
    enough = peak <= machine["device"]
    return {"parts": parts, "peak": peak, "streamed": streamed, "machine": machine, "enough": enough}


def machine_memory() -> dict[str, float]:
    """Bytes of main memory and of the GPU's; ``device`` is the one that computes."""
    ram = float(psutil.virtual_memory().total)
    gpu = float(torch.cuda.get_device_properties(0).total_memory) if torch.cuda.is_available() else 0.0
    return {"ram": ram, "gpu": gpu, "device": gpu or ram}


def training_features(work: Work) -> float:
    """One copy of the training features of all encoders."""
    image = work.rows.images * sum(work.images.values())
    return float(FLOAT * (image + work.rows.texts * sum(work.texts.values())))


def logits(work: Work) -> float:
    """The largest of the methods' InfoNCE steps; HYMA holds those of `bm` pairs at once."""
    own, methods = work.experiment, work.experiment.search.methods
    steps = [(own.grid.batch, 1), (own.hyma.batch, own.hyma.bm), (own.refine.batch, 1)]
    for name in methods:
        section = work.sections[name]
        if hasattr(section, "batch"):
            steps.append((section.batch, getattr(section, "bm", 1)))
    return max(_logits(min(batch, work.samples), pairs) for batch, pairs in steps)


def _logits(batch: int, pairs: int) -> float:
    if batch > WHOLE:
        return float(BLOCKS * FLOAT * BLOCK * batch)
    return float(COPIES_OF_LOGITS * FLOAT * pairs * batch**2)


def hypernetwork(work: Work) -> float:
    """HYMA's hypernetwork in training."""
    network = network_of(work, work.experiment.hyma)
    return float(COPIES_OF_WEIGHTS * FLOAT * sum(weight.numel() for weight in network.parameters()))


def extraction(encoder: Encoder, own: ExtractParams) -> float:
    """One encoder's weights, a batch on its way through it, and a chunk of features; unknown ones count as nothing."""
    if encoder.dim is None or encoder.parameters is None:
        return 0.0
    batch = own.batch if isinstance(own.batch, int) else AUTO_BATCH
    pixels = 3 * (encoder.side or 0) ** 2
    on_the_way = batch * (pixels + COPIES_OF_LARGEST * encoder.largest)
    return float(FLOAT * (encoder.parameters + on_the_way + own.chunk * encoder.dim))

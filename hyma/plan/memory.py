"""What the largest stages hold in memory at once, in bytes, against what this machine has."""

from typing import Any

import psutil
import torch

from hyma.encoders.base.params import ExtractParams
from hyma.plan.encoders import Encoder
from hyma.plan.experiment import Experiment
from hyma.plan.sizes import FLOAT
from hyma.search import flops
from hyma.search.params import HymaParams
from hyma.stitching.losses import BLOCK, WHOLE
from hyma.stitching.shapes import Shapes
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


def look(
    experiment: Experiment, sections: dict[str, Any], shapes: Shapes | None, encoders: dict[str, Encoder]
) -> dict[str, Any]:
    """Memory by part, the peak, and the machine's; parts that are unknown are left out."""
    machine, streamed = machine_memory(), False
    own = [extraction(encoder, experiment.extract) for encoder in encoders.values()]
    parts = {"extraction": max(own, default=0.0)}
    if shapes is not None:
        image, text = (sum(side.values()) for side in (shapes.images, shapes.texts))
        size = float(COPIES * FLOAT * (shapes.image_rows * image + shapes.text_rows * text))
        streamed = size > SHARE * machine["device"]
        parts["training features"] = 0.0 if streamed else size
        switched = [sections[name] for name in experiment.search.methods]
        steps = [
            experiment.grid,
            experiment.hyma,
            experiment.refine,
            *switched,
        ]  # refine may be None: no step
        parts["logits"] = max(logits(one, shapes.train) for one in steps)
        parts["hypernetwork"] = hypernetwork(experiment.hyma, shapes)
    peak = max(parts["extraction"], sum(size for part, size in parts.items() if part != "extraction"))
    enough = peak <= machine["device"]
    return {"parts": parts, "peak": peak, "streamed": streamed, "machine": machine, "enough": enough}


def machine_memory() -> dict[str, float]:
    """Bytes of main memory and of the GPU's; ``device`` is the one that computes."""
    ram = float(psutil.virtual_memory().total)
    gpu = float(torch.cuda.get_device_properties(0).total_memory) if torch.cuda.is_available() else 0.0
    return {"ram": ram, "gpu": gpu, "device": gpu or ram}


def logits(section: Any, samples: int) -> float:
    """A method's InfoNCE step, if it has one; HYMA holds those of `bm` pairs at once."""
    batch = min(getattr(section, "batch", 0), samples)
    if batch > WHOLE:
        return float(BLOCKS * FLOAT * BLOCK * batch)
    return float(COPIES_OF_LOGITS * FLOAT * getattr(section, "bm", 1) * batch**2)


def hypernetwork(params: HymaParams, shapes: Shapes) -> float:
    """HYMA's hypernetwork in training."""
    network = flops.outline(shapes.specs(shapes.pairs), shapes, params)
    return float(COPIES_OF_WEIGHTS * FLOAT * sum(weight.numel() for weight in network.parameters()))


def extraction(encoder: Encoder, own: ExtractParams) -> float:
    """One encoder's weights, a batch on its way through it, and a chunk of features; unknown ones count as nothing."""
    facts = encoder.facts
    if facts is None:
        return 0.0
    batch = own.batch if isinstance(own.batch, int) else AUTO_BATCH
    pixels = 3 * (facts.side or 0) ** 2
    on_the_way = batch * (pixels + COPIES_OF_LARGEST * facts.largest)
    return float(FLOAT * ((facts.parameters or 0) + on_the_way + own.chunk * facts.dim))

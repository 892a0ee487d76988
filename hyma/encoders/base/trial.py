"""Trying an encoder before it is used: whether it gives features at all, and the same ones however it is loaded.

A few pictures or texts that never change are encoded. Letters: B of them, D the encoder's width.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image

from hyma.common.errors import HymaError
from hyma.encoders.base.common import in_one_line, reason
from hyma.encoders.base.load import Encoder

SIDE = 96
"""Of a square picture to try, in pixels."""
TEXTS = (
    "a",
    "Two dogs, 12 keys and a red umbrella on the left of a blue field.",
    "Ein Schloß, три кота, 一只猫",
    "0 1 2",
)
"""Texts to try: short and longer, in several scripts, so that not all are unknown to any vocabulary."""
LONGEST = 1024
"""Tokens up to which a text is tried that fills all that an encoder reads: beyond, one takes long."""
TOLERANCE = 1e-2
"""Of the largest feature, how far two loads may lie apart on a GPU; on a CPU they are equal."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Have what torch draws on the CPU begin at `seed`, and go on afterwards as if nothing had been."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def features(encoder: Encoder, texts: bool, place: str) -> np.ndarray:
    """Return what an encoder makes of the `texts`, or of the pictures, [B, D]; `place` names it in errors.

    Raises:
        HymaError: if it fails on them, or what it gives are no features.
    """
    with in_one_line(lambda error: _failed(error, place)):
        found = np.concatenate([encoder.encode(batch) for batch in _probes(encoder, texts)])
    if fault := _fault(found):
        raise HymaError(f"{place}: {fault}")
    return found


def compare(first_BD: np.ndarray, second_BD: np.ndarray, place: str, device: torch.device) -> None:
    """See whether two loads of an encoder gave the same features: to the bit on a CPU.

    Raises:
        HymaError: if they did not.
    """
    bound = 0.0 if device.type == "cpu" else TOLERANCE * float(np.abs(first_BD).max())
    if first_BD.shape == second_BD.shape and np.abs(first_BD - second_BD).max() <= bound:
        return
    raise HymaError(
        f"{place}: two loads of it give different features of the same input: some of its weights are drawn at "
        "random, or it computes with chance; give a checkpoint that holds all weights of its model"
    )


def _probes(encoder: Any, texts: bool) -> list[Any]:
    """Batches: of texts, and of one as long as the encoder reads any; or of transformed pictures [B, 3, H, W]."""
    if not texts:
        return [torch.stack([encoder.transform(Image.fromarray(picture)) for picture in _pictures()])]
    limit = getattr(encoder, "limit", None)
    return [list(TEXTS), ["word " * limit]] if limit and limit <= LONGEST else [list(TEXTS)]


def _pictures() -> Sequence[np.ndarray]:
    """Noise, a gradient and a checkerboard, [SIDE, SIDE, 3] each."""
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    ramp = np.linspace(0, 255, SIDE).astype(np.uint8)
    gradient = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], ramp[::-1, None]), axis=-1)
    fields = 255 * (np.indices((SIDE, SIDE)) // 12).sum(axis=0) % 510
    return noise, gradient, np.repeat(fields.astype(np.uint8)[..., None], 3, axis=-1)


def _failed(error: Exception, place: str) -> HymaError:
    return HymaError(
        f"{place}: encoding a few pictures or texts to try it fails ({type(error).__name__}: {reason(error)}); "
        "check that its config describes its weights, or leave it out"
    )


def _fault(found: Any) -> str:
    """What is wrong with features, and what to do; nothing if nothing is."""
    if not isinstance(found, np.ndarray) or not np.issubdtype(found.dtype, np.floating):
        return "gives no array of floats; leave it out"
    if found.ndim != 2:
        kind = "a feature map" if found.ndim > 2 else "a number"
        return (
            f"gives {kind} of shape {list(found.shape[1:])} for each input, where one vector is wanted; have its "
            "config pool (timm: global_pool), or take another encoder"
        )
    if not np.isfinite(found).all():
        return (
            "gives NaN or infinite features; check its weights for damage, or set extract.precision to fp32"
        )
    if found.shape[1] > 1 and (np.ptp(found, axis=1) == 0).all():
        return "gives features whose values are all the same; check its weights for damage, or leave it out"
    if (found == found[0]).all():
        return "gives the same features whatever the input; check its weights for damage, or leave it out"
    return ""

"""What is known of every encoder before it is loaded: width, weights, and the cost of a row."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from hyma.common.errors import HymaError
from hyma.common.features import Features
from hyma.encoders.base.matrices import SUFFIXES, open_matrix
from hyma.encoders.base.params import EncoderParams, ImageEncoderParams
from hyma.plan.experiment import Experiment
from hyma.plan.models import Body, UnknownError, build
from hyma.plan.rows import Rows


@dataclass(frozen=True)
class Encoder:
    """An encoder as the plan sees it; None where it cannot be known yet, and `reason` why."""

    slug: str
    own: EncoderParams
    dim: int | None = None
    parameters: int | None = None
    """Of the network without its classifier; what is downloaded holds that too."""
    flops_per_row: float | None = None
    """Forward pass of one picture, or of a caption of a dozen words."""
    largest: int = 0
    """Values of the largest tensor on a row's way through it."""
    side: int | None = None
    """Of the pictures that it takes, in pixels."""
    reason: str = ""

    @property
    def modality(self) -> str:
        """``image`` or ``text``."""
        return "image" if isinstance(self.own, ImageEncoderParams) else "text"

    def encodes(self, place: str) -> bool:
        """Whether it computes features of the data set at `place`, such as ``training/captions``, or reads them."""
        given = place.startswith("training/") and self.own.training_features is not None
        return self.own.source != "precomputed" and not given

    def rows(self, own: Rows) -> int:
        """How many rows of a data set are its to encode."""
        return own.images if self.modality == "image" else own.texts


def look(experiment: Experiment) -> dict[str, Encoder]:
    """Count every encoder of the experiment on the meta device; no weights are needed."""
    entries: dict[str, EncoderParams] = {**experiment.image_encoders, **experiment.text_encoders}
    found: dict[str, Encoder] = {}
    for slug, own in tqdm(entries.items(), desc="looking at encoders", disable=None, leave=False):
        try:
            found[slug] = _look(slug, own, experiment)
        except UnknownError as error:
            found[slug] = Encoder(slug, own, reason=str(error))
        except Exception as error:  # whatever a library makes of a name: the other encoders are still counted
            said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            found[slug] = Encoder(slug, own, reason=said)
        if found[slug].dim is None:
            found[slug] = _extracted(found[slug], experiment.training)
    return found


def _look(slug: str, own: EncoderParams, experiment: Experiment) -> Encoder:
    if own.source != "precomputed":
        body = build(own, slug, experiment.zoo)
        dim, flops, largest = count(body)
        parameters = sum(weight.numel() for weight in body.network.parameters())
        return Encoder(slug, own, dim, parameters, flops, largest, body.side)
    files = (Path(own.weights) / f"{name}{suffix}" for name in experiment.training for suffix in SUFFIXES)
    there = next((file for file in files if file.is_file()), None)
    if there is None:
        raise UnknownError("its features are not there yet to tell their width")
    return Encoder(slug, own, open_matrix(there).dim, 0, 0.0)


def count(body: Body) -> tuple[int, float, int]:
    """Return the features' width, the FLOPs of one row by torch's counter, and the values of the largest tensor."""
    with torch.no_grad(), _Largest() as seen, FlopCounterMode(display=False) as counter:
        feature_1D = body.forward(body.row)
    return feature_1D.shape[-1], float(counter.get_total_flops()), seen.values


class _Largest(TorchDispatchMode):
    """Notes the values of the largest tensor that any operation gives."""

    def __init__(self) -> None:
        super().__init__()
        self.values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor):
            self.values = max(self.values, found.numel())
        return found


def _extracted(encoder: Encoder, training: Iterable[str]) -> Encoder:
    """With width and cost taken from features of an earlier run, where there are any."""
    for name in training:
        try:
            info = Features(Path(f"features/training/{encoder.slug}/{name}.arrow")).info
        except HymaError:
            continue
        return replace(encoder, dim=info.dim, flops_per_row=info.flops_per_row)
    return encoder

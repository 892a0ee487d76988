"""Image encoders from timm: a full tag of the hub, a local folder in the hub's layout, or one file of weights."""

import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors import safe_open
from timm.data import create_transform, resolve_model_data_config
from timm.models import get_pretrained_cfg
from torch import Tensor

from hyma.common.errors import HymaError
from hyma.common.files import read_json, sha256_file
from hyma.common.precision import autocast
from hyma.encoders.base.common import identity, in_one_line, like, reason, to_numpy, unreachable
from hyma.encoders.base.faster import Forward, faster
from hyma.encoders.base.params import HUB, ImageEncoderParams
from hyma.encoders.sources.timm_layer import named, of_layer

FILE = ".safetensors"


class TimmEncoder:
    """A frozen timm model: features before the head or of another layer, the transform of its own data config."""

    def __init__(
        self,
        params: ImageEncoderParams,
        place: str,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ):
        """Load the weights; `place` names the encoder in errors.

        Raises:
            HymaError: if the model or its weights cannot be had.
        """
        self.device, self.precision, self.unit_length = device, precision, params.unit_length
        whole = _load(params, place).eval().requires_grad_(False).to(device)
        config = resolve_model_data_config(whole)
        self.model = of_layer(whole, params.layer, place)
        self.transform = create_transform(**config, is_training=False)
        self.identity = identity(
            *("timm", params.name, params.revision, _digest(params), self.transform),
            chosen=named(self.model, params.layer),
            unit_length=params.unit_length,
            precision=precision,
        )
        self.example = (torch.zeros(1, *config["input_size"], device=device),)
        with torch.inference_mode():
            self.dim = self.model(self.example[0]).shape[1]

    @cached_property
    def forward(self) -> Forward:
        """The model's forward pass; made when it is first needed, which takes up to half a second."""
        return faster(self.model, self.example[0], self.precision)

    @torch.inference_mode()
    def encode(self, batch: Tensor | Sequence[Tensor]) -> np.ndarray:
        """Encode transformed pictures [B, 3, H, W]; return float32 [B, dim]."""
        image_B3HW = batch if isinstance(batch, Tensor) else torch.stack(list(batch))
        with autocast(self.device, self.precision):
            feature_BD = self.forward(image_B3HW.to(self.device, non_blocking=True))
        return to_numpy(feature_BD, self.unit_length)


def _load(params: ImageEncoderParams, place: str) -> Any:
    if params.weights == HUB:
        return _from_hub(params, place)
    weights = Path(params.weights)
    source = _from_file if weights.suffix == FILE else _from_folder

    def line(error: Exception) -> HymaError:
        return HymaError(
            f"{place}.weights: {weights} cannot be loaded ({reason(error)}); "
            f"give the weights that belong to {params.name}"
        )

    with in_one_line(line), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return source(weights, params.name, place)


def _from_folder(folder: Path, name: str, place: str) -> Any:
    for file in ("config.json", "model.safetensors"):
        if not (folder / file).is_file():
            raise HymaError(
                f"{place}.weights: no {file} in {folder}; "
                "give a folder in the hub's layout (config.json, model.safetensors), or one .safetensors file"
            )
    architecture = read_json(folder / "config.json").get("architecture")
    if architecture not in (name, name.partition(".")[0]):
        raise HymaError(
            f"{place}.name: {name!r}, but {folder}/config.json holds {architecture!r}; make them agree"
        )
    return timm.create_model(f"local-dir:{folder}", pretrained=True)


def _from_file(file: Path, name: str, place: str) -> Any:
    if not file.is_file():
        raise HymaError(f"{place}.weights: no file {file}; give the weights of {name}")
    _check_tag(name, place)
    overlay: dict[str, Any] = {"file": str(file), "custom_load": False}
    classes = _classes(file, name)
    if classes is None:
        return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
    # The model and its config get the file's own head, so that timm compares every weight.
    overlay |= {"num_classes": classes, "label_offset": 0}
    return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=classes)


def _classes(file: Path, name: str) -> int | None:
    """How many classes the head in the file tells apart, 0 without a head; None if the layout is not timm's own."""
    config: Any = get_pretrained_cfg(name)
    with safe_open(file, "pt") as weights:
        keys = set(weights.keys())
        for head in _several(config.classifier):
            if f"{head}.weight" in keys:
                return weights.get_slice(f"{head}.weight").get_shape()[0]
    return 0 if any(f"{stem}.weight" in keys for stem in _several(config.first_conv)) else None


def _several(names: str | Sequence[str] | None) -> Sequence[str]:
    return (names,) if isinstance(names, str) else names or ()


def _from_hub(params: ImageEncoderParams, place: str) -> Any:
    _check_tag(params.name, place)
    config: Any = get_pretrained_cfg(params.name)
    pinned: dict[str, Any] = {}
    if params.revision is not None and config.hf_hub_id:
        pinned = {"pretrained_cfg_overlay": {"hf_hub_id": f"{config.hf_hub_id}@{params.revision}"}}

    def line(error: Exception) -> HymaError:
        file = config.hf_hub_filename or "model.safetensors"
        wanted = f"{config.hf_hub_id}: {file}" if config.hf_hub_id else str(config.url)
        return unreachable(
            f"{place}.name",
            wanted,
            error,
            f"put its config.json and model.safetensors into a folder and name that in {place.split()[-1]}.weights",
        )

    with in_one_line(line), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return timm.create_model(params.name, pretrained=True, **pinned)


def _check_tag(name: str, place: str) -> None:
    """Refuse a name that does not say which weights."""
    known = timm.list_pretrained()
    if name in known:
        return
    architecture, _, tag = name.partition(".")
    tags = [full for full in known if full.partition(".")[0] == architecture]
    if tags:
        said = f"timm has no {tag!r} of {architecture}" if tag else f"{name!r} does not say which weights"
        raise HymaError(f"{place}.name: {said}; choose one of {', '.join(tags)}")
    if timm.is_model(name):
        raise HymaError(f"{place}.name: nobody published weights of {name!r}; name your own in `weights`")
    close = like(name, known if tag else timm.list_models())
    hint = f"; close: {', '.join(close)}" if close else "; `timm.list_pretrained()` names them all"
    raise HymaError(f"{place}.name: timm has no model {name!r}{hint}")


def _digest(params: ImageEncoderParams) -> str:
    if params.weights == HUB:
        return ""
    weights = Path(params.weights)
    return sha256_file(weights if weights.suffix == FILE else weights / "model.safetensors")

"""Image encoders from timm: a hub tag, or a local folder in the hub's own layout."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from safetensors import SafetensorError
from timm.data import create_transform, resolve_model_data_config

from hyma.encoders.params import HUB, ImageEncoderParams
from hyma.errors import HymaError
from hyma.files import read_json, sha256_file


class TimmEncoder:
    """A frozen timm model: features before the head, the transform of its own data config."""

    def __init__(self, params: ImageEncoderParams, slug: str, device: torch.device):
        """Load the weights.

        Raises:
            HymaError: if the model or its weights cannot be had.
        """
        self.device = device
        model = _local(params, slug) if params.weights != HUB else _from_hub(params, slug)
        self.model = model.eval().requires_grad_(False).to(device)
        config = resolve_model_data_config(self.model)
        self.transform = create_transform(**config, is_training=False)
        self.identity = f"timm|{params.name}|{params.revision}|{_digest(params)}|{self.transform}"
        self.example = (torch.zeros(1, *config["input_size"], device=device),)
        self.dim = self.encode([self.example[0][0]]).shape[1]

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """Turn one picture into the model's input [3, H, W]."""
        return self.transform(image.convert("RGB"))

    @torch.inference_mode()
    def encode(self, batch: Sequence[torch.Tensor]) -> np.ndarray:
        """Encode prepared pictures; return float32 [B, dim]."""
        return self.model(torch.stack(list(batch)).to(self.device)).float().cpu().numpy()


def _local(params: ImageEncoderParams, slug: str) -> torch.nn.Module:
    folder = Path(params.weights)
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise HymaError(
                f"params.yaml: image_encoders.{slug}.weights: no {name} in {folder}; "
                "give a folder in the hub's layout (config.json, model.safetensors)"
            )
    architecture = read_json(folder / "config.json").get("architecture")
    if architecture != params.name:
        raise HymaError(
            f"params.yaml: image_encoders.{slug}.name: {params.name!r}, but {folder}/config.json holds "
            f"{architecture!r}; make them agree"
        )
    try:
        model: Any = timm.create_model(f"local-dir:{folder}", pretrained=True)
    except (OSError, RuntimeError, TypeError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise HymaError(
            f"params.yaml: image_encoders.{slug}.weights: {folder} cannot be loaded ({reason}); "
            "give the weights that belong to its config.json"
        ) from None
    # Only now: a head asked away in advance lets timm load any weights, fitting or not.
    model.reset_classifier(0)
    return model


def _from_hub(params: ImageEncoderParams, slug: str) -> torch.nn.Module:
    place = f"params.yaml: image_encoders.{slug}.name"
    if not timm.is_model(params.name):
        close = timm.list_models(f"*{params.name.split('.')[0][:6]}*")[:3]
        hint = f"; close: {', '.join(close)}" if close else ""
        raise HymaError(f"{place}: timm has no model {params.name!r}{hint}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return timm.create_model(params.name, pretrained=True, num_classes=0, **_pinned(params))
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise HymaError(
            f"{place}: the weights of {params.name!r} cannot be downloaded ({reason}); "
            "connect to the hub once, or point `weights` to a local folder"
        ) from None


def _pinned(params: ImageEncoderParams) -> dict[str, Any]:
    """What makes timm ask the hub for the revision wanted."""
    known = timm.models.get_pretrained_cfg(params.name)
    if params.revision is None or known is None:
        return {}
    return {"pretrained_cfg_overlay": {"hf_hub_id": f"{known.hf_hub_id}@{params.revision}"}}


def _digest(params: ImageEncoderParams) -> str:
    return "" if params.weights == HUB else sha256_file(Path(params.weights) / "model.safetensors")

"""Image and text towers of open_clip's models: a tag of the hub, or a local folder in the hub's layout."""

import json
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hyma.common.errors import HymaError
from hyma.common.precision import autocast
from hyma.encoders.base.common import (
    digest,
    identity,
    in_one_line,
    like,
    may_be_longer,
    reason,
    to_numpy,
    unchanged,
    unreachable,
)
from hyma.encoders.base.faster import Forward, faster
from hyma.encoders.base.params import HUB, EncoderParams, ImageEncoderParams, TextEncoderParams

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
TRUST = "trust_remote_code"


class _Tower(nn.Module):
    """One tower of a model, its output in the space that both share; the other tower is let go."""

    def __init__(self, model: Any, modality: str):
        super().__init__()
        others = {"image": [name for name, _ in model.named_children() if name != "visual"]}
        others["text"] = [name for name in ("visual", "text_decoder") if hasattr(model, name)]
        for name in others[modality]:
            delattr(model, name)
        self.model, self.modality = model, modality

    def forward(self, batch: Tensor) -> Tensor:
        return getattr(self.model, f"encode_{self.modality}")(batch, normalize=False)


class ImageTower:
    """The frozen image tower of an open_clip model."""

    def __init__(
        self,
        params: ImageEncoderParams,
        place: str,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ):
        """Load the weights; `place` names the encoder in errors.

        Raises:
            HymaError: if open_clip is not installed, or the model cannot be had.
        """
        self.device, self.precision, self.unit_length = device, precision, params.unit_length
        model, self.transform = _load(params, place)
        config = model.visual.preprocess_cfg
        self.model = _Tower(model, "image").eval().requires_grad_(False).to(device)
        self.identity = _identity(params, precision, json.dumps(config, sort_keys=True))
        size = config["size"]
        height, width = (size, size) if isinstance(size, int) else size
        self.example = (torch.zeros(1, 3, height, width, device=device),)
        with torch.inference_mode():
            self.dim = self.model(self.example[0]).shape[1]

    @cached_property
    def forward(self) -> Forward:
        """The tower's forward pass; made when it is first needed, which takes up to half a second."""
        return faster(self.model, self.example[0], self.precision)

    @torch.inference_mode()
    def encode(self, batch: Tensor | Sequence[Tensor]) -> np.ndarray:
        """Encode transformed pictures [B, 3, H, W]; return float32 [B, dim]."""
        image_B3HW = batch if isinstance(batch, Tensor) else torch.stack(list(batch))
        with autocast(self.device, self.precision):
            feature_BD = self.forward(image_B3HW.to(self.device, non_blocking=True))
        return to_numpy(feature_BD, self.unit_length)


class TextTower:
    """The frozen text tower of an open_clip model, behind the model's own tokeniser."""

    transform = staticmethod(unchanged)

    def __init__(
        self,
        params: TextEncoderParams,
        place: str,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ):
        """Load weights and tokeniser; `place` names the encoder in errors.

        Raises:
            HymaError: if open_clip is not installed, or the model cannot be had.
        """
        self.device, self.precision, self.unit_length = device, precision, params.unit_length
        model, _ = _load(params, place)
        self.tokenizer = _tokenizer(params, place)
        self.model = _Tower(model, "text").eval().requires_grad_(False).to(device)
        self.identity = _identity(params, precision, type(self.tokenizer).__name__)
        self.example = (self.tokenizer(["a"]).to(device),)
        self.limit = self.example[0].shape[1]
        self.dim = self.encode(["a"]).shape[1]

    @torch.inference_mode()
    def encode(self, batch: Sequence[str]) -> np.ndarray:
        """Encode texts; return float32 [B, dim]."""
        token_BT = self.tokenizer(list(batch)).to(self.device)
        with autocast(self.device, self.precision):
            feature_BD = self.model(token_BT)
        return to_numpy(feature_BD, self.unit_length)

    def cut(self, batch: Sequence[str]) -> int:
        """Return how many of these texts have more tokens than are read of one."""
        texts = may_be_longer(batch, self.limit)
        if not texts:
            return 0
        # With room for one more, a text that is cut has a word where others end at the latest.
        token_BT, end_1T = (self.tokenizer(each, context_length=self.limit + 1) for each in (texts, [""]))
        return int((~torch.isin(token_BT[:, self.limit - 1], end_1T)).sum())


def _load(params: EncoderParams, place: str) -> tuple[Any, Any]:
    """The whole model, in single precision on the CPU, and its transform."""
    open_clip = _library(place)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = _from_hub(params, place) if params.weights == HUB else _from_folder(params, place)
    preprocess = open_clip.transform.PreprocessCfg(**model.visual.preprocess_cfg)
    return model, open_clip.transform.image_transform_v2(preprocess, is_train=False)


def _library(place: str) -> Any:
    try:
        import open_clip
    except ImportError:
        raise HymaError(
            f"{place}.source: open_clip is not installed; run `pip install 'hyma[open_clip]'`"
        ) from None
    return open_clip


def _from_folder(params: EncoderParams, place: str) -> Any:
    folder = Path(params.weights)
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise HymaError(
                f"{place}.weights: no {file} in {folder}; give a folder in open_clip's layout ({CONFIG}, {WEIGHTS})"
            )

    def line(error: Exception) -> HymaError:
        return HymaError(
            f"{place}.weights: {folder} cannot be loaded ({reason(error)}); "
            f"give the weights that belong to its {CONFIG}"
        )

    with in_one_line(line):
        return _library(place).create_model(f"local-dir:{folder}", require_pretrained=True)


def _from_hub(params: EncoderParams, place: str) -> Any:
    open_clip = _library(place)
    architecture, tag = _parts(params.name, place)
    published = open_clip.get_pretrained_cfg(architecture, tag)
    repository, _, file = published["hf_hub"].rpartition("/")

    def line(error: Exception) -> HymaError:
        return unreachable(
            f"{place}.name",
            f"{repository}: {file or WEIGHTS}",
            error,
            f"put its {CONFIG} and {WEIGHTS} into a folder and name that in {place.split()[-1]}.weights",
        )

    with in_one_line(line):
        weights = open_clip.pretrained.download_pretrained_from_hf(
            repository, filename=file or None, revision=params.revision
        )
        return open_clip.create_model(
            architecture,
            pretrained=weights,
            # Some weights were trained with another GELU than the architecture's own: open_clip only warns.
            force_quick_gelu=bool(published.get("quick_gelu")),
            force_preprocess_cfg=published,
        )


def _parts(name: str, place: str) -> tuple[str, str]:
    """Architecture and tag of ``<architecture>/<tag>``; anything less is refused."""
    open_clip = _library(place)
    architecture, _, tag = name.rpartition("/")
    if not open_clip.list_pretrained_tags_by_model(architecture):
        architecture, tag = name, ""
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag and open_clip.is_pretrained_cfg(architecture, tag):
        return architecture, tag
    if tags:
        choice = ", ".join(f"{architecture}/{each}" for each in tags)
        said = (
            f"open_clip has no {tag!r} of {architecture}" if tag else f"{name!r} does not say which weights"
        )
        raise HymaError(f"{place}.name: {said}; choose one of {choice}")
    if architecture in open_clip.list_models():
        raise HymaError(f"{place}.name: nobody published weights of {name!r}; name your own in `weights`")
    known = ["/".join(pair) for pair in open_clip.list_pretrained()]
    close = like(name, [*known, *open_clip.list_models()])
    hint = f"; close: {', '.join(close)}" if close else "; `open_clip.list_pretrained()` names them all"
    raise HymaError(f"{place}.name: open_clip has no model {name!r}{hint}")


def _tokenizer(params: EncoderParams, place: str) -> Any:
    """The model's tokeniser; some lie on the hub, or beside the weights."""
    name = params.name.rpartition("/")[0] if params.weights == HUB else f"local-dir:{Path(params.weights)}"
    if params.weights != HUB and TRUST in (Path(params.weights) / CONFIG).read_text(encoding="utf-8"):
        raise HymaError(
            f"{place}.weights: {Path(params.weights) / CONFIG} asks to run Python code that comes with the tokeniser "
            f"({TRUST}), which is never run; leave that out, or take another encoder"
        )

    def line(error: Exception) -> HymaError:
        return unreachable(
            f"{place}.name", f"the tokeniser of {params.name}", error, "put its files beside the weights"
        )

    with in_one_line(line):
        return _library(place).get_tokenizer(name)


def _identity(params: EncoderParams, precision: torch.dtype, *parts: str) -> str:
    content = "" if params.weights == HUB else digest(Path(params.weights))
    return identity(
        *("open_clip", params.name, params.revision, content, *parts),
        unit_length=params.unit_length,
        precision=precision,
    )

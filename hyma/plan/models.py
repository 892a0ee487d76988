"""An encoder's network on the meta device, without its weights: what it costs and gives.

Nothing is downloaded: an architecture is known by name, or by the configuration in a local folder.
"""

import copy
import importlib.util
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from hyma.common.errors import HymaError
from hyma.embedded.zoo.params import HEADS, ZooImageParams, ZooParams, ZooTextParams
from hyma.encoders.base.choice import STATES, position, width
from hyma.encoders.base.params import HUB, EncoderParams, ImageEncoderParams, TextEncoderParams
from hyma.encoders.sources.timm_layer import of_layer

TOKENS = 14
"""Of a caption of a dozen words, with its start and end."""
PACKAGE = "package:"
META = torch.device("meta")
"""Where tensors have a shape and nothing else."""
BERT, MPNET, ROBERTA = "BertConfig", "MPNetConfig", "RobertaConfig"
SENTENCE: dict[str, tuple[str, int, int, int, int, int]] = {
    # name: configuration, layers, width, heads, vocabulary, positions; feed-forward is four times the width
    "all-MiniLM-L6-v2": (BERT, 6, 384, 12, 30522, 512),
    "all-MiniLM-L12-v2": (BERT, 12, 384, 12, 30522, 512),
    "all-mpnet-base-v2": (MPNET, 12, 768, 12, 30527, 514),
    "all-roberta-large-v1": (ROBERTA, 24, 1024, 16, 50265, 514),
}
"""config.json of the paper's text encoders, as published with sentence-transformers/<name> on the hub."""


class UnknownError(Exception):
    """Why an encoder's network cannot be built here."""


@dataclass(frozen=True)
class Facts:
    """What an encoder's shapes tell."""

    dim: int
    """Width of its features."""
    parameters: int | None
    """Of the network without its classifier; what is downloaded holds that too."""
    flops_per_row: float
    """Forward pass of one picture, or of a caption of a dozen words, by torch's counter."""
    largest: int
    """Values of the largest tensor on a row's way through it."""
    side: int | None
    """Of the pictures that it takes, in pixels; None for texts."""


class _Body(NamedTuple):
    """A network, a batch of one, and how features [1, D] come of it."""

    network: nn.Module
    row: Tensor
    forward: Callable[[Tensor], Tensor]


def count(own: EncoderParams, slug: str, zoo: ZooParams) -> Facts:
    """Build the network of an encoder and send a row through it.

    Args:
        own: the encoder's entry in params.yaml.
        slug: its key; where its weights are still to be trained by the pipeline, `zoo` says what they will be.
        zoo: section ``zoo``.

    Raises:
        UnknownError: if its architecture is not known here.
        HymaError: if it has no such layer, or is less wide than asked for.
    """
    place = f"{'image' if isinstance(own, ImageEncoderParams) else 'text'}_encoders.{slug}"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        if own.source == "open_clip":
            body = _open_clip(own, isinstance(own, ImageEncoderParams))
        elif isinstance(own, ImageEncoderParams):
            body = _timm(own, zoo.image.get(slug), place)
        else:
            body = _sentence(own, zoo.text.get(slug), place)
        body.network.eval()
        with _Largest() as seen, FlopCounterMode(display=False) as counter:
            feature_1D = body.forward(body.row)
    parameters = sum(weight.numel() for weight in body.network.parameters())
    side = body.row.shape[-1] if body.row.ndim == 4 else None
    dim = width(getattr(own, "truncate_dim", None), feature_1D.shape[-1], place)
    return Facts(dim, parameters, float(counter.get_total_flops()), seen.values, side)


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


def _pictures(network: nn.Module, side: int) -> _Body:
    return _Body(network, torch.empty(1, 3, side, side, device=META), network)


def _timm(own: ImageEncoderParams, drawn: ZooImageParams | None, place: str) -> _Body:
    import timm
    from timm.data import resolve_model_data_config

    local = own.weights != HUB and (Path(own.weights) / "config.json").is_file()
    waiting = None if local else drawn
    name = f"local-dir:{own.weights}" if local else waiting.arch if waiting else own.name
    if not local and not timm.is_model(name):
        raise UnknownError(f"timm has no model {name!r}")
    with META:
        whole = timm.create_model(name, pretrained=False, **(waiting.model_args if waiting else {}))
        network = of_layer(whole, own.layer, place)
    side = waiting.size if waiting else resolve_model_data_config(whole)["input_size"][-1]
    return _pictures(network, side)


def _open_clip(own: EncoderParams, image: bool) -> _Body:
    if importlib.util.find_spec("open_clip") is None:
        raise UnknownError("open_clip is not installed")
    import open_clip

    local = own.weights != HUB and (Path(own.weights) / "open_clip_config.json").is_file()
    name = f"local-dir:{own.weights}" if local else own.name.rpartition("/")[0]
    if not local and name not in open_clip.list_models():
        raise UnknownError(f"open_clip has no architecture {name or own.name!r}")
    with META:
        network = open_clip.create_model(name, pretrained=None, load_weights=False)
    if image:
        size = network.visual.image_size
        return _pictures(network.visual, size if isinstance(size, int) else size[0])
    del network.visual  # what is loaded holds both towers, what is computed is this one
    tokens = torch.zeros(1, network.context_length, dtype=torch.long, device=META)
    return _Body(network, tokens, network.encode_text)


def _sentence(own: TextEncoderParams, drawn: ZooTextParams | None, place: str) -> _Body:
    folder = text_folder(own)
    if folder is not None and _is_static(folder):
        with safe_open(folder / "model.safetensors", framework="pt") as file:
            return _static(file.get_slice(next(iter(file.keys()))).get_shape()[1], own.layer, place)
    if drawn is not None and folder is None and drawn.kind != "transformer":
        return _static(drawn.dim, own.layer, place)
    return _transformer(_config(own, folder, drawn), own.layer, place)


def _transformer(config: Any, layer: int | None, place: str) -> _Body:
    """A transformer up to a layer; what is loaded holds the others, too."""
    from transformers import AutoModel

    with META:
        whole = cut = AutoModel.from_config(config)
        if layer is not None:
            config = copy.deepcopy(config)
            config.num_hidden_layers = position(layer, config.num_hidden_layers + 1, STATES, place)
            cut = AutoModel.from_config(config).eval()
    words = torch.zeros(1, TOKENS, dtype=torch.long, device=META)
    return _Body(whole, words, lambda ids: cut(input_ids=ids).last_hidden_state.mean(1))


def text_folder(own: EncoderParams) -> Path | None:
    """Where a sentence-transformers model lies: a local folder, or inside a package; None if neither is there."""
    if own.weights != HUB:
        folder = Path(own.weights)
    elif own.name.startswith(PACKAGE):
        package, _, inside = own.name.removeprefix(PACKAGE).partition("/")
        spec = importlib.util.find_spec(package.partition(".")[0])
        if spec is None or spec.origin is None:
            return None
        folder = Path(spec.origin).parent.joinpath(*package.split(".")[1:]) / inside
    else:
        return None
    return folder if (folder / "modules.json").is_file() else None


def _is_static(folder: Path) -> bool:
    """Whether a sentence-transformers folder holds word vectors."""
    first, *_ = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    return str(first["type"]).endswith(".StaticEmbedding")


def _config(own: EncoderParams, folder: Path | None, drawn: ZooTextParams | None) -> Any:
    import transformers

    if folder is not None:
        return transformers.AutoConfig.from_pretrained(folder)
    known = SENTENCE.get(own.name.removeprefix("sentence-transformers/"))
    if drawn is not None:  # as `hyma.embedded.zoo.text` will make it
        known = BERT, 2, drawn.dim, HEADS, 350, 64
    if known is None:
        raise UnknownError(f"the architecture of {own.name!r} is not known before it is downloaded")
    kind, layers, width, heads, vocabulary, positions = known
    return getattr(transformers, kind)(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=(2 if drawn else 4) * width,
        max_position_embeddings=positions,
        type_vocab_size=2 if kind == BERT else 1,
    )


def _static(dim: int, layer: int | None, place: str) -> _Body:
    """Word vectors: looked up, not computed; none of them counts as a weight here."""
    if layer is not None:
        raise HymaError(f"{place}.layer: word vectors have no layers; leave it out")
    return _Body(nn.Identity(), torch.empty(1, TOKENS, dim, device=META), lambda words: words.mean(1))

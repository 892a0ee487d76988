"""Text encoders from sentence-transformers: a hub name, a local folder, or weights inside a package.

The library reads safetensors where there are any, and other weights by PyTorch's `weights_only`: nothing is
unpickled.
"""

import importlib.metadata
import importlib.util
import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from transformers import PretrainedConfig, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from hyma.common.errors import HymaError
from hyma.common.precision import autocast
from hyma.encoders.base.choice import width
from hyma.encoders.base.common import (
    digest,
    identity,
    in_one_line,
    may_be_longer,
    reason,
    to_numpy,
    unchanged,
    unreachable,
)
from hyma.encoders.base.params import HUB, TextEncoderParams
from hyma.encoders.sources.sentence_layer import of_layer
from hyma.encoders.sources.sentence_limit import clamped
from hyma.encoders.sources.sentence_weights import misfits, noted

log = logging.getLogger(__name__)

PACKAGE = "package:"
ORGANISATION = "sentence-transformers"
"""Where a name without an owner is looked for."""


class SentenceEncoder:
    """A frozen sentence-transformers model."""

    transform = staticmethod(unchanged)

    def __init__(
        self,
        params: TextEncoderParams,
        place: str,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ):
        """Load the weights; `place` names the encoder in errors.

        Raises:
            HymaError: if the model cannot be had.
        """
        self.device, self.precision, self.unit_length = device, precision, params.unit_length
        folder = _folder(params, place)
        self.model = _load(params, folder, place)
        chosen = [] if params.layer is None else [f"layer {of_layer(self.model, params.layer, place)}"]
        self.model.to(device)
        self.limit = clamped(self.model)
        self.dim = self.encode(["a"]).shape[1]
        if params.truncate_dim is not None:
            chosen += [f"first {params.truncate_dim} values"]
            self.dim = self.model.truncate_dim = width(params.truncate_dim, self.dim, place)
        self.identity = identity(
            *("sentence-transformers", params.name, params.revision, digest(folder) if folder else ""),
            chosen=chosen,
            unit_length=params.unit_length,
            precision=precision,
        )

    def encode(self, batch: Sequence[str]) -> np.ndarray:
        """Encode texts; return float32 [B, dim]."""
        with autocast(self.device, self.precision):
            feature_BD = self.model.encode(
                list(batch), batch_size=len(batch), show_progress_bar=False, convert_to_tensor=True
            )
        return to_numpy(feature_BD, self.unit_length)

    def cut(self, batch: Sequence[str]) -> int:
        """Return how many of these texts have more tokens than are read of one."""
        tokenizer, limit = self.model.tokenizer, self.limit
        if limit is None or not isinstance(tokenizer, PreTrainedTokenizerBase):
            return 0
        prompt = self.model.prompts.get(self.model.default_prompt_name or "") or ""
        texts = may_be_longer((prompt + text for text in batch), limit)
        tokens = tokenizer(texts, truncation=False, verbose=False)["input_ids"] if texts else []
        return sum(len(each) > limit for each in tokens)


def _load(params: TextEncoderParams, folder: Path | None, place: str) -> SentenceTransformer:
    """The model on the CPU, in single precision."""
    with noted() as found:
        model = _from_folder(folder, place) if folder else _from_hub(params, place)
    model = model.float().eval().requires_grad_(False)
    source = (str(folder), None) if folder else (params.name, params.revision)
    what = f"{place}.weights: {folder}" if folder else f"{place}.name: {params.name}"
    own = "brings Python code of its own, which is never run" if _own_code(folder or params) else ""
    if misfit := misfits(model, found, *source):
        told = f"; it {own}" if own else ""
        raise HymaError(
            f"{what} {misfit}{told}; give the weights of the model that its config.json describes"
        )
    if own:
        _warn(f"{what} {own}: transformers' own code takes its place, with all of its weights")
    return model


@cache
def _warn(said: str) -> None:
    """Say it once, however often the encoder is loaded."""
    log.warning(said)


def _from_folder(folder: Path, place: str) -> SentenceTransformer:
    disable_progress_bar()  # a local file is read in an instant

    def line(error: Exception) -> HymaError:
        if _wants_own_code(error, folder):
            return _refused_code(f"{place}.weights: {folder}")
        return HymaError(
            f"{place}.weights: {folder} cannot be loaded ({reason(error)}); "
            "give a whole sentence-transformers folder, weights as safetensors"
        )

    with in_one_line(line):
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def _from_hub(params: TextEncoderParams, place: str) -> SentenceTransformer:
    repository = params.name if "/" in params.name else f"{ORGANISATION}/{params.name}"

    def line(error: Exception) -> HymaError:
        if _wants_own_code(error, params):
            return _refused_code(f"{place}.name: {repository}")
        return unreachable(
            f"{place}.name",
            f"{repository}: modules.json, model.safetensors",
            error,
            f"put the repository's files into a folder and name that in {place.split()[-1]}.weights",
        )

    with in_one_line(line):
        return SentenceTransformer(params.name, revision=params.revision, device="cpu")


def _refused_code(what: str) -> HymaError:
    return HymaError(
        f"{what} needs Python code of its own, which comes with the weights and is never run; "
        "take an encoder that transformers has the code of, or give its features (source: precomputed)"
    )


def _wants_own_code(error: Exception, source: Path | TextEncoderParams) -> bool:
    return "trust_remote_code" in str(error) or _own_code(source)


def _own_code(source: Path | TextEncoderParams) -> bool:
    """Whether a model's config names code that comes with it; what is not on this machine is not looked for."""
    where: tuple[str, dict[str, str | None]] = (
        (str(source), {}) if isinstance(source, Path) else (source.name, {"revision": source.revision})
    )
    try:
        config, _ = PretrainedConfig.get_config_dict(where[0], local_files_only=True, **where[1])
    except Exception:  # no such file, or none that can be read: then it names nothing
        return False
    return "auto_map" in config


def _folder(params: TextEncoderParams, place: str) -> Path | None:
    """The local folder of the weights, or None if they come from a hub."""
    if params.weights != HUB:
        folder = Path(params.weights)
        if not (folder / "modules.json").is_file():
            raise HymaError(
                f"{place}.weights: no modules.json in {folder}; give a sentence-transformers folder"
            )
        return folder
    if not params.name.startswith(PACKAGE):
        return None
    package, _, inside = params.name.removeprefix(PACKAGE).partition("/")
    top = package.partition(".")[0]
    spec = importlib.util.find_spec(package) if importlib.util.find_spec(top) else None
    if spec is None or spec.origin is None:
        raise HymaError(f"{place}.name: package {package!r} is not installed; pip install it")
    distributions = importlib.metadata.packages_distributions().get(top, [])
    version = importlib.metadata.version(distributions[0]) if distributions else None
    if params.revision not in (None, version):
        raise HymaError(f"{place}.revision: {params.revision!r} wanted, version {version} is installed")
    found = Path(spec.origin).parent / inside
    if not found.is_dir():
        raise HymaError(f"{place}.name: package {package!r} has no folder {inside!r}; name the one it has")
    return found

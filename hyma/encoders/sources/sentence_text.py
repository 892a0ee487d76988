"""Text encoders from sentence-transformers: a hub name, a local folder, or weights inside a package.

The library reads safetensors where there are any, and other weights by PyTorch's `weights_only`: nothing is
unpickled.
"""

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from transformers.utils.logging import disable_progress_bar

from hyma.common.errors import HymaError
from hyma.common.precision import autocast
from hyma.encoders.base.common import NOT_LOADED, digest, identity, reason, to_numpy, unchanged, unreachable
from hyma.encoders.base.params import HUB, TextEncoderParams

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
        model = _from_folder(folder, place) if folder else _from_hub(params, place)
        self.model = model.float().eval().requires_grad_(False).to(device)
        self.dim = self.encode(["a"]).shape[1]
        self.identity = identity(
            *("sentence-transformers", params.name, params.revision, digest(folder) if folder else ""),
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


def _from_folder(folder: Path, place: str) -> SentenceTransformer:
    disable_progress_bar()  # a local file is read in an instant
    try:
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    except NOT_LOADED as error:
        raise HymaError(
            f"{place}.weights: {folder} cannot be loaded ({reason(error)}); "
            "give a whole sentence-transformers folder, weights as safetensors"
        ) from None


def _from_hub(params: TextEncoderParams, place: str) -> SentenceTransformer:
    try:
        return SentenceTransformer(params.name, revision=params.revision, device="cpu")
    except NOT_LOADED as error:
        repository = params.name if "/" in params.name else f"{ORGANISATION}/{params.name}"
        raise unreachable(
            f"{place}.name",
            f"{repository}: modules.json, model.safetensors",
            error,
            f"put the repository's files into a folder and name that in {place.split()[-1]}.weights",
        ) from None


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

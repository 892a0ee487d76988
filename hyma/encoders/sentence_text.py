"""Text encoders from sentence-transformers: a hub name, a local folder, or weights inside a package."""

import importlib.metadata
import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer

from hyma.encoders.params import HUB, TextEncoderParams
from hyma.errors import HymaError
from hyma.files import sha256, sha256_file

PACKAGE = "package:"
WEIGHTS = {".safetensors", ".bin", ".model", ".json", ".txt"}
"""Endings of the files that a model's features depend on."""


class SentenceEncoder:
    """A frozen sentence-transformers model."""

    def __init__(self, params: TextEncoderParams, slug: str, device: torch.device):
        """Load the weights.

        Raises:
            HymaError: if the model cannot be had.
        """
        place = f"params.yaml: text_encoders.{slug}"
        folder = _folder(params, place)
        logging.getLogger("transformers").setLevel(logging.ERROR)
        try:
            self.model = SentenceTransformer(
                str(folder or params.name), revision=None if folder else params.revision, device=str(device)
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            raise HymaError(
                f"{place}.name: {params.name!r} cannot be loaded ({reason}); "
                "connect to the hub once, or point `weights` to a local folder"
            ) from None
        self.model.float().eval().requires_grad_(False)
        self.dim = int(self.model.encode(["a"], show_progress_bar=False).shape[1])
        digest = _digest(folder) if folder else ""
        self.identity = f"sentence-transformers|{params.name}|{params.revision}|{digest}"

    def prepare(self, text: str) -> str:
        """Return the text as it is: the model tokenises it."""
        return text

    def encode(self, batch: Sequence[str]) -> np.ndarray:
        """Encode texts; return float32 [B, dim]."""
        feature_BD = self.model.encode(list(batch), batch_size=len(batch), show_progress_bar=False)
        return np.asarray(feature_BD, dtype=np.float32)


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
    return Path(spec.origin).parent / inside


def _digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.suffix in WEIGHTS)
    return sha256(*(sha256_file(path) for path in files))

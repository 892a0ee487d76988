"""Connectors: the small maps that carry a text feature into an image encoder's space.

One functional forward serves grid search, the hypernetwork and the exported model. Letters in names:
B batch, D_text and D_image the encoders' widths.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from hyma.common.earlier import damaged
from hyma.common.errors import HymaError
from hyma.common.files import atomic
from hyma.common.names import ConnectorKind
from hyma.stitching.normalise import Normaliser

KEY = "hyma"
Connector = dict[str, Tensor]
"""Weights ``weight0`` [out, in], ``bias0`` [out], ``weight1`` … of a connector, in order."""


@dataclass(frozen=True)
class ConnectorSpec:
    """The shape of a pair's connector; `hidden` is the width of the hidden layers of mlp1 and mlp2."""

    kind: ConnectorKind
    d_text: int
    d_image: int
    hidden: int = 1024
    shared: int | None = None
    """Width of the space that a two-sided connector maps both sides into; None: images are left alone."""

    @property
    def layers(self) -> list[tuple[int, int]]:
        """The (out, in) shape of each layer, first to last."""
        hidden_layers = {"linear": 0, "mlp1": 1, "mlp2": 2}[self.kind]
        widths = [self.d_text, *[self.hidden] * hidden_layers, self.shared or self.d_image]
        return [(out, into) for into, out in pairwise(widths)]


def initialise(spec: ConnectorSpec, generator: torch.Generator) -> Connector:
    """Draw weights and biases from U(-1/√in, 1/√in), as `torch.nn.Linear` does."""
    connector = {}
    for index, (out, into) in enumerate(spec.layers):
        bound = 1 / math.sqrt(into)
        for name, shape in ((f"weight{index}", (out, into)), (f"bias{index}", (out,))):
            connector[name] = (torch.rand(shape, generator=generator) * 2 - 1) * bound
    return connector


def forward(connector: Connector, text: Tensor) -> Tensor:
    """Map text features [B, D_text] to [B, D_image]; ReLU between layers, none after the last.

    The stacked weights and features of several pairs, all with a leading dimension, are mapped at once.
    """
    last = len(connector) // 2 - 1
    for index in range(last + 1):
        weight, bias = connector[f"weight{index}"], connector[f"bias{index}"]
        if weight.ndim == 2:
            text = functional.linear(text, weight, bias)
        else:
            text = torch.baddbmm(bias[:, None], text, weight.mT)
        if index < last:
            text = functional.relu(text)
    return text


@dataclass
class Stitch:
    """A pair made usable: its connector with the normalisation that both sides were trained under."""

    spec: ConnectorSpec
    connector: Connector
    image_normaliser: Normaliser
    text_normaliser: Normaliser
    image_connector: Connector | None = None
    """The linear map of the image side, on unit vectors; only a two-sided connector has one."""

    @property
    def device(self) -> torch.device:
        """Where the connector lies: the features that it takes must, too."""
        return next(iter(self.connector.values())).device

    def to(self, device: torch.device) -> "Stitch":
        """The same on a device, normalisers included."""
        image = self.image_connector
        return replace(
            self,
            connector={name: tensor.detach().to(device) for name, tensor in self.connector.items()},
            image_normaliser=self.image_normaliser.to(device),
            text_normaliser=self.text_normaliser.to(device),
            image_connector=image and {name: tensor.detach().to(device) for name, tensor in image.items()},
        )

    def embed_image(self, feature: Tensor) -> Tensor:
        """Return unit vectors [B, D] for image features [B, D_image]; D is D_image, or the shared width."""
        unit = functional.normalize(self.image_normaliser(feature), dim=-1)
        if self.image_connector is None:
            return unit
        return functional.normalize(forward(self.image_connector, unit), dim=-1)

    def embed_text(self, feature: Tensor) -> Tensor:
        """Return unit vectors [B, D] for text features [B, D_text]."""
        return functional.normalize(forward(self.connector, self.text_normaliser(feature)), dim=-1)


def save(path: Path, stitches: dict[str, Stitch]) -> None:
    """Write the connectors of pairs (``image-text``) to one safetensors file; equal statistics once."""
    found = {
        name: tensor for pair, stitch in stitches.items() for name, tensor in tensors(pair, stitch).items()
    }
    specs = {pair: asdict(stitch.spec) for pair, stitch in stitches.items()}
    kind = next(iter(stitches.values())).image_normaliser.kind
    # One key: safetensors writes several in any order, and equal connectors should give equal bytes.
    content = {"specs": specs, "normalise": kind, "digest": _digest(found)}
    metadata = {KEY: json.dumps(content, sort_keys=True)}
    with atomic(path) as temporary:
        save_file(dict(sorted(found.items())), temporary, metadata=metadata)


def _digest(found: Mapping[str, Tensor]) -> str:
    """Digest of tensors, by name: DVC trusts its cache, and a disk may be bad."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(found.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def tensors(pair: str, stitch: Stitch) -> dict[str, Tensor]:
    """All tensors of a pair's connector and of what normalises its sides, by the names that files give them."""
    image, text = pair.split("-")
    found: dict[str, Tensor] = {}
    for side, connector in (("text", stitch.connector), ("image", stitch.image_connector or {})):
        found |= {f"{pair}/{side}/{name}": tensor for name, tensor in connector.items()}
    for slug, normaliser in ((image, stitch.image_normaliser), (text, stitch.text_normaliser)):
        found |= {f"{slug}/{name}": tensor for name, tensor in normaliser.tensors().items()}
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in found.items()}


def load(path: Path) -> dict[str, Stitch]:
    """Read what `save` wrote.

    Raises:
        HymaError: if the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = json.loads((file.metadata() or {})[KEY])
    except SafetensorError as error:
        raise damaged(path, f"connectors cannot be read: {error}") from None
    except OSError as error:
        raise HymaError(f"{path}: connectors cannot be read ({error}); run `dvc repro` again") from None
    except KeyError:
        raise HymaError(f"{path}: not a file of connectors; run `dvc repro` again") from None
    if metadata.get("digest", digest := _digest(stored)) != digest:
        raise damaged(path)

    def normaliser(slug: str) -> Normaliser:
        return Normaliser(metadata["normalise"], stored.get(f"{slug}/mean"), stored.get(f"{slug}/std"))

    def connector(place: str) -> Connector:
        return {name.removeprefix(place): tensor for name, tensor in stored.items() if name.startswith(place)}

    stitches = {}
    for pair, spec in metadata["specs"].items():
        image, text = pair.split("-")
        stitches[pair] = Stitch(
            ConnectorSpec(**spec),
            connector(f"{pair}/text/"),
            normaliser(image),
            normaliser(text),
            connector(f"{pair}/image/") or None,
        )
    return stitches

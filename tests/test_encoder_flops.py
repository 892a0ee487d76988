"""What a forward pass costs, against counts by hand."""

from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hyma.encoders.base.flops import flops_per_row


class Bag(nn.Module):
    """Stands for a text encoder on another device than the tokeniser's: a product a word."""

    def __init__(self) -> None:
        super().__init__()
        self.device = torch.device("meta")
        self.table = nn.Embedding(9, 4, device="meta")
        self.linear = nn.Linear(4, 6, device="meta")

    def preprocess(self, texts: list[str]) -> dict[str, Any]:
        return {"ids": torch.tensor([[len(word) % 9 for word in texts[0].split()[:5]]]), "modality": "text"}

    def forward(self, tokens: dict[str, Tensor]) -> dict[str, Tensor]:
        assert tokens["ids"].device == self.table.weight.device
        return {"sentence_embedding": self.linear(self.table(tokens["ids"])).mean(1)}


class Attention(nn.Module):
    """Stands for a vision transformer: PyTorch's own attention layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.MultiheadAttention(width, num_heads=2, batch_first=True)

    def forward(self, tokens_BTD: Tensor) -> Tensor:
        return self.layer(tokens_BTD, tokens_BTD, tokens_BTD, need_weights=False)[0]


def stand_in(model: nn.Module, *example: Tensor) -> Any:
    return SimpleNamespace(model=model.eval().requires_grad_(False), example=example)


def test_flops_of_a_product() -> None:
    assert flops_per_row(stand_in(nn.Linear(3, 5), torch.zeros(1, 3))) == 2 * 3 * 5


def test_flops_of_attention() -> None:
    """Query, key, value and output are a product each, then Q Kᵀ and the weighted sum of V."""
    tokens, width = 7, 8
    expected = 4 * (2 * tokens * width * width) + 2 * (2 * tokens * tokens * width)
    fast = torch.backends.mha.get_fastpath_enabled()
    assert flops_per_row(stand_in(Attention(width), torch.zeros(1, tokens, width))) == expected
    assert torch.backends.mha.get_fastpath_enabled() == fast


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_flops_of_an_image_encoder(name: str) -> None:
    encoder = stand_in(timm.create_model(name, num_classes=0), torch.zeros(1, 3, 160, 160))
    # PyTorch counts attention only where it is made of plain products.
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        encoder.model(encoder.example[0])
    # fvcore counts normalisation too, a percent or two.
    assert 1 <= flops_per_row(encoder) / counter.get_total_flops() < 1.03


def test_flops_of_a_model_on_another_device() -> None:
    encoder: Any = SimpleNamespace(model=Bag())
    assert flops_per_row(encoder) == 5 * 2 * 4 * 6

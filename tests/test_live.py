"""Encoders are loaded several at a time, as far as memory goes, and let go before the next ones are."""

from functools import cached_property
from typing import Any, ClassVar, cast

import pytest
import torch

from hyma.common import device
from hyma.encoders.base.live import Live, together

FREE = 100


class Weighty:
    """Takes as much memory as its weight while it is loaded."""

    loaded: ClassVar[dict[str, int]] = {}

    def __init__(self, slug: str, weight: int):
        self.slug, self.weight, self.device = slug, weight, torch.device("cpu")

    @cached_property
    def encoder(self) -> Any:
        self.loaded[self.slug] = self.weight
        return Held(self.slug)


class Held:
    """Lets the memory go with the encoder."""

    def __init__(self, slug: str):
        self.slug = slug

    def __del__(self) -> None:
        del Weighty.loaded[self.slug]


@pytest.mark.parametrize(
    ("weights", "groups"),
    [
        ([10, 10, 10], ["abc"]),
        ([30, 30, 30, 10], ["ab", "cd"]),
        ([90, 10, 80], ["a", "bc"]),  # one that takes more than its share is loaded alone
        ([], []),
    ],
)
def test_groups(weights: list[int], groups: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "free_memory", lambda _: FREE - sum(Weighty.loaded.values()))
    encoders = [Weighty(slug, weight) for slug, weight in zip("abcd", weights, strict=False)]
    found = []
    for group in together(cast(list[Live], encoders)):
        found.append("".join(each.slug for each in group))
        assert list(Weighty.loaded) == [each.slug for each in group]
    assert found == groups
    assert not Weighty.loaded

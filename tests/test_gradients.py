"""Back-propagation in groups, in half precision and balanced, and what is noted of the gradients."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hyma.search import hyma_search
from hyma.search.network import DenseHypernetwork, equaliser
from hyma.search.params import HymaParams
from hyma.stitching import grid
from hyma.stitching.connectors import Connector
from hyma.stitching.losses import info_nce
from hyma.stitching.normalised import Normalised
from hyma.stitching.pair_losses import pair_losses
from hyma.stitching.params import ConnectorParams, GridParams
from tests.test_search import toy

CONNECTOR = ConnectorParams(kind="mlp1", hidden=16, normalise="standardise", logit_scale=20)
PAIRS = [("plain", "turned"), ("wide", "noise"), ("plain", "noise"), ("twin", "turned")]
HYMA: dict[str, Any] = {"batch": 60, "epochs": 10, "bm": 2, "samples": 200, "components": 8, "widths": [16]}
decoders = pytest.mark.parametrize("decoder", ["dense", "factorised"])


def drawn(widths: list[int]) -> Connector:
    shapes = enumerate(pairwise(widths))
    return {
        name: value
        for index, (into, out) in shapes
        for name, value in (
            (f"weight{index}", torch.randn(out, into) / 4),
            (f"bias{index}", torch.randn(out)),
        )
    }


def leaves(connectors: list[Connector]) -> list[Connector]:
    return [{name: weight.clone().requires_grad_() for name, weight in own.items()} for own in connectors]


def test_groups_give_the_gradient_of_the_mean() -> None:
    """Pairs of equal shape are stacked; each group is back-propagated before the next is computed."""
    torch.manual_seed(0)
    features = toy(100)
    data = Normalised(
        replace(features, images={**features.images, "twin": features.images["plain"].flip(1)}), CONNECTOR
    )
    width = {slug: own.shape[1] for slug, own in {**data.image, **data.text}.items()}
    start = [drawn([width[text], 16, width[image]]) for image, text in PAIRS]
    rows = data.features.train
    plain = leaves(start)
    image_rows = data.features.image_of_text_M[rows]
    expected = []
    for own, (image, text) in zip(plain, PAIRS, strict=True):
        hidden = torch.relu(data.text[text][rows] @ own["weight0"].T + own["bias0"])
        expected.append(
            info_nce(hidden @ own["weight1"].T + own["bias1"], data.image[image][image_rows], 20)[0]
        )
    torch.stack(expected).mean().backward()

    reads: list[str] = []
    for side in (data.image, data.text):
        for slug, own in list(side.items()):
            side[slug] = Noted(own, slug, reads)
    calls: list[int] = []

    def backward(loss: Tensor) -> None:
        calls.append(len(calls))
        loss.backward()

    grouped = leaves(start)
    losses, _ = pair_losses(grouped, PAIRS, rows, data, 20, backward)
    assert len(calls) == 3  # plain and twin are equally wide
    assert sorted(reads) == ["noise", "plain", "turned", "twin", "wide"]  # each once
    torch.testing.assert_close(losses, torch.stack(expected).detach())
    assert not losses.requires_grad
    for own, other in zip(grouped, plain, strict=True):
        for name, weight in own.items():
            torch.testing.assert_close(weight.grad, other[name].grad, rtol=1e-4, atol=1e-6)


class Noted:
    """A table that notes when it is read."""

    def __init__(self, table: Any, slug: str, reads: list[str]):
        self.table, self.slug, self.reads = table, slug, reads

    def __getitem__(self, rows: Tensor) -> Tensor:
        self.reads.append(self.slug)
        return self.table[rows]


def step(params: HymaParams) -> tuple[nn.Module, list[Tensor]]:
    """One step of the dense hypernetwork on all pairs; the network, and its parameters' gradients."""
    data = Normalised(toy(100), CONNECTOR)
    specs = {pair: data.features.spec(pair, CONNECTOR) for pair in data.features.pairs}
    torch.manual_seed(0)
    network, step_on = hyma_search._dense(data, specs, params, 20, 0)
    step_on(data.features.train, torch.arange(4), Tensor.backward)
    return network, [own.grad.clone() for own in network.parameters() if own.grad is not None]


def test_the_hypernetwork_gets_the_gradient_of_the_mean() -> None:
    network, found = step(HymaParams(decoder="dense", **HYMA))
    assert isinstance(network, DenseHypernetwork)
    data = Normalised(toy(100), CONNECTOR)
    rows = data.features.train
    network.zero_grad()
    losses = []
    for own, (image, text) in zip(network(torch.arange(4)), data.features.pairs, strict=True):
        hidden = torch.relu(data.text[text][rows] @ own["weight0"].T + own["bias0"])
        image_BD = data.image[image][data.features.image_of_text_M[rows]]
        losses.append(info_nce(hidden @ own["weight1"].T + own["bias1"], image_BD, 20)[0])
    torch.stack(losses).mean().backward()
    for own, grad in zip(network.parameters(), found, strict=True):
        torch.testing.assert_close(own.grad, grad, rtol=1e-3, atol=1e-6)


def test_equaliser_by_hand() -> None:
    assert (equaliser(torch.tensor([1.0, 8.0, 2.0])) * torch.tensor([1.0, 8.0, 2.0])).tolist() == [2, 2, 2]
    assert equaliser(torch.tensor([0.0, 3.0, 3.0])).isfinite().all()


def test_balanced_pairs_pull_alike() -> None:
    """The hypernetwork's gradient is then that of connectors whose gradients have one length each."""
    connectors = [{"weight0": torch.ones(2, 2)}, {"weight0": torch.ones(3, 2)}, {"weight0": torch.ones(1, 2)}]
    grads = [torch.full((2, 2), 3.0), torch.full((3, 2), 1e4), torch.tensor([[0.3, 0.4]])]
    for connector, grad in zip(connectors, grads, strict=True):
        connector["weight0"].requires_grad_().grad = grad.clone()
    hyma_search._equalise(connectors)
    for connector, grad in zip(connectors, grads, strict=True):
        torch.testing.assert_close(connector["weight0"].grad, grad / grad.norm() * 6)  # the median: 3·√4


@decoders
def test_gradients_are_noted_and_balanced(decoder: Any) -> None:
    scores = {}
    for balance in (False, True):
        found = hyma_search.search(toy(), HymaParams(decoder=decoder, balance=balance, **HYMA), CONNECTOR, 0)
        assert set(found.gradients) == {"plain", "wide", "turned", "noise"}
        for entry in found.gradients.values():
            assert entry["mean"] > 0
            assert entry["variance"] >= 0
            assert entry["peak"] >= 1
        scores[balance] = found.scores
    assert scores[True] != scores[False]
    assert scores[True]["plain-turned"] > 0.9


def test_gradient_statistics_by_hand() -> None:
    norm_SE = torch.tensor([[1.0, 0.0, 0.0], [3.0, 5.0, 0.0], [2.0, 5.0, 0.0]])
    found = hyma_search.gradient_statistics(norm_SE, ["a", "b", "c"])
    assert list(found) == ["a", "b"]
    assert found["a"] == pytest.approx({"mean": 2, "variance": 2 / 3 / 4, "peak": 1.5})
    assert found["b"] == pytest.approx({"mean": 5, "variance": 0, "peak": 1})


def test_gradient_statistics_leave_out_what_overflowed() -> None:
    norm_SE = torch.tensor([[1.0], [torch.inf], [3.0], [torch.nan], [2.0]])
    found = hyma_search.gradient_statistics(norm_SE, ["a"])
    assert found == hyma_search.gradient_statistics(torch.tensor([[1.0], [3.0], [2.0]]), ["a"])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("method", ["grid", "dense", "factorised"])
def test_half_precision_finds_as_good_connectors(method: str, precision: Any) -> None:
    found = {}
    for name in ("fp32", precision):
        if method == "grid":
            params = GridParams(batch=60, epochs=8, lr=0.01, precision=name)
            result = grid.search(toy(), params, CONNECTOR, 0, [("plain", "turned")])
        else:
            own = HymaParams(decoder=method, precision=name, lr=0.01, **HYMA | {"epochs": 20})  # type: ignore[arg-type]
            result = hyma_search.search(toy(), own, CONNECTOR, 0)
        found[name] = result.scores["plain-turned"]
        assert all(
            weight.dtype == torch.float32 for weight in result.stitches["plain-turned"].connector.values()
        )
    assert found["fp32"] > 0.8
    assert found[precision] == pytest.approx(found["fp32"], abs=0.1)

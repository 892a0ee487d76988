"""The hypernetworks: their predictions rebuilt from their parameters, pair by pair."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hyma.connectors import ConnectorSpec, forward
from hyma.hypernetwork import DenseHypernetwork, FactorisedHypernetwork, Hypernetwork, PairName, build

KINDS = ["linear", "mlp1", "mlp2"]
IMAGES = {"vit": 5, "res": 8, "eff": 3}
TEXTS = {"mini": 4, "bert": 9}
both = pytest.mark.parametrize("decoder", ["dense", "factorised"])
kinds = pytest.mark.parametrize("kind", KINDS)


def specs_of(kind: Any, images: dict[str, int], texts: dict[str, int]) -> dict[PairName, ConnectorSpec]:
    return {(i, t): ConnectorSpec(kind, texts[t], images[i], 6) for i, t in product(images, texts)}


def made(decoder: str, kind: str, seed: int = 0) -> Hypernetwork:
    """Three image and two text encoders, all of different widths; the factorised decoder off its start."""
    specs = specs_of(kind, IMAGES, TEXTS)
    torch.manual_seed(seed)
    network = build(decoder, specs, 7, [10, 11])
    if isinstance(network, FactorisedHypernetwork):
        nn.init.normal_(network.decoder.weight, std=0.3)
        nn.init.normal_(network.decoder.bias, std=0.3)
    return network


def predict(network: Hypernetwork, *numbers: int) -> list[dict[str, Tensor]]:
    with torch.no_grad():
        return network(torch.tensor(numbers))


def factors(network: FactorisedHypernetwork, pair: PairName) -> tuple[nn.Linear, nn.Linear]:
    """The pair's text and image factor, whatever their modules are called."""
    images, texts = (list(dict.fromkeys(side)) for side in zip(*network.names, strict=True))
    text = list(network.text_factor.children())[texts.index(pair[1])]
    image = list(network.image_factor.children())[images.index(pair[0])]
    assert isinstance(text, nn.Linear)
    assert isinstance(image, nn.Linear)
    return text, image


def shared(network: Hypernetwork, pair: int, layer: int) -> Tensor:
    """F_ρ's output [H], with its layers spelled out."""
    hidden = (network.codes.pair_code[pair] + network.codes.layer_code[layer]) / 2**0.5
    for linear in network.codes.mlp:
        if isinstance(linear, nn.Linear):
            hidden = (linear.weight @ hidden + linear.bias).clamp_min(0)
    return hidden


@both
@kinds
def test_shapes_and_order(decoder: str, kind: str) -> None:
    network = made(decoder, kind)
    specs = specs_of(kind, IMAGES, TEXTS).values()
    for number, (spec, connector) in enumerate(zip(specs, predict(network, *range(6)), strict=True)):
        shapes = {f"weight{i}": shape for i, shape in enumerate(spec.layers)}
        shapes |= {f"bias{i}": (out,) for i, (out, _) in enumerate(spec.layers)}
        assert {name: tuple(weight.shape) for name, weight in connector.items()} == shapes
        assert forward(connector, torch.zeros(2, spec.d_text)).shape == (2, spec.d_image)
        for other in ([number], [5, number], [number, 0]):
            again = predict(network, *other)[other.index(number)]
            for name, weight in connector.items():
                torch.testing.assert_close(again[name], weight)


@kinds
def test_dense_decoder_cuts_and_scales(kind: str) -> None:
    network = made("dense", kind)
    assert isinstance(network, DenseHypernetwork)
    shapes = [shape for spec in network.specs for shape in spec.layers]
    rows, columns = max(out for out, _ in shapes), max(into for _, into in shapes)
    for number, (spec, connector) in enumerate(zip(network.specs, predict(network, *range(6)), strict=True)):
        for layer, (out, into) in enumerate(spec.layers):
            matrix = (shared(network, number, layer) @ network.decoder).reshape(rows, columns + 1)
            expected = {"weight": matrix[:out, :into], "bias": matrix[:out, columns]}
            for name, value in expected.items():
                torch.testing.assert_close(connector[f"{name}{layer}"], value.detach() / into**0.5)


def test_dense_decoder_starts_at_the_scale_of_a_linear_layer() -> None:
    torch.manual_seed(0)
    specs = specs_of("mlp1", {f"i{n}": 20 + n for n in range(6)}, {f"t{n}": 40 * (n + 1) for n in range(3)})
    network = build("dense", specs, 64, [256, 512])
    connectors = predict(network, *range(len(specs)))
    for layer in (0, 1):
        scaled = [c[f"weight{layer}"].flatten() * c[f"weight{layer}"].shape[1] ** 0.5 for c in connectors]
        assert torch.cat(scaled).std().item() == pytest.approx(1, rel=0.25)


@kinds
def test_factorised_decoder_is_a_modulated_product(kind: str) -> None:
    """Held against torch's own modules: scale and shift the hidden units, pass on."""
    network = made("factorised", kind)
    assert isinstance(network, FactorisedHypernetwork)
    for number, pair in enumerate(network.names):
        first, last = factors(network, pair)
        text_BD = torch.randn(4, first.in_features)
        with torch.no_grad():
            hidden_BH = first(text_BD)
            scale, shift = network.decoder(shared(network, number, 0)).split(6)
            hidden_BH = (1 + scale) * hidden_BH + shift
            if kind != "linear":
                hidden_BH = functional.relu(hidden_BH)
            if network.middle is not None:
                scale, shift = network.decoder(shared(network, number, 1)).split(6)
                hidden_BH = functional.relu((1 + scale) * network.middle(hidden_BH) + shift)
            expected_BD = last(hidden_BH)
        torch.testing.assert_close(forward(predict(network, number)[0], text_BD), expected_BD)


@kinds
def test_factorised_decoder_starts_as_the_plain_product(kind: str) -> None:
    torch.manual_seed(0)
    network = build("factorised", specs_of(kind, {"vit": 5, "res": 8}, {"mini": 4, "bert": 9}), 7, [10])
    assert isinstance(network, FactorisedHypernetwork)
    middle = [] if network.middle is None else [nn.ReLU(), network.middle]
    cut = [] if kind == "linear" else [nn.ReLU()]
    for pair, connector in zip(network.names, predict(network, 0, 1, 2, 3), strict=True):
        first, last = factors(network, pair)
        plain = nn.Sequential(first, *middle, *cut, last)
        text_BD = torch.randn(3, first.in_features)
        torch.testing.assert_close(forward(connector, text_BD), plain(text_BD).detach())


@pytest.mark.parametrize(("decoder", "kind"), [("dense", "mlp2"), ("factorised", "mlp2"), ("dense", "mlp1")])
def test_every_code_moves_its_own_part(decoder: str, kind: str) -> None:
    network = made(decoder, kind)
    before = predict(network, *range(6))
    for number in range(6):
        with torch.no_grad():
            network.codes.pair_code[number] += 1
        after = predict(network, *range(6))
        moved = [
            not torch.equal(old["weight0"], new["weight0"]) for old, new in zip(before, after, strict=True)
        ]
        assert moved == [other == number for other in range(6)]
        before = after
    for layer in range(len(network.codes.layer_code)):
        with torch.no_grad():
            network.codes.layer_code[layer] += 1
        after = predict(network, *range(6))
        for old, new in zip(before, after, strict=True):
            changed = {name for name in old if not torch.equal(old[name], new[name])}
            assert changed == {f"weight{layer}", f"bias{layer}"}
        before = after


@both
@kinds
def test_gradient_reaches_every_parameter(decoder: str, kind: str) -> None:
    network = made(decoder, kind)
    loss = torch.zeros(())
    for connector in network(torch.arange(6)):
        loss = loss + forward(connector, torch.randn(8, connector["weight0"].shape[1])).square().sum()
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    assert (network.codes.pair_code.grad.abs().sum(1) > 0).all()
    network.zero_grad()
    sum(weight.sum() for weight in network(torch.tensor([2, 4]))[1].values()).backward()
    assert (network.codes.pair_code.grad.abs().sum(1) > 0).tolist() == [n == 4 for n in range(6)]


@both
def test_equal_seed_equal_predictions(decoder: str) -> None:
    first, same, other = (predict(made(decoder, "mlp1", seed), 3)[0] for seed in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


@kinds
def test_factorised_size_grows_with_encoders_not_pairs(kind: str) -> None:
    def size(decoder: str, many: int) -> int:
        specs = specs_of(kind, {f"i{n}": 5 for n in range(many)}, {f"t{n}": 4 for n in range(many)})
        return sum(parameter.numel() for parameter in build(decoder, specs, 7, [10]).parameters())

    # Two more of each side: text factors 4·6 + 6, image factors 6·5 + 5; twelve more pairs: a code each.
    assert size("factorised", 4) - size("factorised", 2) == 2 * (30 + 35) + 12 * 7
    assert size("dense", 4) - size("dense", 2) == 12 * 7


@both
def test_any_slug_will_do(decoder: str) -> None:
    """Slugs such as these are attributes of torch's modules too."""
    specs = specs_of("mlp1", {"train": 5, "type": 3}, {"keys": 4, "half": 2})
    connectors = predict(build(decoder, specs, 7, [10]), 0, 1, 2, 3)
    assert [tuple(connector["weight1"].shape) for connector in connectors] == [(5, 6), (5, 6), (3, 6), (3, 6)]

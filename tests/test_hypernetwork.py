"""The hypernetworks: their predictions rebuilt from their parameters, and the shared space against them."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hyma.common.names import PairName
from hyma.search.closed_form import Whitening, shared_space
from hyma.search.network import DenseHypernetwork, FactorisedHypernetwork, split_hidden
from hyma.stitching.connectors import ConnectorSpec, forward
from hyma.stitching.losses import info_nce

KINDS = ["linear", "mlp1", "mlp2"]
IMAGES = {"vit": 5, "res": 8, "eff": 3}
TEXTS = {"mini": 4, "bert": 9}
HIDDEN = 12
kinds = pytest.mark.parametrize("kind", KINDS)
sides = pytest.mark.parametrize("two_sided", [False, True])


def specs_of(kind: Any, images: dict[str, int], texts: dict[str, int]) -> dict[PairName, ConnectorSpec]:
    return {(i, t): ConnectorSpec(kind, texts[t], images[i], HIDDEN) for i, t in product(images, texts)}


def dense(kind: str, seed: int = 0) -> DenseHypernetwork:
    """Three image and two text encoders, all of different widths."""
    torch.manual_seed(seed)
    return DenseHypernetwork(specs_of(kind, IMAGES, TEXTS), 7, [10, 11])


class Factorised:
    """A factorised hypernetwork on random features: images of unit length and texts, [N, D]."""

    def __init__(self, kind: str, two_sided: bool, moved: bool = True, components: int | None = None):
        rng = torch.Generator().manual_seed(0)

        def drawn(width: int) -> Tensor:
            return torch.randn(60, width, generator=rng) @ torch.randn(width, width, generator=rng) + 1

        self.images = [functional.normalize(drawn(width), dim=-1) for width in IMAGES.values()]
        self.texts = [drawn(width) for width in TEXTS.values()]
        self.specs = specs_of(kind, IMAGES, TEXTS)
        shared = split_hidden(next(iter(self.specs.values())))[0]
        if two_sided:
            self.specs = {pair: replace(spec, shared=shared) for pair, spec in self.specs.items()}
        self.image_white = [Whitening.fit(unit_ND, 0.1, components) for unit_ND in self.images]
        self.text_white = [Whitening.fit(text_ND, 0.1, components) for text_ND in self.texts]
        image_parts = [white(own) for white, own in zip(self.image_white, self.images, strict=True)]
        text_parts = [white(own) for white, own in zip(self.text_white, self.texts, strict=True)]
        self.start = shared_space(image_parts, text_parts, shared)
        torch.manual_seed(0)
        self.network = FactorisedHypernetwork(self.specs, self.image_white, self.text_white, self.start)
        if moved:  # as training would, off the start
            for parameter in self.network.parameters():
                parameter.data += 0.3 * torch.randn(parameter.shape)
        uncentred = [own @ white.map_DR for own, white in zip(self.images, self.image_white, strict=True)]
        self.inputs = (image_parts if two_sided else uncentred), text_parts

    def written_out(self, number: int) -> tuple[Tensor, Tensor]:
        """Text and image features of a pair, through its connectors."""
        image, text = divmod(number, len(TEXTS))
        (connector,) = self.network(torch.tensor([number]))
        own = self.network.image_connector(image)
        image_ND = self.images[image] if own is None else forward(own, self.images[image])
        return forward(connector, self.texts[text]), functional.normalize(image_ND, dim=-1)


def predict(network: nn.Module, *numbers: int) -> list[dict[str, Tensor]]:
    with torch.no_grad():
        return network(torch.tensor(numbers))


def hidden_of(network: DenseHypernetwork, pair: int, layer: int) -> Tensor:
    """F_ρ's output [H], with its layers spelled out."""
    image, text = divmod(pair, len(TEXTS))
    codes = network.codes
    hidden = (codes.image_code[image] + codes.text_code[text] + codes.layer_code[layer]) / 3**0.5
    for linear in network.codes.mlp:
        if isinstance(linear, nn.Linear):
            hidden = (linear.weight @ hidden + linear.bias).clamp_min(0)
    return hidden


@kinds
@pytest.mark.parametrize("decoder", ["dense", "one-sided", "two-sided"])
def test_shapes_and_order(decoder: str, kind: str) -> None:
    """Exactly the layers that the spec names, pair by pair, whatever is asked for beside it."""
    made = None if decoder == "dense" else Factorised(kind, decoder == "two-sided")
    network: nn.Module = dense(kind) if made is None else made.network
    specs = (specs_of(kind, IMAGES, TEXTS) if made is None else made.specs).values()
    for number, (spec, connector) in enumerate(zip(specs, predict(network, *range(6)), strict=True)):
        shapes = {f"weight{i}": shape for i, shape in enumerate(spec.layers)}
        shapes |= {f"bias{i}": (out,) for i, (out, _) in enumerate(spec.layers)}
        assert {name: tuple(weight.shape) for name, weight in connector.items()} == shapes
        width = spec.shared or spec.d_image
        assert forward(connector, torch.zeros(2, spec.d_text)).shape == (2, width)
        for other in ([number], [5, number], [number, 0]):
            again = predict(network, *other)[other.index(number)]
            for name, weight in connector.items():
                torch.testing.assert_close(again[name], weight)


@kinds
def test_dense_decoder_cuts_and_scales(kind: str) -> None:
    network = dense(kind)
    shapes = [shape for spec in network.specs for shape in spec.layers]
    rows, columns = max(out for out, _ in shapes), max(into for _, into in shapes)
    for number, (spec, connector) in enumerate(zip(network.specs, predict(network, *range(6)), strict=True)):
        for layer, (out, into) in enumerate(spec.layers):
            matrix = (hidden_of(network, number, layer) @ network.decoder).reshape(rows, columns + 1)
            expected = {"weight": matrix[:out, :into], "bias": matrix[:out, columns]}
            for name, value in expected.items():
                torch.testing.assert_close(connector[f"{name}{layer}"], value.detach() / into**0.5)


def test_dense_decoder_starts_at_the_scale_of_a_linear_layer() -> None:
    torch.manual_seed(0)
    specs = specs_of("mlp1", {f"i{n}": 20 + n for n in range(6)}, {f"t{n}": 40 * (n + 1) for n in range(3)})
    connectors = predict(DenseHypernetwork(specs, 64, [256, 512]), *range(len(specs)))
    for layer in (0, 1):
        scaled = [c[f"weight{layer}"].flatten() * c[f"weight{layer}"].shape[1] ** 0.5 for c in connectors]
        assert torch.cat(scaled).std().item() == pytest.approx(1, rel=0.25)


def test_every_code_moves_its_own_part() -> None:
    """An encoder's code moves the connectors of its pairs, a layer's code that layer of all."""
    network = dense("mlp2")
    pairs = list(product(range(3), range(2)))
    before = predict(network, *range(6))
    for side, code in enumerate((network.codes.image_code, network.codes.text_code)):
        for number in range(len(code)):
            with torch.no_grad():
                code[number] += 1
            after = predict(network, *range(6))
            moved = [not torch.equal(a["weight0"], b["weight0"]) for a, b in zip(before, after, strict=True)]
            assert moved == [pair[side] == number for pair in pairs]
            before = after
    for layer in range(len(network.codes.layer_code)):
        with torch.no_grad():
            network.codes.layer_code[layer] += 1
        after = predict(network, *range(6))
        for old, new in zip(before, after, strict=True):
            changed = {name for name in old if not torch.equal(old[name], new[name])}
            assert changed == {f"weight{layer}", f"bias{layer}"}
        before = after


@kinds
def test_gradient_reaches_the_dense_decoders_parameters(kind: str) -> None:
    network = dense(kind)
    loss = torch.zeros(())
    for connector in network(torch.arange(6)):
        loss = loss + forward(connector, torch.randn(8, connector["weight0"].shape[1])).square().sum()
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    assert network.codes.image_code.grad is not None
    assert (network.codes.image_code.grad.abs().sum(1) > 0).all()
    network.zero_grad()
    sum(weight.sum() for weight in network(torch.tensor([2, 4]))[1].values()).backward()
    assert (network.codes.image_code.grad.abs().sum(1) > 0).tolist() == [False, False, True]
    assert network.codes.text_code.grad is not None
    assert (network.codes.text_code.grad.abs().sum(1) > 0).tolist() == [True, False]


def test_equal_seed_equal_predictions() -> None:
    first, same, other = (predict(dense("mlp1", seed), 3)[0] for seed in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


SUBSETS = [[0, 1, 2, 3, 4, 5], [3], [4, 1], [5, 0, 2]]


@kinds
@sides
@pytest.mark.parametrize("components", [None, 3])
def test_contrast_is_info_nce_on_the_connectors_written_out(
    kind: str, two_sided: bool, components: int | None
) -> None:
    made = Factorised(kind, two_sided, components=components)
    for numbers in SUBSETS:
        losses, accuracies = made.network.contrast(*made.inputs, torch.tensor(numbers), 20)
        assert losses.shape == accuracies.shape == (len(numbers),)
        for number, loss, accuracy in zip(numbers, losses, accuracies, strict=True):
            expected, share = info_nce(*made.written_out(number), 20)
            torch.testing.assert_close(loss, expected, rtol=2e-5, atol=2e-5)
            assert accuracy.item() == pytest.approx(share.item(), abs=1e-6)
        assert losses.std(correction=0) > 0.01 or len(numbers) == 1  # the pairs are told apart


@kinds
@sides
def test_gradients_are_those_of_the_connectors_written_out(kind: str, two_sided: bool) -> None:
    """They flow to all factors in use, to no others, and are the same by both ways."""
    made = Factorised(kind, two_sided)
    network, numbers = made.network, [0, 1, 3]  # the third image encoder is in none of them
    used: dict[str, Tensor] = {}
    for way in ("shared", "written out"):
        network.zero_grad(set_to_none=True)
        if way == "shared":
            network.contrast(*made.inputs, torch.tensor(numbers), 5)[0].mean().backward()
        else:
            losses = [info_nce(*made.written_out(number), 5)[0] for number in numbers]
            torch.stack(losses).mean().backward()
        found = {name: own.grad for name, own in network.named_parameters() if own.grad is not None}
        found = {name: grad.clone() for name, grad in found.items() if grad.numel() and grad.abs().max() > 0}
        for name in used:
            torch.testing.assert_close(found[name], used[name], rtol=1e-3, atol=1e-5)
        used = found
    expected = {"image_factor.0", "image_factor.1", "text_factor.0", "text_factor.1", "text_bias"}
    if kind != "linear":
        expected |= {"branch_in.0", "branch_in.1", "branch_bias", "branch_out"}
    if kind == "mlp2":
        expected |= {"branch_middle"}
    assert used.keys() == expected


@kinds
@sides
def test_start_is_the_closed_forms_linear_map(kind: str, two_sided: bool) -> None:
    """Before training: text → whitened → shared space → image space, whatever the kind, up to lengths."""
    made = Factorised(kind, two_sided, moved=False)
    for number in range(6):
        image, text = divmod(number, len(TEXTS))
        text_NK = made.text_white[text](made.texts[text]) @ made.start.texts[text]
        image_DK = made.image_white[image].map_DR @ made.start.images[image]
        text_found, image_found = (side.detach() for side in made.written_out(number))
        expected_ND = text_NK if two_sided else text_NK @ image_DK.T
        cosine = functional.cosine_similarity(text_found, expected_ND)
        torch.testing.assert_close(cosine, torch.ones(60), rtol=0, atol=1e-5)
        if two_sided:
            image_NK = made.image_white[image](made.images[image]) @ made.start.images[image]
            torch.testing.assert_close(image_found, functional.normalize(image_NK, dim=-1), rtol=0, atol=1e-5)


def test_image_encoders_start_at_one_scale() -> None:
    for factor_RK in Factorised("mlp1", False, moved=False).network.image_factor:
        assert factor_RK.square().sum(0).mean().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "hidden", "expected"),
    [
        ("linear", 256, (96, 0)),
        ("mlp1", 256, (96, 64)),
        ("mlp2", 256, (96, 64)),
        ("mlp1", 16, (6, 4)),
        ("mlp1", 3, (1, 1)),
        ("mlp1", 2, (1, 0)),
    ],
)
def test_split_hidden(kind: Any, hidden: int, expected: tuple[int, int]) -> None:
    assert split_hidden(ConnectorSpec(kind, 5, 7, hidden)) == expected


@kinds
@pytest.mark.parametrize("hidden", [2, 3, 5])
def test_fewest_hidden_units(kind: Any, hidden: int) -> None:
    """Even without room for a branch a connector is of its plain shape, and the linear map."""
    text_ND, image_ND = torch.randn(30, 4), functional.normalize(torch.randn(30, 5), dim=-1)
    spec = ConnectorSpec(kind, 4, 5, hidden)
    images, texts = [Whitening.fit(image_ND, 0.1)], [Whitening.fit(text_ND, 0.1)]
    start = shared_space([images[0](image_ND)], [texts[0](text_ND)], split_hidden(spec)[0])
    (connector,) = predict(FactorisedHypernetwork({("i", "t"): spec}, images, texts, start), 0)
    assert [tuple(connector[f"weight{n}"].shape) for n in range(len(spec.layers))] == spec.layers
    expected_ND = texts[0](text_ND) @ start.texts[0] @ (images[0].map_DR @ start.images[0]).T
    cosine = functional.cosine_similarity(forward(connector, text_ND), expected_ND)
    torch.testing.assert_close(cosine, torch.ones(30), rtol=0, atol=1e-4)


@kinds
def test_size_grows_with_encoders_not_pairs(kind: str) -> None:
    def count(network: nn.Module) -> int:
        return sum(parameter.numel() for parameter in network.parameters())

    def sizes(many: int) -> tuple[int, int]:
        specs = specs_of(kind, {f"i{n}": 5 for n in range(many)}, {f"t{n}": 4 for n in range(many)})
        images = [Whitening.fit(torch.randn(20, 5), 0.1) for _ in range(many)]
        texts = [Whitening.fit(torch.randn(20, 4), 0.1) for _ in range(many)]
        start = shared_space([torch.randn(20, 5)] * many, [torch.randn(20, 4)] * many, 4)
        return count(FactorisedHypernetwork(specs, images, texts, start)), count(
            DenseHypernetwork(specs, 7, [10])
        )

    # K = 4 and U = 4 of 12 hidden units. An image factor is 5·4; a text's are 4·4 + 4, in mlp1 and mlp2 its
    # branch 4·4 + 4 + 4·4 too, in mlp2 4·4 more. In the dense decoder an encoder is a code of 7.
    each = {"linear": 20 + 20, "mlp1": 20 + 20 + 36, "mlp2": 20 + 20 + 36 + 16}[kind]
    (few, few_dense), (more, more_dense) = sizes(2), sizes(4)
    assert more - few == 2 * each
    assert more_dense - few_dense == 2 * 2 * 7


def test_any_slug_will_do() -> None:
    """Slugs such as these are attributes of torch's modules too."""
    specs = specs_of("mlp1", {"train": 5, "type": 3}, {"keys": 4, "half": 2})
    connectors = predict(DenseHypernetwork(specs, 7, [10]), 0, 1, 2, 3)
    assert [tuple(c["weight1"].shape) for c in connectors] == [(5, HIDDEN)] * 2 + [(3, HIDDEN)] * 2

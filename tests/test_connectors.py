"""Connectors: held against torch.nn, and through the file that they are kept in."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from hyma.common.errors import HymaError
from hyma.stitching.connectors import Connector, ConnectorSpec, Stitch, forward, initialise, load, save
from hyma.stitching.normalise import Normaliser

LAYERS = {"linear": [(5, 3)], "mlp1": [(7, 3), (5, 7)], "mlp2": [(7, 3), (7, 7), (5, 7)]}


def reference(kind: str, d_text: int, d_image: int, hidden: int) -> nn.Sequential:
    """The connector in torch's own modules."""
    if kind == "linear":
        return nn.Sequential(nn.Linear(d_text, d_image))
    middle = [nn.Linear(hidden, hidden), nn.ReLU()] if kind == "mlp2" else []
    return nn.Sequential(nn.Linear(d_text, hidden), nn.ReLU(), *middle, nn.Linear(hidden, d_image))


def weights_of(model: nn.Sequential) -> Connector:
    linears = [layer for layer in model if isinstance(layer, nn.Linear)]
    pairs = [(f"weight{i}", f"bias{i}") for i in range(len(linears))]
    return {
        name: value.detach().clone().requires_grad_()
        for (weight, bias), linear in zip(pairs, linears, strict=True)
        for name, value in ((weight, linear.weight), (bias, linear.bias))
    }


def stitch(spec: ConnectorSpec, seed: int, image: Normaliser, text: Normaliser) -> Stitch:
    return Stitch(spec, initialise(spec, torch.Generator().manual_seed(seed)), image, text)


@pytest.mark.parametrize("kind", LAYERS)
def test_layers(kind: Any) -> None:
    assert ConnectorSpec(kind, 3, 5, 7).layers == LAYERS[kind]
    # Two-sided: the last one ends in the shared space instead.
    assert ConnectorSpec(kind, 3, 5, 7, shared=2).layers == [*LAYERS[kind][:-1], (2, LAYERS[kind][-1][1])]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(list(LAYERS)),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 6),
    st.integers(0, 99),
)
def test_forward_and_gradient_are_torchs(
    kind: Any, d_text: int, d_image: int, hidden: int, batch: int, seed: int
) -> None:
    torch.manual_seed(seed)
    model = reference(kind, d_text, d_image, hidden)
    connector = weights_of(model)
    shapes = [tuple(connector[f"weight{i}"].shape) for i in range(len(connector) // 2)]
    assert shapes == ConnectorSpec(kind, d_text, d_image, hidden).layers
    text_BD = torch.randn(batch, d_text)
    ours_BD, theirs_BD = forward(connector, text_BD), model(text_BD)
    torch.testing.assert_close(ours_BD, theirs_BD)
    ours_BD.square().sum().backward()
    theirs_BD.square().sum().backward()
    for own, parameter in zip(connector.values(), model.parameters(), strict=True):
        torch.testing.assert_close(own.grad, parameter.grad)


def test_forward_by_hand() -> None:
    connector = {
        "weight0": torch.tensor([[1.0, -1.0], [2.0, 0.0]]),
        "bias0": torch.tensor([0.0, 1.0]),
        "weight1": torch.tensor([[5.0, -1.0]]),
        "bias1": torch.tensor([0.5]),
    }
    # [1 - 2, 2 + 1] = [-1, 3], cut to [0, 3]; -3 + 0.5, not cut.
    assert forward(connector, torch.tensor([[1.0, 2.0]])).tolist() == [[-2.5]]


def test_initialise_draws_like_torchs_linear() -> None:
    spec = ConnectorSpec("mlp1", 400, 300, 900)
    connector = initialise(spec, torch.Generator().manual_seed(3))
    linears = [nn.Linear(400, 900), nn.Linear(900, 300)]
    for index, linear in enumerate(linears):
        bound = 1 / math.sqrt(linear.in_features)
        for name, theirs in (("weight", linear.weight), ("bias", linear.bias)):
            own = connector[f"{name}{index}"]
            assert own.shape == theirs.shape
            assert 0.97 * bound < own.abs().max() <= bound
        # A uniform variable on ±b has variance b²/3.
        assert connector[f"weight{index}"].var().item() == pytest.approx(bound**2 / 3, rel=0.02)
        assert connector[f"weight{index}"].std() == pytest.approx(linear.weight.std().item(), rel=0.02)
    again = initialise(spec, torch.Generator().manual_seed(3))
    other = initialise(spec, torch.Generator().manual_seed(4))
    for name, weight in connector.items():
        assert torch.equal(weight, again[name])
        assert not torch.equal(weight, other[name])


def test_stitch_by_hand() -> None:
    connector = {"weight0": torch.tensor([[0.0, 1.0], [2.0, 0.0]]), "bias0": torch.tensor([1.0, 0.0])}
    standard = Normaliser("standardise", torch.tensor([1.0, 1.0]), torch.tensor([2.0, 1.0]))
    pair = Stitch(ConnectorSpec("linear", 2, 2), connector, standard, standard)
    # [7, 5] is [3, 4] standardised; through the connector [4 + 1, 6].
    assert pair.embed_image(torch.tensor([[7.0, 5.0]]))[0].tolist() == pytest.approx([0.6, 0.8])
    length = math.sqrt(25 + 36)
    assert pair.embed_text(torch.tensor([[7.0, 5.0]]))[0].tolist() == pytest.approx([5 / length, 6 / length])
    plain = Stitch(ConnectorSpec("linear", 2, 2), connector, Normaliser("l2"), Normaliser("l2"))
    # [6, 8] is [0.6, 0.8] at unit length; through the connector [1.8, 1.2].
    assert plain.embed_text(torch.tensor([[6.0, 8.0]]))[0].tolist() == pytest.approx(
        [3 / math.sqrt(13), 2 / math.sqrt(13)]
    )


def test_two_sided_stitch_by_hand() -> None:
    text = {"weight0": torch.tensor([[1.0, 1.0], [0.0, 2.0], [1.0, 0.0]]), "bias0": torch.tensor([0.0, 0, 1])}
    image = {"weight0": torch.tensor([[10.0, 0], [0, 5], [0, 0]]), "bias0": torch.tensor([0.0, 0, 6])}
    l2 = Normaliser("l2")
    pair = Stitch(ConnectorSpec("linear", 2, 2, shared=3), text, l2, l2, image)
    # [3, 4] is [0.6, 0.8] at unit length; through the image's map [6, 4, 6], through the text's [1.4, 1.6, 1.6].
    for length in (1, 7):
        found = pair.embed_image(length * torch.tensor([[3.0, 4.0]]))
        assert found[0].tolist() == pytest.approx([6 / 88**0.5, 4 / 88**0.5, 6 / 88**0.5])
    found = pair.embed_text(torch.tensor([[3.0, 4.0]]))
    assert found[0].tolist() == pytest.approx([1.4 / 7.08**0.5, 1.6 / 7.08**0.5, 1.6 / 7.08**0.5])


@pytest.mark.parametrize("kind", LAYERS)
def test_two_sided_save_and_load(tmp_path: Path, kind: Any) -> None:
    """Both sides come back, in pairs that share an encoder too, and both embed into the shared width."""
    widths = {"vit": 4, "mini": 3, "bert": 5}
    torch.manual_seed(0)
    normaliser = {
        slug: Normaliser.fit("standardise", torch.randn(9, width)) for slug, width in widths.items()
    }
    stitches = {}
    for number, text in enumerate(("mini", "bert")):
        spec = ConnectorSpec(kind, widths[text], 4, 8, shared=6)
        made = stitch(spec, number, normaliser["vit"], normaliser[text])
        to_shared = ConnectorSpec("linear", 4, 6)
        made.image_connector = initialise(to_shared, torch.Generator().manual_seed(10 + number))
        stitches[f"vit-{text}"] = made
    save(tmp_path / "a.safetensors", stitches)
    found = load(tmp_path / "a.safetensors")
    assert found.keys() == stitches.keys()
    for pair, own in found.items():
        expected = stitches[pair]
        assert own.spec == expected.spec
        for side in ("connector", "image_connector"):
            ours, theirs = getattr(own, side), getattr(expected, side)
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())
        text_BD, image_BD = torch.randn(2, own.spec.d_text), torch.randn(2, 4)
        for embed, feature_BD in (("embed_text", text_BD), ("embed_image", image_BD)):
            embedded_BD = getattr(own, embed)(feature_BD)
            assert embedded_BD.shape == (2, 6)
            assert torch.equal(embedded_BD, getattr(expected, embed)(feature_BD))
            torch.testing.assert_close(embedded_BD.norm(dim=-1), torch.ones(2))


@pytest.mark.parametrize("normalise", ["l2", "standardise"])
def test_save_and_load(tmp_path: Path, normalise: Any) -> None:
    widths = {"vit": 4, "res": 6, "mini": 3, "bert": 5}
    torch.manual_seed(0)
    normaliser = {slug: Normaliser.fit(normalise, torch.randn(9, width)) for slug, width in widths.items()}
    stitches = {
        f"{i}-{t}": stitch(ConnectorSpec("mlp1", widths[t], widths[i], 8), n, normaliser[i], normaliser[t])
        for n, (i, t) in enumerate([("vit", "mini"), ("vit", "bert"), ("res", "mini")])
    }
    stitches["vit-mini"].connector["weight0"] = nn.Parameter(torch.randn(3, 8).T)  # no plain tensor, a view
    save(tmp_path / "a.safetensors", stitches)
    found = load(tmp_path / "a.safetensors")
    assert found.keys() == stitches.keys()
    for pair, own in found.items():
        expected = stitches[pair]
        assert own.spec == expected.spec
        assert own.connector.keys() == expected.connector.keys()
        assert all(torch.equal(own.connector[name], weight) for name, weight in expected.connector.items())
        text_BD, image_BD = torch.randn(2, own.spec.d_text), torch.randn(2, own.spec.d_image)
        torch.testing.assert_close(own.embed_text(text_BD), expected.embed_text(text_BD))
        torch.testing.assert_close(own.embed_image(image_BD), expected.embed_image(image_BD))
        assert own.image_connector is None
        assert own.embed_image(image_BD).shape == own.embed_text(text_BD).shape == (2, own.spec.d_image)
    # Statistics are held once an encoder.
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        statistics = 0 if normalise == "l2" else 2 * len(widths)
        assert len(list(file.keys())) == 3 * 4 + statistics


def test_equal_connectors_give_equal_bytes(tmp_path: Path) -> None:
    """Or DVC runs again what depends on them; safetensors' metadata is a hash map of random order."""
    l2 = Normaliser("l2")
    stitches = {f"vit-{t}": stitch(ConnectorSpec("linear", 3, 2), 0, l2, l2) for t in ("bert", "mini")}
    files = [tmp_path / f"{number}.safetensors" for number in range(12)]
    for number, file in enumerate(files):
        save(file, dict(reversed(stitches.items())) if number % 2 else stitches)
    assert len({file.read_bytes() for file in files}) == 1


@pytest.mark.parametrize("damage", ["missing", "empty", "half", "text", "foreign"])
def test_damaged_file(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "pairs.safetensors"
    if damage == "foreign":
        save_file({"weight0": torch.zeros(2)}, path)
    elif damage != "missing":
        l2 = Normaliser("l2")
        save(path, {"vit-bert": stitch(ConnectorSpec("linear", 3, 2), 0, l2, l2)})
        content = path.read_bytes()
        path.write_bytes({"empty": b"", "half": content[: len(content) // 2], "text": b"hello"}[damage])
    with pytest.raises(HymaError, match=re.escape(str(path))):
        load(path)

"""FLOPs: the sums held against torch's own counter on real training steps, published figures, hand counts."""

from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from hyma import flops
from hyma.connectors import Connector, ConnectorSpec, forward, initialise
from hyma.hypernetwork import FactorisedHypernetwork, Hypernetwork, PairName, build
from hyma.losses import info_nce
from hyma.search.training import sample_batches

KINDS = ["linear", "mlp1", "mlp2"]
both = pytest.mark.parametrize("decoder", ["dense", "factorised"])
kinds = pytest.mark.parametrize("kind", KINDS)


def specs_of(kind: Any, images: dict[str, int], texts: dict[str, int]) -> dict[PairName, ConnectorSpec]:
    return {(i, t): ConnectorSpec(kind, texts[t], images[i], 6) for i, t in product(images, texts)}


def unequal(kind: Any) -> dict[PairName, ConnectorSpec]:
    return specs_of(kind, {"vit": 5, "res": 8, "eff": 3}, {"mini": 4, "bert": 9})


def network_of(decoder: str, specs: dict[PairName, ConnectorSpec]) -> Hypernetwork:
    torch.manual_seed(0)
    return build(decoder, specs, 7, [10, 11])


def parameters_of(spec: ConnectorSpec) -> Connector:
    drawn = initialise(spec, torch.Generator().manual_seed(0))
    return {name: weight.requires_grad_() for name, weight in drawn.items()}


def features(spec: ConnectorSpec, batch: int) -> tuple[Tensor, Tensor]:
    """A batch of frozen features: texts, and images of unit length."""
    return torch.randn(batch, spec.d_text), functional.normalize(torch.randn(batch, spec.d_image), dim=-1)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(KINDS), st.tuples(*[st.integers(1, 12)] * 3), st.integers(2, 9))
def test_one_product_is_what_our_step_does(kind: Any, widths: tuple[int, int, int], batch: int) -> None:
    spec = ConnectorSpec(kind, *widths)
    connector = parameters_of(spec)
    text_BD, image_BD = features(spec, batch)
    with FlopCounterMode(display=False) as forward_pass:
        output_BD = forward(connector, text_BD)
    with FlopCounterMode(display=False) as contrast:
        loss, _ = info_nce(output_BD, image_BD, 100)
    with FlopCounterMode(display=False) as backward_pass:
        loss.backward()
    parts = flops.pair_step(spec, batch)
    assert parts["connector forward"] == forward_pass.get_total_flops()
    assert parts["InfoNCE"] == 2 * contrast.get_total_flops()
    backward = parts["connector backward"] + parts["InfoNCE"] / 2
    assert backward == backward_pass.get_total_flops()
    assert (parts["hypernetwork"], parts["optimizer"]) == (0, 0)


@kinds
def test_two_products_are_what_cross_entropy_twice_does(kind: Any) -> None:
    spec = ConnectorSpec(kind, 4, 6, 5)
    connector = parameters_of(spec)
    text_BD, image_BD = features(spec, 7)
    with FlopCounterMode(display=False) as counter:
        output_BD = functional.normalize(forward(connector, text_BD), dim=-1)
        right = torch.arange(7)
        loss = functional.cross_entropy(output_BD @ image_BD.T, right)
        loss = loss + functional.cross_entropy(image_BD @ output_BD.T, right)
        loss.backward()
    assert sum(flops.pair_step(spec, 7, logit_products=2).values()) == counter.get_total_flops()


@pytest.mark.parametrize(("d_image", "published"), [(384, 843.96), (768, 1687.92), (1024, 2250.56)])
def test_published_grid_step(d_image: int, published: float) -> None:
    """A step on one pair at batch 16,384, 768-wide texts, a linear connector; both logit products counted."""
    step = flops.pair_step(ConnectorSpec("linear", 768, d_image), 16384, logit_products=2)
    assert round(sum(step.values()) / 1e9, 2) == published


@both
@kinds
def test_prediction_is_what_the_hypernetwork_does(decoder: str, kind: str) -> None:
    specs = unequal(kind)
    network = network_of(decoder, specs)
    with FlopCounterMode(display=False) as counter:
        for number in range(len(specs)):
            (connector,) = network(torch.tensor([number]))
            sum(weight.square().sum() for weight in connector.values()).backward()
    expected = counter.get_total_flops() / len(specs)
    assert flops.hypernetwork_prediction(network, specs) == pytest.approx(expected)


@both
@kinds
def test_search_is_what_a_step_on_every_pair_does(decoder: str, kind: str) -> None:
    specs, batch = unequal(kind), 5
    network = network_of(decoder, specs)
    data = [features(spec, batch) for spec in specs.values()]
    with FlopCounterMode(display=False) as counter:
        predicted = network(torch.arange(len(specs)))
        losses = [
            info_nce(forward(connector, text_BD), image_BD, 100)[0]
            for connector, (text_BD, image_BD) in zip(predicted, data, strict=True)
        ]
        torch.stack(losses).mean().backward()
    parts = flops.hypernetwork_search(network, specs, batch, steps=1, bm=len(specs))
    size = sum(parameter.numel() for parameter in network.parameters())
    assert parts["optimizer"] == 14 * size
    assert sum(parts.values()) - parts["optimizer"] == pytest.approx(counter.get_total_flops())
    # A third as many pairs a step and six times as many steps: twice the work, all but the optimizer's.
    other = flops.hypernetwork_search(network, specs, batch, steps=6, bm=2)
    for part in ("connector forward", "connector backward", "InfoNCE", "hypernetwork"):
        assert other[part] == pytest.approx(2 * parts[part])


@kinds
def test_optimizer_of_the_factorised_decoder_leaves_idle_factors_out(kind: str) -> None:
    """One pair a step: what has a gradient is updated, and nothing else."""
    specs = unequal(kind)
    network = network_of("factorised", specs)
    assert isinstance(network, FactorisedHypernetwork)
    updated = 0
    for number in range(len(specs)):
        network.zero_grad(set_to_none=True)
        sum(weight.sum() for weight in network(torch.tensor([number]))[0].values()).backward()
        updated += sum(own.numel() for own in network.parameters() if own.grad is not None)
    found = flops.hypernetwork_search(network, specs, 4, steps=len(specs), bm=1)["optimizer"]
    assert found == pytest.approx(14 * updated, abs=7 * len(specs))  # rounded to parameters a step


EACH = {"mul_": 1, "lerp_": 3, "addcmul_": 3, "sqrt": 1, "div": 1, "add_": 1, "addcdiv_": 3}


class _Elementwise(TorchDispatchMode):
    """Counts elementwise operations on tensors of more than one value."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.numel() > 1:
            self.total += EACH[func.overloadpacket.__name__] * result.numel()
        return result


def test_optimizer_constant_is_what_adamw_does() -> None:
    """Decay 1; moments 3 + 4; root, bias correction, ε 3; ratio, step length, update 3."""
    assert 1 + (3 + 4) + 3 + 3 == 14
    parameter = nn.Parameter(torch.ones(5))
    optimizer = torch.optim.AdamW([parameter], lr=0.1, weight_decay=0.1, foreach=False, fused=False)
    parameter.grad = torch.ones(5)
    optimizer.step()  # makes the moments
    with _Elementwise() as counter:
        optimizer.step()
    assert flops.optimizer(5) == counter.total == 70


def test_grid_by_hand() -> None:
    specs = specs_of("linear", {"vit": 3, "res": 1}, {"mini": 2})
    # vit: forward and backward 2·4·3·2 each, InfoNCE 2·2·4²·3, optimizer 14·(6 + 3); res: a third, 14·(2 + 1).
    assert flops.grid(specs, batch=4, steps=5) == {
        "connector forward": 5 * (48 + 16),
        "connector backward": 5 * (48 + 16),
        "InfoNCE": 5 * (192 + 64),
        "hypernetwork": 0,
        "optimizer": 5 * (126 + 42),
    }


@pytest.mark.parametrize(
    ("samples", "batch", "epochs", "expected"),
    [(100, 32, 2, 6), (96, 32, 2, 6), (95, 32, 2, 4), (10, 64, 3, 3), (64, 64, 1, 1), (9500, 512, 10, 180)],
)
def test_steps(samples: int, batch: int, epochs: int, expected: int) -> None:
    assert flops.steps(samples, batch, epochs) == expected
    assert len(list(sample_batches(samples, batch, epochs, torch.Generator()))) == expected

"""FLOPs: the sums held against torch's own counter on real training steps, published figures, hand counts."""

from itertools import combinations, product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from hyma.common.names import PairName
from hyma.search import flops as network_flops
from hyma.search.network import DenseHypernetwork
from hyma.stitching import flops
from hyma.stitching.connectors import Connector, ConnectorSpec, forward, initialise
from hyma.stitching.losses import info_nce
from hyma.stitching.schedule import pair_batches, sample_batches
from tests.test_hypernetwork import IMAGES, TEXTS, Factorised

KINDS = ["linear", "mlp1", "mlp2"]
kinds = pytest.mark.parametrize("kind", KINDS)
sides = pytest.mark.parametrize("two_sided", [False, True])


def specs_of(kind: Any, images: dict[str, int], texts: dict[str, int]) -> dict[PairName, ConnectorSpec]:
    return {(i, t): ConnectorSpec(kind, texts[t], images[i], 6) for i, t in product(images, texts)}


def unequal(kind: Any) -> dict[PairName, ConnectorSpec]:
    return specs_of(kind, IMAGES, TEXTS)


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


@kinds
def test_dense_search_is_what_a_step_on_every_pair_does(kind: str) -> None:
    specs, batch = unequal(kind), 5
    network = DenseHypernetwork(specs, 7, [10, 11])
    data = [features(spec, batch) for spec in specs.values()]
    with FlopCounterMode(display=False) as counter:
        predicted = network(torch.arange(len(specs)))
        losses = [
            info_nce(forward(connector, text_BD), image_BD, 100)[0]
            for connector, (text_BD, image_BD) in zip(predicted, data, strict=True)
        ]
        torch.stack(losses).mean().backward()
    with FlopCounterMode(display=False) as writing, torch.no_grad():
        for number in range(len(specs)):
            network(torch.tensor([number]))
    written = writing.get_total_flops()
    parts = network_flops.dense_search(network, specs, batch, steps=1, bm=len(specs))
    assert network_flops.dense_search(network, specs, batch, steps=0, bm=2)["hypernetwork"] == pytest.approx(
        written
    )
    size = sum(parameter.numel() for parameter in network.parameters())
    assert parts["optimizer"] == 14 * size
    found = sum(parts.values()) - parts["optimizer"] - written
    assert found == pytest.approx(counter.get_total_flops())
    # A third as many pairs a step and six times as many steps: twice the work, all but the optimizer's.
    other = network_flops.dense_search(network, specs, batch, steps=6, bm=2)
    for part in ("connector forward", "connector backward", "InfoNCE"):
        assert other[part] == pytest.approx(2 * parts[part])
    assert other["hypernetwork"] - written == pytest.approx(2 * (parts["hypernetwork"] - written))
    assert other["optimizer"] == 6 * parts["optimizer"]


def counted(made: Factorised, numbers: list[int], batch: int) -> float:
    """Products of one step on these pairs, by torch's counter."""
    images, texts = ([own[:batch] for own in side] for side in made.inputs)
    made.network.zero_grad(set_to_none=True)
    with FlopCounterMode(display=False) as counter:
        made.network.contrast(images, texts, torch.tensor(numbers), 20)[0].mean().backward()
    return float(counter.get_total_flops())


def written_out(made: Factorised) -> float:
    """Products of writing all connectors out, by hand."""
    by_hand = 0.0
    for (image, text), spec in made.specs.items():
        d_image, d_text, k = IMAGES[image], TEXTS[text], made.network.text_bias.shape[1]
        units = made.network.branch_bias.shape[1]
        by_hand += 2 * d_text * d_text * (k + units) + 2 * d_image * d_image * k  # all components are kept
        by_hand += 2 * (k if spec.shared else d_image) * k * (d_text if spec.kind == "linear" else units)
    return by_hand


@kinds
@sides
@pytest.mark.parametrize(
    "numbers", [[0, 1, 2, 3, 4, 5], [0, 3, 4], [1, 2, 5]], ids=["all", "half", "other half"]
)
def test_factorised_step_is_what_torch_does(kind: str, two_sided: bool, numbers: list[int]) -> None:
    """In each of these draws every encoder is in use, as in `factorised_training` if all pairs are drawn."""
    made, batch = Factorised(kind, two_sided), 7
    everything = network_flops.factorised_training(made.network, batch, 1, 6, 6)
    a_pair = everything["InfoNCE"] / 6
    expected = everything["hypernetwork"] - written_out(made) + a_pair * len(numbers)
    assert expected == pytest.approx(counted(made, numbers, batch))
    updated = sum(own.numel() for own in made.network.parameters() if own.grad is not None)
    assert everything["optimizer"] == 14 * updated


@kinds
@sides
@pytest.mark.parametrize("bm", [1, 2, 3, 5])
def test_factorised_training_is_the_mean_over_all_draws(kind: str, two_sided: bool, bm: int) -> None:
    """Idle encoders are neither computed nor updated; every draw of `bm` pairs is as likely as another."""
    made, batch = Factorised(kind, two_sided), 4
    draws, updated = [], []
    for numbers in combinations(range(6), bm):
        draws.append(counted(made, list(numbers), batch))
        updated.append(sum(own.numel() for own in made.network.parameters() if own.grad is not None))
    found = network_flops.factorised_training(made.network, batch, 10, bm, 6)
    products = found["hypernetwork"] - written_out(made) + found["InfoNCE"]
    assert products == pytest.approx(10 * sum(draws) / len(draws))
    # The size is rounded to whole parameters.
    assert found["optimizer"] == pytest.approx(10 * 14 * sum(updated) / len(updated), abs=10 * 14 * 0.51)


@kinds
@sides
def test_writing_out_is_what_torch_does(kind: str, two_sided: bool) -> None:
    made = Factorised(kind, two_sided)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for number in range(6):
            made.network(torch.tensor([number]))
            made.network.image_connector(number // 2)
    found = network_flops.factorised_training(made.network, 4, 0, 1, 6)
    assert found == {"hypernetwork": counter.get_total_flops(), "InfoNCE": 0, "optimizer": 0}
    assert written_out(made) == counter.get_total_flops()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_in_use_by_enumeration(images: int, texts: int, data: st.DataObject) -> None:
    pairs = list(product(range(images), range(texts)))
    bm = data.draw(st.integers(1, len(pairs)))
    draws = list(combinations(pairs, bm))
    for side, count in ((0, images), (1, texts)):
        found = network_flops._in_use(len(pairs), bm, count)
        shares = [len({pair[side] for pair in draw}) / count for draw in draws]
        assert found == pytest.approx(sum(shares) / len(shares))
    assert network_flops._in_use(len(pairs), len(pairs), images) == 1


def test_in_use_is_what_the_draws_of_training_give() -> None:
    batches = pair_batches(6, 2, torch.Generator().manual_seed(0))
    used = [len({number // 2 for number in next(batches).tolist()}) / 3 for _ in range(3000)]
    # Of the 15 draws of two pairs 3 hold one image encoder twice: (3·1/3 + 12·2/3) / 15 = 0.6.
    assert network_flops._in_use(6, 2, 3) == pytest.approx(0.6)
    assert sum(used) / 3000 == pytest.approx(0.6, abs=0.01)


@sides
def test_factorised_start_by_hand(two_sided: bool) -> None:
    """60 samples of 100 images and 200 texts, 3 components kept."""
    made = Factorised("mlp1", two_sided, components=3)
    # Covariance 2·60·D² and its eigenvectors 9·D³ each; components of the samples, then of all rows.
    fitted = sum(2 * 60 * d**2 + 9 * d**3 for d in (5, 8, 3, 4, 9))
    rows = sum(2 * (60 + count) * d * 3 for d, count in ((5, 100), (8, 100), (3, 100), (4, 200), (9, 200)))
    # 6 text components with 9 of images: 2·60·6·9; its square 2·6²·9; eigenvectors 9·6³; images' side 2·6·9·K.
    shared = 2 * 60 * 6 * 9 + 2 * 36 * 9 + 9 * 216 + 2 * 6 * 9 * 4
    assert network_flops.factorised_start(made.network, 60, 100, 200) == {
        "closed form": fitted + rows + shared
    }


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

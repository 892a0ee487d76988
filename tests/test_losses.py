"""InfoNCE: held against cross-entropy along both directions, and against values worked out by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from hyma.stitching import losses
from hyma.stitching.losses import blockwise, contrast, contrast_logits, info_nce


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 7), st.floats(0.1, 100), st.integers(0, 999))
def test_is_cross_entropy_in_both_directions(batch: int, width: int, scale: float, seed: int) -> None:
    torch.manual_seed(seed)
    image_BD = functional.normalize(torch.randn(batch, width, dtype=torch.double), dim=-1)
    text_BD = (3 * torch.randn(batch, width, dtype=torch.double)).requires_grad_()
    twin_BD = text_BD.detach().clone().requires_grad_()

    cosine_BB = torch.stack([functional.cosine_similarity(row, image_BD, dim=-1) for row in twin_BD])
    right = torch.arange(batch)
    to_image = functional.cross_entropy(scale * cosine_BB, right)
    to_text = functional.cross_entropy(scale * cosine_BB.T, right)
    expected = (to_image + to_text) / 2

    loss, accuracy = info_nce(text_BD, image_BD, scale)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(text_BD.grad, twin_BD.grad)
    if width > 1:
        hits = [int(torch.argmax(row)) == number for number, row in enumerate(cosine_BB)]
        assert accuracy.item() == pytest.approx(sum(hits) / batch)


@pytest.mark.parametrize(
    ("text", "scale", "loss", "accuracy"),
    [
        # Logits [[ln 3, 0], [0, ln 3]]: every softmax gives its own 3/4; swapped, 1/4.
        ([[1, 0], [0, 1]], math.log(3), math.log(4 / 3), 1),
        ([[0, 1], [1, 0]], math.log(3), math.log(4), 0),
        # Both texts e0. Rows: 3/4 and 1/4; columns: 1/2 and 1/2.
        ([[1, 0], [1, 0]], math.log(3), (math.log(4 / 3) + math.log(4) + 2 * math.log(2)) / 4, 0.5),
        # Logits ± 10,000 do not overflow.
        ([[0, 1], [1, 0]], 1e4, 1e4, 0),
        ([[1, 0], [0, 1]], 1e4, 0, 1),
    ],
)
def test_by_hand(text: list, scale: float, loss: float, accuracy: float) -> None:
    for length in (1.0, 7.0):  # the outputs' length plays no part
        found = info_nce(length * torch.tensor(text, dtype=torch.float), torch.eye(2), scale)
        assert [value.item() for value in found] == pytest.approx([loss, accuracy], abs=1e-6)


def test_gradient_goes_to_the_text_alone() -> None:
    torch.manual_seed(0)
    image_BD = functional.normalize(torch.randn(5, 3), dim=-1)
    text_BD = torch.randn(5, 3, requires_grad=True)
    loss, accuracy = info_nce(text_BD, image_BD, 10)
    assert not accuracy.requires_grad
    loss.backward()
    assert text_BD.grad is not None
    # Only the direction matters, so that the gradient is at a right angle to every text.
    assert (text_BD.grad * text_BD).sum(-1).abs().max() < 1e-5
    assert text_BD.grad.norm(dim=-1).min() > 1e-3


def test_dead_outputs_are_not_accurate() -> None:
    """A connector that gives zeros tells nothing apart: one of five is as good as it can get."""
    image_BD = functional.normalize(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    loss, accuracy = info_nce(torch.zeros(5, 3), image_BD, 100)
    assert loss.item() == pytest.approx(math.log(5))
    assert accuracy <= 0.2


def test_many_matrices_of_logits_at_once() -> None:
    """Each of a stack of matrices is what it is alone, in value and gradient."""
    torch.manual_seed(0)
    logits_PQBB = (4 * torch.randn(3, 2, 5, 5)).requires_grad_()
    losses_PQ, accuracies_PQ = contrast_logits(logits_PQBB)
    assert losses_PQ.shape == accuracies_PQ.shape == (3, 2)
    losses_PQ.sum().backward()
    assert logits_PQBB.grad is not None
    right = torch.arange(5)
    for place in ((p, q) for p in range(3) for q in range(2)):
        logits_BB = logits_PQBB[place].detach().clone().requires_grad_()
        ways = functional.cross_entropy(logits_BB, right), functional.cross_entropy(logits_BB.T, right)
        expected = sum(ways) / 2
        expected.backward()
        torch.testing.assert_close(losses_PQ[place], expected)
        torch.testing.assert_close(logits_PQBB.grad[place], logits_BB.grad)
        rows = logits_BB.argmax(1).tolist()  # rows, not columns, are what finds its match
        hits = sum(found == number for number, found in enumerate(rows))
        assert accuracies_PQ[place].item() == pytest.approx(hits / 5)
    assert not accuracies_PQ.requires_grad


def test_logits_by_hand() -> None:
    # Row 0 prefers column 1; column 0 is shared evenly: accuracy counts rows alone.
    logits_BB = torch.tensor([[0.0, math.log(3)], [0.0, math.log(3)]])
    loss, accuracy = contrast_logits(logits_BB)
    # Rows: -ln 1/4 and -ln 3/4; columns: ln 2 twice.
    assert loss.item() == pytest.approx((math.log(4) + math.log(4 / 3) + 2 * math.log(2)) / 4)
    assert accuracy.item() == 0.5


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 9),
    st.integers(1, 45),
    st.sampled_from([0.1, 10, 100]),
    st.integers(0, 99),
)
def test_blocks_give_the_loss_and_gradient_of_the_whole(
    batch: int, width: int, block: int, scale: float, seed: int
) -> None:
    torch.manual_seed(seed)
    sides = [
        scale * torch.randn(batch, width, dtype=torch.double),
        torch.randn(batch, width, dtype=torch.double),
    ]
    found = []
    for loss_of in (lambda row_BD, column_BD: blockwise(row_BD, column_BD, block), whole):
        own = [side.clone().requires_grad_() for side in sides]
        loss, accuracy = loss_of(*own)
        (3 * loss).backward()
        assert not accuracy.requires_grad
        found.append((loss.detach(), accuracy.double(), *(side.grad for side in own)))
    for blocks, all_at_once in zip(*found, strict=True):
        torch.testing.assert_close(blocks, all_at_once, rtol=1e-9, atol=1e-9)


def whole(row_BD: Tensor, column_BD: Tensor) -> tuple[Tensor, Tensor]:
    return contrast_logits(row_BD @ column_BD.T)


@pytest.mark.parametrize("scale", [20, 100])
def test_blocks_in_single_precision(scale: float) -> None:
    """To 1e-5 of the naive loss and of its gradient's size, as training computes it."""
    torch.manual_seed(0)
    column_BD = functional.normalize(torch.randn(700, 64), dim=-1)
    row_BD = scale * functional.normalize(column_BD + 0.2 * torch.randn(700, 64), dim=-1)
    found = []
    for loss_of in (lambda *sides: blockwise(*sides, 256), whole):
        own = row_BD.clone().requires_grad_()
        loss, accuracy = loss_of(own, column_BD)
        loss.backward()
        assert own.grad is not None
        found.append((loss.item(), accuracy.item(), own.grad))
    (loss, accuracy, grad_BD), (expected, share, wanted_BD) = found
    assert loss == pytest.approx(expected, rel=1e-5)
    assert accuracy == pytest.approx(share)
    assert (grad_BD - wanted_BD).norm() <= 1e-5 * wanted_BD.norm()
    assert column_BD.grad is None  # frozen features get none


def test_logits_far_below_zero_do_not_vanish() -> None:
    """exp(-200) is 0 in float32: sums are relative to the largest logit of a row or column."""
    row_BD, column_BD = torch.tensor([[-100.0, 0], [-100.0, 1]]), torch.tensor([[2.0, 0], [2.0, 1]])
    for block in (1, 2):
        assert blockwise(row_BD, column_BD, block)[0].item() == pytest.approx(
            whole(row_BD, column_BD)[0].item()
        )


def test_a_large_batch_goes_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    text_PBD, image_PBD = torch.randn(3, 20, 5), functional.normalize(torch.randn(3, 20, 5), dim=-1)
    expected = info_nce(text_PBD, image_PBD, 10)
    monkeypatch.setattr(losses, "WHOLE", 19)
    monkeypatch.setattr(losses, "contrast_logits", None)
    for found, wanted in zip(info_nce(text_PBD, image_PBD, 10), expected, strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("limit", [losses.WHOLE, 10])
def test_the_loss_is_in_single_precision(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half precision would round logits of a hundred to halves."""
    torch.manual_seed(0)
    monkeypatch.setattr(losses, "WHOLE", limit)
    row_BD, column_BD = (torch.randn(20, 5).bfloat16() for _ in range(2))
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = contrast(10 * row_BD, column_BD)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, whole((10 * row_BD).float(), column_BD.float())[0])


IMAGE, WORDING = torch.tensor([0, 1, 0, 2, 3, 4]), torch.tensor([5, 6, 7, 8, 6, 9])
"""Of six rows: the first and the third show one picture, the second and the fifth have one caption."""
NO_NEGATIVES = {(0, 2), (2, 0), (1, 4), (4, 1)}


def masked_by_hand(logits_BB: Tensor) -> Tensor:
    """The loss with those logits taken out of both sums, term by term."""
    count = len(logits_BB)
    kept = [[(i, j) not in NO_NEGATIVES for j in range(count)] for i in range(count)]
    terms = []
    for i in range(count):
        row = torch.stack([logits_BB[i, j] for j in range(count) if kept[i][j]])
        column = torch.stack([logits_BB[j, i] for j in range(count) if kept[j][i]])
        terms.append((row.logsumexp(0) + column.logsumexp(0)) / 2 - logits_BB[i, i])
    return torch.stack(terms).mean()


@pytest.mark.parametrize("block", [None, 1, 2, 4, 6, 100])
def test_rows_of_one_picture_or_caption_are_no_negatives(block: int | None) -> None:
    torch.manual_seed(3)
    row_BD = (4 * torch.randn(6, 3, dtype=torch.double)).requires_grad_()
    column_BD = torch.randn(6, 3, dtype=torch.double, requires_grad=True)
    alike = losses.Alike(IMAGE, WORDING)
    logits_BB = row_BD @ column_BD.T
    expected = masked_by_hand(logits_BB)
    grads = torch.autograd.grad(expected, (row_BD, column_BD), retain_graph=True)
    loss, accuracy = (
        contrast_logits(logits_BB, alike) if block is None else blockwise(row_BD, column_BD, block, alike)
    )
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, (row_BD, column_BD)), grads)
    hidden = logits_BB.detach().clone()
    for place in NO_NEGATIVES:
        hidden[place] = -torch.inf
    assert accuracy.item() == pytest.approx((hidden.argmax(1) == torch.arange(6)).double().mean().item())


def test_where_all_rows_are_alike_nothing_is_to_be_told_apart() -> None:
    same = torch.zeros(300, dtype=torch.long)
    row_BD = torch.randn(300, 4)
    for loss, _ in (
        info_nce(row_BD, functional.normalize(row_BD, dim=-1), 50, losses.Alike(same, same)),
        blockwise(row_BD, row_BD, 64, losses.Alike(same, same)),
    ):
        assert loss.item() == pytest.approx(0, abs=1e-5)

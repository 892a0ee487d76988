"""The contrastive loss that connectors are trained with.

InfoNCE needs every cosine between the two sides of a batch. Up to `WHOLE` samples these B×B logits are computed
at once; above, in blocks of rows that are computed again for the gradient and never held together, so that
memory grows with B and not with its square.
Letters: B samples of a batch, b rows of a block, D a width, P any number of leading dimensions (pairs).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

WHOLE = 4096
"""Largest batch whose logits are held whole: 64 MiB."""
BLOCK = 256
"""Rows of logits held at once in a larger batch."""
NO_NEGATIVE = -1e30
"""The logit of what is no negative: its exponential is 0."""


class Alike(NamedTuple):
    """What says which rows of a batch are no negatives of each other: those of one picture, or of one caption."""

    image_B: Tensor
    """A number for each row's picture."""
    wording_B: Tensor
    """And for its caption's wording."""

    def mask(self, start: int, stop: int) -> Tensor:
        """Which rows [b] of a block are no negatives of which columns [B], bool [b, B]; matching ones are none."""
        rows = slice(start, stop)
        mask_bB = (self.image_B[rows, None] == self.image_B) | (self.wording_B[rows, None] == self.wording_B)
        mask_bB.diagonal(start).fill_(False)
        return mask_bB


def info_nce(
    text_PBD: Tensor, image_PBD: Tensor, scale: float, alike: Alike | None = None
) -> tuple[Tensor, Tensor]:
    """Return the symmetric InfoNCE loss and the text → image accuracy within the batch, of each pair.

    Args:
        text_PBD: connector outputs, any length; normalised here.
        image_PBD: image features, already of unit length (they are frozen: normalise them once).
        scale: what cosines are multiplied by (100 is a temperature of 0.01).
        alike: rows that are no negatives of each other; None: all are.

    Returns:
        Two tensors [P], scalars for one pair; the accuracy carries no gradient.
    """
    return contrast(scale * functional.normalize(text_PBD, dim=-1), image_PBD, alike)


def contrast(row_PBD: Tensor, column_PBD: Tensor, alike: Alike | None = None) -> tuple[Tensor, Tensor]:
    """Return the symmetric InfoNCE loss and the row → column accuracy of each pair, from the logits' two factors.

    Matching items share a row number. In float32 whatever autocast says: logits of a hundred need more digits
    than half precision has.

    Args:
        row_PBD: one side, with the scale in it.
        column_PBD: the other side.
        alike: rows that are no negatives of each other; None: all are.
    """
    row_PBD, column_PBD = _at_least_single(row_PBD), _at_least_single(column_PBD)
    with torch.autocast(row_PBD.device.type, enabled=False):
        if row_PBD.shape[-2] <= WHOLE:
            return contrast_logits(row_PBD @ column_PBD.mT, alike)
        pairs = [
            blockwise(*sides, alike=alike) for sides in zip(_flat(row_PBD), _flat(column_PBD), strict=True)
        ]
        losses, accuracies = (torch.stack(values) for values in zip(*pairs, strict=True))
        leading = row_PBD.shape[:-2]
        return losses.reshape(leading), accuracies.reshape(leading)


def contrast_logits(logits_PBB: Tensor, alike: Alike | None = None) -> tuple[Tensor, Tensor]:
    """Return the symmetric InfoNCE loss and the row → column accuracy of each B×B matrix of logits.

    Any number of leading dimensions; matching items lie on the diagonal.
    """
    if alike is not None:
        logits_PBB = logits_PBB.masked_fill(alike.mask(0, logits_PBB.shape[-1]), NO_NEGATIVE)
    matching_PB = logits_PBB.diagonal(dim1=-2, dim2=-1)
    both_PB = (torch.logsumexp(logits_PBB, -1) + torch.logsumexp(logits_PBB, -2)) / 2
    with torch.no_grad():
        own_B = torch.arange(logits_PBB.shape[-1], device=logits_PBB.device)
        accuracy_P = (logits_PBB.argmax(-1) == own_B).float().mean(-1)
    return (both_PB - matching_PB).mean(-1), accuracy_P


def blockwise(
    row_BD: Tensor, column_BD: Tensor, block: int = BLOCK, alike: Alike | None = None
) -> tuple[Tensor, Tensor]:
    """As `contrast_logits` on ``row_BD @ column_BD.T``, with `block` rows of logits in memory at a time."""
    return _Blockwise.apply(row_BD, column_BD, block, alike)


class _Blockwise(torch.autograd.Function):
    """Keeps the logarithms of both directions' sums; with them each block's gradient is known from its logits."""

    @staticmethod
    def forward(
        ctx: Any, row_BD: Tensor, column_BD: Tensor, block: int, alike: Alike | None
    ) -> tuple[Tensor, Tensor]:
        count = len(row_BD)
        row_sum_B, matching_B = row_BD.new_empty(count), row_BD.new_empty(count)
        hits = torch.zeros((), dtype=torch.long, device=row_BD.device)
        column = _ColumnSums(column_BD)
        for start in range(0, count, block):
            rows = slice(start, start + block)
            logits_bB = _block(row_BD, column_BD, rows, alike)
            own_b = torch.arange(start, start + len(logits_bB), device=row_BD.device)
            matching_B[rows] = logits_bB.gather(1, own_b[:, None])[:, 0]
            hits += (logits_bB.argmax(1) == own_b).sum()
            row_sum_B[rows] = torch.logsumexp(logits_bB, 1)
            column.add(logits_bB)
        column_sum_B = column.log()
        ctx.save_for_backward(row_BD, column_BD, row_sum_B, column_sum_B)
        ctx.block, ctx.alike = block, alike
        accuracy = hits.float() / count
        ctx.mark_non_differentiable(accuracy)
        return ((row_sum_B + column_sum_B) / 2 - matching_B).mean(), accuracy

    @staticmethod
    def backward(ctx: Any, loss_grad: Tensor, _: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        row_BD, column_BD, row_sum_B, column_sum_B = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:2]
        row_grad_BD, column_grad_BD = (
            torch.zeros_like(side) if want else None
            for side, want in zip((row_BD, column_BD), wanted, strict=True)
        )
        share = loss_grad / (2 * len(row_BD))
        for start in range(0, len(row_BD), ctx.block):
            rows = slice(start, start + ctx.block)
            logits_bB = _block(row_BD, column_BD, rows, ctx.alike)
            grad_bB = (logits_bB - row_sum_B[rows, None]).exp_()
            grad_bB += logits_bB.sub_(column_sum_B).exp_()
            grad_bB.diagonal(start).sub_(2)  # the matching logits
            grad_bB *= share
            if row_grad_BD is not None:
                row_grad_BD[rows] = grad_bB @ column_BD
            if column_grad_BD is not None:
                column_grad_BD.addmm_(grad_bB.T, row_BD[rows])
        return row_grad_BD, column_grad_BD, None, None


def _block(row_BD: Tensor, column_BD: Tensor, rows: slice, alike: Alike | None) -> Tensor:
    """Rows of the logits [b, B]."""
    logits_bB = row_BD[rows] @ column_BD.T
    if alike is not None:
        logits_bB.masked_fill_(alike.mask(rows.start, rows.stop), NO_NEGATIVE)
    return logits_bB


class _ColumnSums:
    """The sum of exponentials down each column, block after block, relative to the largest logit so far."""

    def __init__(self, column_BD: Tensor):
        self.largest_B = column_BD.new_full((len(column_BD),), -torch.inf)
        self.sum_B = column_BD.new_zeros(len(column_BD))

    def add(self, logits_bB: Tensor) -> None:
        """Take in a block; its values are overwritten."""
        largest_B = torch.maximum(self.largest_B, logits_bB.amax(0))
        self.sum_B *= (self.largest_B - largest_B).exp()
        self.sum_B += logits_bB.sub_(largest_B).exp_().sum(0)
        self.largest_B = largest_B

    def log(self) -> Tensor:
        return self.sum_B.log() + self.largest_B


def _at_least_single(side_PBD: Tensor) -> Tensor:
    return side_PBD.float() if side_PBD.dtype.itemsize < 4 else side_PBD


def _flat(side_PBD: Tensor) -> Tensor:
    return side_PBD.reshape(-1, *side_PBD.shape[-2:])

"""The contrastive loss that connectors are trained with."""

import torch
from torch import Tensor
from torch.nn import functional


def info_nce(text_BD: Tensor, image_BD: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Return the symmetric InfoNCE loss and the text → image accuracy within the batch.

    The B×B logits are computed once and read along both directions.

    Args:
        text_BD: connector outputs, any length; normalised here.
        image_BD: image features, already of unit length (they are frozen: normalise them once).
        scale: what cosines are multiplied by (100 is a temperature of 0.01).

    Returns:
        Two scalars; the accuracy carries no gradient.
    """
    losses, accuracies = contrast_logits(scale * functional.normalize(text_BD, dim=-1) @ image_BD.T)
    return losses, accuracies


def contrast_logits(logits_PBB: Tensor) -> tuple[Tensor, Tensor]:
    """Return the symmetric InfoNCE loss and the row → column accuracy of each B×B matrix of logits.

    Any number of leading dimensions; matching items lie on the diagonal.
    """
    matching_PB = logits_PBB.diagonal(dim1=-2, dim2=-1)
    both_PB = (torch.logsumexp(logits_PBB, -1) + torch.logsumexp(logits_PBB, -2)) / 2
    with torch.no_grad():
        own_B = torch.arange(logits_PBB.shape[-1], device=logits_PBB.device)
        accuracy_P = (logits_PBB.argmax(-1) == own_B).float().mean(-1)
    return (both_PB - matching_PB).mean(-1), accuracy_P

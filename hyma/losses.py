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
    logits_BB = scale * functional.normalize(text_BD, dim=-1) @ image_BD.T
    matching = logits_BB.diagonal()
    loss = (torch.logsumexp(logits_BB, 1) + torch.logsumexp(logits_BB, 0)).mean() / 2 - matching.mean()
    with torch.no_grad():
        own_B = torch.arange(len(logits_BB), device=logits_BB.device)
        accuracy = (logits_BB.argmax(1) == own_B).float().mean()
    return loss, accuracy

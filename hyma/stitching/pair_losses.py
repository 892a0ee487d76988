"""The losses of several pairs on one batch, those of equal shape as one batched product.

Letters: P pairs of equal shape, B samples of a batch, D a width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from hyma.common.names import PairName
from hyma.stitching.connectors import Connector, forward
from hyma.stitching.losses import info_nce
from hyma.stitching.normalised import Normalised
from hyma.stitching.trainer import Backward


def pair_losses(
    connectors: Sequence[Connector],
    pairs: Sequence[PairName],
    rows: Tensor,
    data: Normalised,
    scale: float,
    backward: Backward,
) -> tuple[Tensor, Tensor]:
    """Compute each pair's loss and accuracy on the captions `rows`, and back-propagate the mean loss.

    An encoder's features are read once, however many pairs use it. Pairs whose connectors have equal shapes go
    together, and each such group is back-propagated before the next is computed: memory holds one at a time.

    Args:
        connectors: of the pairs; groups are back-propagated into them one after the other, so they must not
            share a graph.
        pairs: which encoders each is for.
        rows: captions.
        data: the features.
        scale: what cosines are multiplied by.
        backward: called with each group's share of the mean.

    Returns:
        Losses and accuracies, one a pair, detached.
    """
    image_rows = data.features.image_of_text_M[rows]
    image = {slug: data.image[slug][image_rows] for slug in dict.fromkeys(pair[0] for pair in pairs)}
    text = {slug: data.text[slug][rows] for slug in dict.fromkeys(pair[1] for pair in pairs)}
    alike = data.features.alike(rows)
    losses, accuracies = torch.empty(2, len(pairs), device=rows.device)
    for group in _of_equal_shape(connectors):
        own = [pairs[number] for number in group]
        text_PBD = forward(
            _stacked([connectors[number] for number in group]), _stack([text[t] for _, t in own])
        )
        loss_P, accuracies[group] = info_nce(text_PBD, _stack([image[i] for i, _ in own]), scale, alike)
        backward(loss_P.sum() / len(pairs))
        losses[group] = loss_P.detach()
    return losses, accuracies


def _of_equal_shape(connectors: Sequence[Connector]) -> list[list[int]]:
    """Numbers of the connectors, those of equal shapes together."""
    groups: dict[tuple[torch.Size, ...], list[int]] = {}
    for number, connector in enumerate(connectors):
        groups.setdefault(tuple(weight.shape for weight in connector.values()), []).append(number)
    return list(groups.values())


def _stacked(connectors: Sequence[Connector]) -> Connector:
    return {name: _stack([connector[name] for connector in connectors]) for name in connectors[0]}


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    """A leading dimension of pairs; one pair alone goes without."""
    return tensors[0] if len(tensors) == 1 else torch.stack(list(tensors))

"""Which of a timm model's outputs are the features: those before its classifier, a stage's or block's, or its logits.

Stages are those of timm's `forward_intermediates`: of a convolutional model often the stem and four stages, of a
transformer its blocks. Letters: B pictures, D values a feature, C channels of H × W places, P tokens beside those of
the places.
"""

from collections.abc import Sequence
from inspect import signature
from typing import Any

from torch import Tensor, nn

from hyma.common.errors import HymaError
from hyma.encoders.base.choice import position
from hyma.encoders.base.params import LOGITS

TOKEN = "token"
"""What timm calls pooling by the class token."""


class Stage(nn.Module):
    """A timm model up to one of its stages, pooled; what follows is not computed.

    The class token is taken if the model pools by it and its stages have one, else the mean over all places. After the
    last stage comes the model's own normalisation, where timm applies that to stages.
    """

    def __init__(self, model: Any, index: int):
        super().__init__()
        known = signature(model.forward_intermediates).parameters
        self.model, self.index, self.last = model, index, index == len(model.feature_info) - 1
        tokens = "return_prefix_tokens" in known and getattr(model, "num_prefix_tokens", 0) > 0
        self.by_token = tokens and getattr(model, "global_pool", None) == TOKEN
        self.more = {"return_prefix_tokens": True} if self.by_token else {}

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """Return features [B, D]."""
        (found,) = self.model.forward_intermediates(
            image_B3HW,
            indices=[self.index],
            norm=self.last,
            stop_early=True,
            intermediates_only=True,
            **self.more,
        )
        feature_BD = found[1][:, 0] if self.by_token else found.mean((2, 3))  # [B, P, D] or [B, C, H, W]
        return self.model.fc_norm(feature_BD) if self.last and hasattr(self.model, "fc_norm") else feature_BD


def of_layer(model: Any, layer: int | str | None, place: str) -> nn.Module:
    """Return what gives the features of a layer, pictures [B, 3, H, W] → [B, D].

    Args:
        model: the whole model, its weights loaded: asked for no head in advance, timm loads any, fitting or not.
        layer: as in params.yaml; None: what comes before the classifier.
        place: where that stands, for errors.

    Raises:
        HymaError: if the model has no such layer.
    """
    if layer == LOGITS:
        if not getattr(model, "num_classes", 0):
            raise HymaError(
                f"{place}.layer: {LOGITS}, but these weights have no classifier; give a stage's number"
            )
        return model
    if hasattr(model, "reset_classifier"):  # a few are made without a head
        model.reset_classifier(0)
    return model if layer is None else Stage(model, _index(model, int(layer), place)).eval()


def named(features: nn.Module, layer: int | str | None) -> Sequence[str]:
    """Return what to call the layer that `of_layer` gave in an encoder's identity; nothing if none was asked for."""
    return [] if layer is None else [f"layer {features.index if isinstance(features, Stage) else layer}"]


def _index(model: Any, layer: int, place: str) -> int:
    """The number of a stage, counted from the first."""
    if not hasattr(model, "forward_intermediates"):
        raise HymaError(f"{place}.layer: timm gives no stages of {type(model).__name__}; leave it out")
    return position(layer, len(model.feature_info), "stages", place)

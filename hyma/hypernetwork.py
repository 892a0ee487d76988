"""The hypernetwork H_φ: one small network that predicts the connectors of all pairs.

θ_k[j] = F_ρ(W_σ[k] + E_ω[j]): a learnable code per pair k, a learnable code per layer j, and an MLP F_ρ
shared by all, followed by a decoder. Two decoders:

- `DenseHypernetwork` predicts every entry of a layer's matrix at the largest shape and cuts it to the pair's;
- `FactorisedHypernetwork` keeps one factor per encoder and lets the MLP scale and shift the hidden units, so
  that its size and cost grow with N+M encoders instead of N×M pairs.

Letters: K pairs in a step, L layers, C code width, H the decoder's input width.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from hyma.connectors import Connector, ConnectorSpec

PairName = tuple[str, str]


class Codes(nn.Module):
    """F_ρ on the sum of a pair's code and a layer's code: [K, L, C] → [K, L, widths[-1]]."""

    def __init__(self, pairs: int, layers: int, width: int, hidden: Sequence[int]):
        super().__init__()
        self.pair_code = nn.Parameter(torch.randn(pairs, width))
        self.layer_code = nn.Parameter(torch.randn(layers, width))
        sizes = [width, *hidden]
        steps: list[nn.Module] = []
        for into, out in pairwise(sizes):
            linear = nn.Linear(into, out)
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
            steps += [linear, nn.ReLU()]
        self.mlp = nn.Sequential(*steps)
        self.out_features = sizes[-1]

    def forward(self, pairs: Tensor) -> Tensor:
        """Return the decoder's input [K, L, H] for the pairs [K] (their numbers)."""
        code_KLC = (self.pair_code[pairs][:, None, :] + self.layer_code[None, :, :]) / math.sqrt(2)
        return self.mlp(code_KLC)


class DenseHypernetwork(nn.Module):
    """Predicts whole matrices: the paper's hypernetwork."""

    def __init__(self, specs: dict[PairName, ConnectorSpec], code_dim: int, widths: Sequence[int]):
        """Build for `specs`, whose order numbers the pairs; `widths` are F_ρ's hidden widths."""
        super().__init__()
        self.specs = list(specs.values())
        shapes = [shape for spec in self.specs for shape in spec.layers]
        self.rows, self.columns = max(out for out, _ in shapes), max(into for _, into in shapes)
        self.codes = Codes(len(self.specs), len(self.specs[0].layers), code_dim, widths)
        into = self.codes.out_features
        self.decoder = nn.Parameter(torch.randn(into, self.rows * (self.columns + 1)) / math.sqrt(into))

    def forward(self, pairs: Tensor) -> list[Connector]:
        """Predict the connectors of the pairs [K] (their numbers)."""
        layer_KLOI = (self.codes(pairs) @ self.decoder).unflatten(-1, (self.rows, self.columns + 1))
        connectors = []
        for layers_LOI, number in zip(layer_KLOI, pairs.tolist(), strict=True):
            connector = {}
            for index, (out, into) in enumerate(self.specs[number].layers):
                cut = layers_LOI[index, :out] / math.sqrt(into)
                connector[f"weight{index}"] = cut[:, :into]
                connector[f"bias{index}"] = cut[:, -1]
            connectors.append(connector)
        return connectors


class FactorisedHypernetwork(nn.Module):
    """One factor per encoder; the pair's code scales and shifts the hidden units between them.

    For mlp1: weight0 = (1 + s_k) ∘ A_text, weight1 = B_image, with s_k and the shift predicted from the
    pair's code. mlp2 has one shared, modulated layer between the two. linear is the product B (1 + s_k) A,
    of rank at most `hidden`.
    """

    def __init__(self, specs: dict[PairName, ConnectorSpec], code_dim: int, widths: Sequence[int]):
        """Build for `specs`, whose order numbers the pairs; `widths` are F_ρ's hidden widths."""
        super().__init__()
        self.names = list(specs)
        spec = next(iter(specs.values()))
        self.kind, hidden = spec.kind, spec.hidden
        d_image = {image: shape.d_image for (image, _), shape in specs.items()}
        d_text = {text: shape.d_text for (_, text), shape in specs.items()}
        self.images, self.texts = list(d_image), list(d_text)
        self.text_factor = nn.ModuleList(nn.Linear(width, hidden) for width in d_text.values())
        self.image_factor = nn.ModuleList(nn.Linear(hidden, width) for width in d_image.values())
        modulated = 2 if self.kind == "mlp2" else 1
        self.middle = nn.Linear(hidden, hidden) if self.kind == "mlp2" else None
        self.codes = Codes(len(specs), modulated, code_dim, widths)
        self.decoder = nn.Linear(self.codes.out_features, 2 * hidden)
        # Every pair starts as the plain product of its factors.
        nn.init.zeros_(self.decoder.weight)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, pairs: Tensor) -> list[Connector]:
        """Predict the connectors of the pairs [K] (their numbers)."""
        scale_KLH, shift_KLH = self.decoder(self.codes(pairs)).chunk(2, dim=-1)
        return [
            self._connector(self.names[number], 1 + scale, shift)
            for number, scale, shift in zip(pairs.tolist(), scale_KLH, shift_KLH, strict=True)
        ]

    def _connector(self, pair: PairName, scale_LH: Tensor, shift_LH: Tensor) -> Connector:
        first = cast(nn.Linear, self.text_factor[self.texts.index(pair[1])])
        last = cast(nn.Linear, self.image_factor[self.images.index(pair[0])])
        weight, bias = scale_LH[0, :, None] * first.weight, scale_LH[0] * first.bias + shift_LH[0]
        if self.kind == "linear":
            return {"weight0": last.weight @ weight, "bias0": last(bias[None])[0]}
        connector = {"weight0": weight, "bias0": bias}
        if self.middle is not None:
            connector["weight1"] = scale_LH[1, :, None] * self.middle.weight
            connector["bias1"] = scale_LH[1] * self.middle.bias + shift_LH[1]
        index = len(connector) // 2
        return connector | {f"weight{index}": last.weight, f"bias{index}": last.bias}


Hypernetwork = DenseHypernetwork | FactorisedHypernetwork


def build(
    decoder: str, specs: dict[PairName, ConnectorSpec], code_dim: int, widths: Sequence[int]
) -> Hypernetwork:
    """Build the hypernetwork with the decoder ``dense`` or ``factorised``."""
    kinds: dict[str, type[Hypernetwork]] = {"dense": DenseHypernetwork, "factorised": FactorisedHypernetwork}
    return kinds[decoder](specs, code_dim, widths)

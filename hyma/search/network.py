"""The hypernetwork H_φ: one network that predicts the connectors of all pairs.

- `DenseHypernetwork` is the paper's: θ_k[j] = F_ρ(W_σ[k] + E_ω[j]) with a code per pair k, a code per layer j
  and an MLP F_ρ, and a decoder that predicts every entry of a layer's matrix at the largest shape and cuts it
  to the pair's. A pair's code is the sum of a code of its image encoder and one of its text encoder, so that
  pairs that were never trained have connectors too.
- `FactorisedHypernetwork` keeps a factor per encoder, found in closed form before any training, so that its
  size and cost grow with N+M encoders instead of N×M pairs.

Letters: P pairs in a step, L layers, C code width, B samples, R an encoder's components, K the shared width,
U units of the branch, D an encoder's width.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from hyma.common.names import PairName
from hyma.search.closed_form import SharedSpace, Whitening
from hyma.stitching.connectors import Connector, ConnectorSpec
from hyma.stitching.losses import Alike, contrast


class Codes(nn.Module):
    """F_ρ on the sum of a pair's code and a layer's code: [P] pairs → [P, L, widths[-1]]."""

    def __init__(self, pairs: Sequence[PairName], layers: int, width: int, hidden: Sequence[int]):
        super().__init__()
        images, texts = (list(dict.fromkeys(side)) for side in zip(*pairs, strict=True))
        places = [(images.index(image), texts.index(text)) for image, text in pairs]
        self.register_buffer("places_P2", torch.tensor(places), persistent=False)
        self.image_code = nn.Parameter(torch.randn(len(images), width))
        self.text_code = nn.Parameter(torch.randn(len(texts), width))
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
        """Return the decoder's input [P, L, widths[-1]] for the pairs [P] (their numbers)."""
        image_P, text_P = self.get_buffer("places_P2")[pairs].unbind(1)
        pair_PC = self.image_code[image_P] + self.text_code[text_P]
        return self.mlp((pair_PC[:, None, :] + self.layer_code[None, :, :]) / math.sqrt(3))


class DenseHypernetwork(nn.Module):
    """Predicts whole matrices: the paper's hypernetwork."""

    def __init__(self, specs: dict[PairName, ConnectorSpec], code_dim: int, widths: Sequence[int]):
        """Build for `specs`, whose order numbers the pairs; `widths` are F_ρ's hidden widths."""
        super().__init__()
        self.specs = list(specs.values())
        shapes = [shape for spec in self.specs for shape in spec.layers]
        self.rows, self.columns = max(out for out, _ in shapes), max(into for _, into in shapes)
        self.codes = Codes(list(specs), len(self.specs[0].layers), code_dim, widths)
        into = self.codes.out_features
        self.decoder = nn.Parameter(torch.randn(into, self.rows * (self.columns + 1)) / math.sqrt(into))

    def gradient_norms(self) -> Tensor:
        """The length of the loss's gradient at each encoder's code, [N+M]; 0 for encoders not in the step."""
        codes = self.codes.image_code.grad, self.codes.text_code.grad
        return torch.cat([code.norm(dim=1) for code in codes if code is not None])

    def forward(self, pairs: Tensor) -> list[Connector]:
        """Predict the connectors of the pairs [P] (their numbers)."""
        layer_PLOI = (self.codes(pairs) @ self.decoder).unflatten(-1, (self.rows, self.columns + 1))
        connectors = []
        for layers_LOI, number in zip(layer_PLOI, pairs.tolist(), strict=True):
            connector = {}
            for index, (out, into) in enumerate(self.specs[number].layers):
                cut = layers_LOI[index, :out] / math.sqrt(into)
                connector[f"weight{index}"] = cut[:, :into]
                connector[f"bias{index}"] = cut[:, -1]
            connectors.append(connector)
        return connectors


def equaliser(norm_P: Tensor) -> Tensor:
    """What the gradients of pairs are multiplied by to have the median of their lengths."""
    return norm_P.median() / norm_P.clamp_min(1e-30)


def split_hidden(spec: ConnectorSpec) -> tuple[int, int]:
    """How a connector's hidden units are shared out: the shared width K, and the branch's units U.

    A linear path of width K takes 2·K units, since x = relu(x) − relu(−x); it gets three quarters of them. A
    linear connector has no hidden units: its path is as wide as those of mlp1 and mlp2.
    """
    shared = max(1, spec.hidden * 3 // 8)
    return shared, 0 if spec.kind == "linear" else max(0, spec.hidden - 2 * shared)


class FactorisedHypernetwork(nn.Module):
    """A factor per encoder, all meeting in one shared space of width K; a pair's connector is their product.

    A text encoder's factor is a linear map into the shared space and a branch of ReLU units beside it, which
    starts at zero; an image encoder's is a linear map out of it. Inputs are whitened components. Written out,
    the pair's connector is one of the plain kind and shape that its spec names. Where the specs are two-sided,
    the image encoder's factor maps into the shared space instead, and cosines are taken there.
    """

    def __init__(
        self,
        specs: dict[PairName, ConnectorSpec],
        images: Sequence[Whitening],
        texts: Sequence[Whitening],
        start: SharedSpace,
    ):
        """Build for `specs`, whose order numbers the pairs, image by image; `start` gives the linear maps."""
        super().__init__()
        self.spec, self.count = next(iter(specs.values())), len(texts)
        self.images, self.texts, self.start_flops = list(images), list(texts), start.flops
        shared, units = split_hidden(self.spec)
        self.image_factor = nn.ParameterList(_unit_columns(map_RK) for map_RK in start.images)
        # A text's length in the shared space does not matter to the loss, but to the optimizer: about 1.
        self.text_factor = nn.ParameterList(map_RK / math.sqrt(shared) for map_RK in start.texts)
        self.text_bias = nn.Parameter(torch.zeros(self.count, shared))
        self.branch_in = nn.ParameterList(
            torch.randn(len(map_RK), units) / math.sqrt(len(map_RK)) for map_RK in start.texts
        )
        self.branch_bias = nn.Parameter(torch.zeros(self.count, units))
        deep = units if self.spec.kind == "mlp2" else 0
        self.branch_middle = nn.Parameter(torch.randn(self.count, deep, deep) * math.sqrt(2 / max(deep, 1)))
        self.branch_out = nn.Parameter(torch.zeros(self.count, units, shared))
        # The components' basis is orthogonal, not orthonormal.
        self.metric = [white.map_DR.square().sum(0) for white in images]

    def gradient_norms(self) -> Tensor:
        """The length of the loss's gradient at each encoder's factor, [N+M]; 0 for encoders not in the step."""
        factors = [*self.image_factor, *self.text_factor]
        zero = torch.zeros((), device=self.text_bias.device)
        return torch.stack([zero if own.grad is None else own.grad.norm() for own in factors])

    def places(self, pairs: Tensor) -> tuple[list[int], list[int]]:
        """Numbers of the image encoders and of the text encoders of the pairs [P] (their numbers)."""
        numbers = pairs.tolist()
        return [number // self.count for number in numbers], [number % self.count for number in numbers]

    def embed_texts(self, text: dict[int, Tensor]) -> dict[int, Tensor]:
        """Return [B, K] in the shared space for the components [B, R] of the text encoders given."""
        shared = {}
        for number, text_BR in text.items():
            shared[number] = text_BR @ self.text_factor[number] + self.text_bias[number]
            if self.branch_bias.shape[1]:
                units_BU = torch.relu(text_BR @ self.branch_in[number] + self.branch_bias[number])
                if self.branch_middle.shape[1]:
                    units_BU = torch.relu(units_BU @ self.branch_middle[number])
                shared[number] = shared[number] + units_BU @ self.branch_out[number]
        return shared

    def contrast(
        self,
        images: Mapping[int, Tensor],
        texts: Mapping[int, Tensor],
        pairs: Tensor,
        scale: float,
        balance: bool = False,
        alike: Alike | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the losses and accuracies [P] of the pairs [P] (their numbers) on matching samples.

        The cosines are those of the connectors written out, but come from the shared space, where every
        encoder's samples are computed once and not once a pair.

        Args:
            images: number of each image encoder in these pairs → its unit vectors in the basis of its whitening,
                [B, R]; centred if the connectors are two-sided.
            texts: number of each text encoder in them → its components, [B, R].
            pairs: numbers of pairs.
            scale: what cosines are multiplied by.
            balance: bring the gradients of all pairs to one length where they enter the shared space.
            alike: samples that are no negatives of each other.
        """
        image_P, text_P = self.places(pairs)
        text = self.embed_texts({number: texts[number] for number in dict.fromkeys(text_P)})
        image = {number: images[number] @ self.image_factor[number] for number in set(image_P)}
        if self.spec.shared:
            image = {number: functional.normalize(image_BK, dim=-1) for number, image_BK in image.items()}
            text = {number: scale * functional.normalize(text_BK, dim=-1) for number, text_BK in text.items()}
        text_PBK = torch.stack([text[number] for number in text_P])
        image_PBK = torch.stack([image[number] for number in image_P])
        if not self.spec.shared:
            length_PB = self._lengths(text_PBK, image_P)
            text_PBK = text_PBK * (scale / length_PB)[..., None]
        if balance:
            for side_PBK in (text_PBK, image_PBK):
                side_PBK.register_hook(
                    lambda grad_PBK: grad_PBK * equaliser(grad_PBK.flatten(1).norm(dim=1))[:, None, None]
                )
        return contrast(text_PBK, image_PBK, alike)

    def _lengths(self, text_PBK: Tensor, images: list[int]) -> Tensor:
        """Length [P, B] of texts in the space of the pair's image encoder: |z Fᵀ|² = z (FᵀF) z, and FᵀF is small."""
        square = {}
        for number in set(images):
            factor_RK = self.image_factor[number]
            square[number] = factor_RK.T @ (self.metric[number][:, None] * factor_RK)
        square_PKK = torch.stack([square[number] for number in images])
        return ((text_PBK @ square_PKK) * text_PBK).sum(-1).clamp_min(1e-12).sqrt()

    def forward(self, pairs: Tensor) -> list[Connector]:
        """Write out the connectors of the pairs [P] (their numbers)."""
        return [self._connector(*divmod(number, self.count)) for number in pairs.tolist()]

    def _connector(self, image: int, text: int) -> Connector:
        white = self.texts[text]
        linear_KD = (white.map_DR @ self.text_factor[text]).T
        bias_K = self.text_bias[text] - linear_KD @ white.mean_D
        image_DK = (
            torch.eye(len(bias_K), device=bias_K.device) if self.spec.shared else self._image_map(image)
        )
        if self.spec.kind == "linear":
            return {"weight0": image_DK @ linear_KD, "bias0": image_DK @ bias_K}
        units_UD = (white.map_DR @ self.branch_in[text]).T
        shift_U = self.branch_bias[text] - units_UD @ white.mean_D
        connector = {
            "weight0": torch.cat([linear_KD, -linear_KD, units_UD]),
            "bias0": torch.cat([bias_K, -bias_K, shift_U]),
        }
        if self.spec.kind == "mlp2":
            passed = torch.eye(2 * len(bias_K), device=bias_K.device)
            connector["weight1"] = torch.block_diag(passed, self.branch_middle[text].T)
            connector["bias1"] = torch.zeros(len(connector["weight1"]), device=bias_K.device)
        last = len(connector) // 2
        through = torch.cat([image_DK, -image_DK, image_DK @ self.branch_out[text].T], 1)
        return connector | {f"weight{last}": through, f"bias{last}": through.new_zeros(len(through))}

    def image_connector(self, image: int) -> Connector | None:
        """Write out the map of an image encoder (its number), if the connectors are two-sided."""
        if not self.spec.shared:
            return None
        weight_KD = self._image_map(image).T
        return {"weight0": weight_KD, "bias0": -weight_KD @ self.images[image].mean_D}

    def _image_map(self, image: int) -> Tensor:
        return self.images[image].map_DR @ self.image_factor[image]


def _unit_columns(map_RK: Tensor) -> Tensor:
    """Columns brought to unit length on average, so that all image encoders start at one scale."""
    return map_RK / map_RK.square().sum(0).mean().sqrt().clamp_min(1e-12)


Hypernetwork = DenseHypernetwork | FactorisedHypernetwork

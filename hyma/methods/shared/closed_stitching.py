"""What the methods share that give connectors by linear algebra alone.

They fit on a sample of the training captions, choose their regularisation on a second one, and are scored, as
all methods are, on held-out images that had no part in either. Letters: N captions to fit on, V to validate
on, D / E the widths of an image and a text encoder, R / S their components kept, K directions.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from hyma.common.names import PairName
from hyma.methods.shared.closed_flops import principal_flops, validation_flops, vectors_flops
from hyma.methods.shared.closed_params import StitchParams, fitted
from hyma.methods.shared.similarity import TINY, Undefined
from hyma.search.closed_form import Principal
from hyma.stitching.connectors import Connector, forward
from hyma.stitching.grid import left_out
from hyma.stitching.normalised import Normalised, recall
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures

Image = TypeVar("Image")
Text = TypeVar("Text")
Setting = dict[str, float]
"""Regularisation: the name of a list in params.yaml → the value taken from it."""
PARTS = ("principal components", "solves", "validation")
"""Of the cost. The first is an encoder's: Gram matrix and eigendecomposition, or what stands for them."""
RANK = 1e-6
"""Singular value, relative to the largest, below which a direction is rounding."""


@dataclass(frozen=True)
class Candidate:
    """A pair's connector under one setting."""

    setting: Setting
    connector: Connector
    image_connector: Connector | None = None

    @property
    def usable(self) -> bool:
        """All weights are numbers, and inputs make a difference."""
        sides = [side for side in (self.connector, self.image_connector) if side is not None]
        return all(
            side["weight0"].isfinite().all() and side["bias0"].isfinite().all() and side["weight0"].any()
            for side in sides
        )


@dataclass(frozen=True)
class Side:
    """An encoder in its principal components."""

    principal: Principal
    score_NR: Tensor
    """The coordinates of the captions, or images, to fit on."""


class Stitching:
    """A search under way: what to fit and validate on, what it has cost, and its answer so far."""

    def __init__(
        self,
        label: str,
        features: TrainingFeatures,
        params: StitchParams,
        connector: ConnectorParams,
        seed: int,
    ):
        self.features, self.connector = features, connector
        self.data = Normalised(features, connector)
        wanted = params.samples + params.validation
        image_rows, text_rows = features.sample(wanted, seed)
        found = len(image_rows)
        split = found - fitted(found, params)
        order = torch.randperm(found, generator=torch.Generator().manual_seed(seed)).to(image_rows.device)
        self.image_rows_V, self.text_rows_V = image_rows[order[:split]], text_rows[order[:split]]
        self.image_rows_N, self.text_rows_N = image_rows[order[split:]], text_rows[order[split:]]
        self.flops = dict.fromkeys(PARTS, 0.0)
        self.chosen: list[Setting] = []
        self.result = SearchResult(label, {}, flops=self.flops)

    def image(self, slug: str) -> Tensor:
        """An image encoder's unit vectors to fit on, [N, D]."""
        return self.data.image[slug][self.image_rows_N]

    def text(self, slug: str) -> Tensor:
        """A text encoder's normalised features to fit on, [N, E]."""
        return self.data.text[slug][self.text_rows_N]

    def side(self, feature_ND: Tensor, components: int | None = None) -> Side:
        """Find an encoder's principal components, and count what that costs.

        Raises:
            Undefined: if the features are constant or not finite.
        """
        refuse_constant(feature_ND)
        principal = Principal.fit(feature_ND, components)
        self.flops["principal components"] += principal_flops(
            len(feature_ND), feature_ND.shape[1], components
        )
        return Side(principal, principal(feature_ND))

    def stitch_pairs(
        self,
        prepare_image: Callable[[Tensor], Image],
        prepare_text: Callable[[Tensor], Text],
        candidates: Callable[[Image, Text], Iterable[Candidate]],
    ) -> None:
        """Prepare every encoder once; give every pair the candidate that validates best.

        A pair left out of training fails, as does one whose encoder cannot be prepared. All prepared texts
        are kept, and one prepared image at a time.
        """
        self.result.failed.update(left_out(self.features))
        texts = {slug: attempt(prepare_text, self.text(slug), slug) for slug in self.features.texts}
        for image_slug in self.features.images:
            image = attempt(prepare_image, self.image(image_slug), image_slug)
            for pair in self.features.seen:
                text = texts[pair[1]]
                if pair[0] != image_slug:
                    continue
                if isinstance(image, Undefined):
                    self.fail(pair, str(image))
                elif isinstance(text, Undefined):
                    self.fail(pair, str(text))
                else:
                    self._choose(pair, candidates(image, text))

    def validate(self, pair: PairName, candidate: Candidate) -> float:
        """Return `recall` at 5 on the captions and images to validate on."""
        image_VD = self.data.image[pair[0]][self.image_rows_V]
        text_VK = forward(candidate.connector, self.data.text[pair[1]][self.text_rows_V])
        cost = candidate.connector["weight0"].numel()
        if candidate.image_connector is not None:
            image_VD = forward(candidate.image_connector, image_VD)
            cost += candidate.image_connector["weight0"].numel()
        count, width = text_VK.shape
        self.flops["validation"] += validation_flops(count, cost, width)
        return recall(text_VK, image_VD)

    def _choose(self, pair: PairName, candidates: Iterable[Candidate]) -> None:
        """Keep the best; of equals, the first. Unlike max with a list, one candidate is in memory at a time."""
        best, best_score = None, -1.0
        try:
            for candidate in candidates:
                score = self.validate(pair, candidate)
                if score > best_score and candidate.usable:
                    best, best_score = candidate, score
        except torch.linalg.LinAlgError:
            self.fail(pair, "its decomposition does not converge")
        else:
            self.keep(pair, best)

    def keep(self, pair: PairName, candidate: Candidate | None) -> None:
        """Score a pair by the connector chosen, and hand it over; fail it where there is none."""
        if candidate is None or not candidate.usable:
            self.fail(pair, "its connector is zero or not finite")
            return
        name, text, image = "-".join(pair), candidate.connector, candidate.image_connector
        shared = None if image is None else len(image["bias0"])
        spec = replace(self.features.spec(pair, self.connector), kind="linear", shared=shared)
        self.result.scores[name] = self.data.score(pair, text, image)
        self.result.stitches[name] = self.data.stitch(pair, spec, text, image)
        self.chosen.append(candidate.setting)

    def fail(self, pair: PairName, reason: str) -> None:
        """Note why a pair has no score."""
        self.result.failed["-".join(pair)] = reason

    def finish(self) -> SearchResult:
        """Return the answer, with its notes."""
        notes = {"samples": str(len(self.image_rows_N)), "validation": str(len(self.image_rows_V))}
        for name in self.chosen[0] if self.chosen else {}:
            notes[name] = summary([setting[name] for setting in self.chosen])
        return replace(self.result, notes=notes)


def canonical(
    search: Stitching, image: Side, text: Side, shrinkages: Iterable[float]
) -> Iterator[tuple[float, Tensor, Tensor, Tensor]]:
    """Decompose the cross-covariance of the whitened sides, for one shrinkage after the other.

    Yields:
        The shrinkage; directions of the image side [R, K], their correlations [K], directions of the text
        side [S, K]: orthonormal columns, to be applied to whitened components.
    """
    cross_SR = text.score_NR.T @ image.score_NR / len(text.score_NR)
    search.flops["solves"] += 2.0 * len(text.score_NR) * cross_SR.numel()
    for shrinkage in shrinkages:
        white_SR = text.principal.scale(shrinkage)[:, None] * cross_SR * image.principal.scale(shrinkage)
        text_SK, value_K, image_KR = torch.linalg.svd(white_SR, full_matrices=False)
        search.flops["solves"] += vectors_flops(*cross_SR.shape)
        yield shrinkage, image_KR.T, value_K, text_SK


def cuts(value_K: Tensor, directions: Iterable[int]) -> list[int]:
    """The numbers of directions to try: those asked for, or the rank where that is less, each once."""
    return at_most(max(1, int((value_K > RANK * value_K.max()).sum())), directions)


def at_most(rank: int, directions: Iterable[int]) -> list[int]:
    """The numbers of directions asked for, or the rank where that is less, each once."""
    return list(dict.fromkeys(min(count, rank) for count in directions))


def affine(mean_D: Tensor, map_DK: Tensor, shift_K: Tensor | float = 0.0) -> Connector:
    """The linear connector x ↦ (x − mean) map + shift."""
    return {"weight0": map_DK.T, "bias0": shift_K - mean_D @ map_DK}


def refuse_constant(feature_ND: Tensor) -> None:
    """Refuse features that nothing can be fitted to.

    Raises:
        Undefined: if all rows are equal but for rounding, or not finite.
    """
    if not feature_ND.isfinite().all():
        raise Undefined("features are not finite")
    if (feature_ND - feature_ND[0]).abs().max() <= TINY * feature_ND.abs().max():
        raise Undefined("features are constant")


def attempt(prepare: Callable[[Tensor], Image], feature_ND: Tensor, slug: str) -> Image | Undefined:
    """The prepared encoder, or the reason, with its name, why there is none."""
    try:
        return prepare(feature_ND)
    except Undefined as reason:
        return Undefined(f"{slug}: {reason}")
    except torch.linalg.LinAlgError:
        return Undefined(f"{slug}: its eigendecomposition does not converge")


def summary(values: list[float]) -> str:
    """What most pairs have, and the range where they differ."""
    most = f"{Counter(values).most_common(1)[0][0]:g}"
    low, high = min(values), max(values)
    return most if low == high else f"mostly {most}, {low:g} to {high:g}"

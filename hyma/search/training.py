"""The training loop that grid search and the hypernetwork share.

Grid search is the case of one pair whose connector is itself the parameter; the hypernetwork predicts the
connectors of ``bm`` pairs a step. Letters: B samples of a batch, D a width, P pairs of equal shape.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
import torch._dynamo  # torch imports it at the first optimizer: here, lest a search's seconds hold it
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from hyma.connectors import Connector, ConnectorSpec, Stitch, forward
from hyma.errors import HymaError
from hyma.kinds import NormaliseKind
from hyma.losses import info_nce
from hyma.metrics import TIE
from hyma.normalise import Normaliser
from hyma.precision import autocast, resolve
from hyma.search.data import PairName, TrainingFeatures
from hyma.search.params import ConnectorParams, TrainingParams
from hyma.search.schedule import pair_batches, sample_batches, warmup_cosine
from hyma.search.table import Table, mapped

PART = 8192
"""Rows of a streamed table that are looked at together."""
Backward = Callable[[Tensor], None]
"""Adds the gradient of a scalar loss to the parameters."""
Step = Callable[[Tensor, Tensor, Backward], tuple[Tensor, Tensor]]
"""Captions [B], numbers of pairs [bm] and what to call with their mean loss, at once or in parts that add up to
it → losses and accuracies of these pairs, [bm] each."""


@dataclass
class History:
    """What happened: a row a step, a row (step, pair, accuracy) a pair and step, a held-out loss an epoch."""

    rows: list[tuple[float, float, float, float]] = field(default_factory=list)
    pair_accuracy: list[tuple[int, str, float]] = field(default_factory=list)
    held_out_loss: list[float] = field(default_factory=list)

    def add(self, step: int, losses: Tensor, accuracies: Tensor, norm: Tensor, lr: float, label: str) -> None:
        """Note a step.

        Raises:
            HymaError: if a number is not finite.
        """
        row = (losses.mean().item(), accuracies.mean().item(), norm.item(), lr)
        if not all(math.isfinite(value) for value in row):
            raise HymaError(
                f"{label}: loss or gradient is not finite at step {step}; lower its lr or beta2 in params.yaml"
            )
        self.rows.append(row)

    def add_pairs(self, step: int, pairs: Sequence[PairName], accuracies: Tensor) -> None:
        """Note each pair's accuracy within the batch."""
        self.pair_accuracy += [
            (step, "-".join(pair), accuracy)
            for pair, accuracy in zip(pairs, accuracies.tolist(), strict=True)
        ]

    def columns(self) -> dict[str, list[float]]:
        """The steps as columns, and the held-out losses if there are any."""
        loss, accuracy, grad_norm, lr = (list(column) for column in zip(*self.rows, strict=True))
        steps = [float(step) for step in range(1, len(self.rows) + 1)]
        found = {"step": steps, "loss": loss, "accuracy": accuracy, "grad_norm": grad_norm, "lr": lr}
        return found | ({"held_out_loss": self.held_out_loss} if self.held_out_loss else {})


class Normalised:
    """Training features under their normalisers: texts as the connector takes them, images of unit length."""

    def __init__(self, features: TrainingFeatures, params: ConnectorParams):
        self.features = features
        used = features.image_of_text_M[features.train].unique()
        self.image_normaliser = {
            slug: _fit(params.normalise, table, used) for slug, table in features.images.items()
        }
        self.text_normaliser = {
            slug: _fit(params.normalise, table, features.train) for slug, table in features.texts.items()
        }
        self.image = {
            slug: mapped(mapped(table, self.image_normaliser[slug]), unit_length)
            for slug, table in features.images.items()
        }
        self.text = {
            slug: mapped(table, self.text_normaliser[slug]) for slug, table in features.texts.items()
        }

    def stitch(
        self, pair: PairName, spec: ConnectorSpec, connector: Connector, image: Connector | None = None
    ) -> Stitch:
        """Bind a trained connector (and the image side's, if it has one) to the normalisers of its training."""

        def copied(weights: Connector) -> Connector:
            return {name: weight.detach().clone() for name, weight in weights.items()}

        return Stitch(
            spec,
            copied(connector),
            self.image_normaliser[pair[0]],
            self.text_normaliser[pair[1]],
            None if image is None else copied(image),
        )

    @torch.no_grad()
    def score(self, pair: PairName, connector: Connector, image: Connector | None = None) -> float:
        """Return `recall` at 5 on the held-out images and captions."""
        rows = self.features.held_out
        image_BD = self.image[pair[0]][self.features.image_of_text_M[rows]]
        return recall(
            forward(connector, self.text[pair[1]][rows]),
            image_BD if image is None else forward(image, image_BD),
        )

    @torch.no_grad()
    def held_out_loss(self, pair: PairName, connector: Connector, scale: float) -> float:
        """Return the loss of the held-out images and captions, all in one batch."""
        rows = self.features.held_out
        image_BD, text_BD = self.image[pair[0]][self.features.image_of_text_M[rows]], self.text[pair[1]][rows]
        return info_nce(forward(connector, text_BD), image_BD, scale)[0].item()


def unit_length(feature_ND: Tensor) -> Tensor:
    """Features divided by their lengths."""
    return functional.normalize(feature_ND, dim=-1)


def _fit(kind: NormaliseKind, table: Table, rows: Tensor) -> Normaliser:
    """A normaliser of these rows; a streamed table's are never held together."""
    if isinstance(table, Tensor):
        return Normaliser.fit(kind, table[rows])
    return Normaliser.fit_parts(kind, (table[part] for part in rows.split(PART)))


def recall(text_BD: Tensor, image_BD: Tensor, k: int = 5) -> float:
    """Return recall@k between matching rows of any length, mean of both directions.

    Ties and NaN count against it.
    """
    similarity_BB = functional.normalize(text_BD, dim=-1) @ functional.normalize(image_BD, dim=-1).T
    matching = similarity_BB.diagonal()
    beaten = (similarity_BB < matching[:, None] - TIE, matching[:, None] - TIE > similarity_BB.T)
    ranks = [(~lower_BB).sum(1) - 1 for lower_BB in beaten]
    return float(torch.stack([(rank < k).float().mean() for rank in ranks]).mean())


def train(
    step_on: Step,
    parameters: Sequence[torch.nn.Parameter],
    pairs: Sequence[PairName],
    bm: int,
    rows: Tensor,
    params: TrainingParams,
    seed: int,
    label: str,
    watch: Callable[[], float] | None = None,
    steps: int | None = None,
    observe: Callable[[], None] | None = None,
) -> History:
    """Train `parameters` by the mean loss of `bm` pairs a step.

    Args:
        step_on: computes the losses of a step's captions and pairs, and back-propagates their mean.
        parameters: what is trained.
        pairs: the pairs that the numbers stand for.
        bm: pairs a step.
        rows: the captions to train on.
        params: optimizer and batches.
        seed: of the order of samples and pairs.
        label: shown at the progress bar.
        watch: a loss on held-out data, taken at the end of every epoch.
        steps: how many, instead of ``params.epochs``.
        observe: called at every step while the gradients stand in the parameters, not yet clipped.

    Raises:
        HymaError: if the loss becomes NaN or infinite.
    """
    generator = torch.Generator().manual_seed(seed)
    epoch = len(rows) // min(params.batch, len(rows))
    epochs = params.epochs if steps is None else math.ceil(steps / epoch)
    batches = list(sample_batches(len(rows), params.batch, epochs, generator))[:steps]
    numbers = pair_batches(len(pairs), bm, generator)
    optimizer = _Optimizer(parameters, params, len(batches), rows.device)
    history = History()
    for step, batch in enumerate(tqdm(batches, desc=label, unit="step", disable=None), start=1):
        chosen = next(numbers)
        own = rows[batch.to(rows.device, non_blocking=True)]
        each, accuracies = optimizer.compute(partial(step_on, own, chosen, optimizer.backward))
        norm, rate = optimizer.clip(observe)
        history.add(step, each, accuracies, norm, rate, label)
        history.add_pairs(step, [pairs[int(number)] for number in chosen], accuracies)
        optimizer.step()
        if watch is not None and step % epoch == 0:
            history.held_out_loss.append(watch())
    return history


class _Optimizer:
    """AdamW with a schedule and clipped gradients, in any precision."""

    def __init__(
        self,
        parameters: Sequence[torch.nn.Parameter],
        params: TrainingParams,
        steps: int,
        device: torch.device,
    ):
        self.parameters, self.params, self.device = parameters, params, device
        self.adamw = torch.optim.AdamW(
            parameters, lr=params.lr, betas=(0.9, params.beta2), weight_decay=params.weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.adamw, warmup_cosine(steps, params.warmup))
        self.dtype = resolve(params.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)

    def compute(self, step_on: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Call what computes the gradients, from none on."""
        self.adamw.zero_grad(set_to_none=True)
        with autocast(self.device, self.dtype):
            return step_on()

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradients to the parameters."""
        with torch.autocast(self.device.type, enabled=False):
            self.scaler.scale(loss).backward()

    def clip(self, observe: Callable[[], None] | None) -> tuple[Tensor, float]:
        """Clip the gradients, after they were observed; return their norm before, and the learning rate."""
        self.scaler.unscale_(self.adamw)
        if observe is not None:
            observe()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.params.clip)
        if self.scaler.is_enabled():
            # What overflows in fp16 is no failure: the step is skipped, the next one scaled less.
            norm = norm.nan_to_num(0, 0, 0)
        return norm, float(self.schedule.get_last_lr()[0])

    def step(self) -> None:
        """Change the parameters, and the rate for the next step."""
        self.scaler.step(self.adamw)
        self.scaler.update()
        self.schedule.step()


def contrast(
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
    losses, accuracies = torch.empty(2, len(pairs), device=rows.device)
    for group in _of_equal_shape(connectors):
        own = [pairs[number] for number in group]
        text_PBD = forward(
            _stacked([connectors[number] for number in group]), _stack([text[t] for _, t in own])
        )
        loss_P, accuracies[group] = info_nce(text_PBD, _stack([image[i] for i, _ in own]), scale)
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

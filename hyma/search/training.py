"""The training loop that grid search and the hypernetwork share.

Grid search is the case of one pair whose connector is itself the parameter; the hypernetwork predicts the
connectors of ``bm`` pairs a step. Letters: B samples of a batch, D a width.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch._dynamo  # torch imports it at the first optimizer: here, lest a search's seconds hold it
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from hyma.connectors import Connector, ConnectorSpec, Stitch, forward
from hyma.errors import HymaError
from hyma.losses import info_nce
from hyma.metrics import TIE
from hyma.normalise import Normaliser
from hyma.search.data import PairName, TrainingFeatures
from hyma.search.params import ConnectorParams, TrainingParams


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
            slug: Normaliser.fit(params.normalise, feature_ND[used])
            for slug, feature_ND in features.images.items()
        }
        self.text_normaliser = {
            slug: Normaliser.fit(params.normalise, feature_MD[features.train])
            for slug, feature_MD in features.texts.items()
        }
        self.image = {
            slug: functional.normalize(self.image_normaliser[slug](feature_ND), dim=-1)
            for slug, feature_ND in features.images.items()
        }
        self.text = {
            slug: self.text_normaliser[slug](feature_MD) for slug, feature_MD in features.texts.items()
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
        losses, _ = contrast([connector], [pair], self.features.held_out, self, scale)
        return losses.item()


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
    losses: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    parameters: Sequence[torch.nn.Parameter],
    pairs: Sequence[PairName],
    bm: int,
    rows: Tensor,
    params: TrainingParams,
    seed: int,
    label: str,
    watch: Callable[[], float] | None = None,
    steps: int | None = None,
) -> History:
    """Train `parameters` by the mean loss of `bm` pairs a step.

    Args:
        losses: captions [B] and numbers of pairs [bm] → losses and accuracies of these pairs, [bm] each.
        parameters: what is trained.
        pairs: the pairs that the numbers stand for.
        bm: pairs a step.
        rows: the captions to train on.
        params: optimizer and batches.
        seed: of the order of samples and pairs.
        label: shown at the progress bar.
        watch: a loss on held-out data, taken at the end of every epoch.
        steps: how many, instead of ``params.epochs``.

    Raises:
        HymaError: if the loss becomes NaN or infinite.
    """
    generator = torch.Generator().manual_seed(seed)
    epoch = len(rows) // min(params.batch, len(rows))
    epochs = params.epochs if steps is None else math.ceil(steps / epoch)
    batches = list(sample_batches(len(rows), params.batch, epochs, generator))[:steps]
    numbers = pair_batches(len(pairs), bm, generator)
    optimizer = torch.optim.AdamW(
        parameters, lr=params.lr, betas=(0.9, params.beta2), weight_decay=params.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_cosine(len(batches), params.warmup))
    history = History()
    for step, batch in enumerate(tqdm(batches, desc=label, unit="step", disable=None), start=1):
        chosen = next(numbers)
        each, accuracies = losses(rows[batch.to(rows.device)], chosen)
        optimizer.zero_grad(set_to_none=True)
        each.mean().backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, params.clip)
        history.add(step, each, accuracies, norm, float(schedule.get_last_lr()[0]), label)
        history.add_pairs(step, [pairs[int(number)] for number in chosen], accuracies)
        optimizer.step()
        schedule.step()
        if watch is not None and step % epoch == 0:
            history.held_out_loss.append(watch())
    return history


def contrast(
    connectors: Sequence[Connector], pairs: Sequence[PairName], rows: Tensor, data: Normalised, scale: float
) -> tuple[Tensor, Tensor]:
    """Return each pair's loss and accuracy on the captions `rows`; an encoder's features are read once."""
    image_rows = data.features.image_of_text_M[rows]
    image = {slug: data.image[slug][image_rows] for slug in dict.fromkeys(pair[0] for pair in pairs)}
    text = {slug: data.text[slug][rows] for slug in dict.fromkeys(pair[1] for pair in pairs)}
    results = [
        info_nce(forward(connector, text[pair[1]]), image[pair[0]], scale)
        for connector, pair in zip(connectors, pairs, strict=True)
    ]
    losses, accuracies = zip(*results, strict=True)
    return torch.stack(losses), torch.stack(accuracies)


def sample_batches(count: int, batch: int, epochs: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield shuffled batches of numbers below `count`; the last, incomplete one of an epoch is left out."""
    batch = min(batch, count)
    for _ in range(epochs):
        order = torch.randperm(count, generator=generator)
        yield from order[: count - count % batch].split(batch)


def pair_batches(count: int, bm: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield `bm` different pair numbers a step, for ever; every pair comes equally often."""
    order = torch.empty(0, dtype=torch.long)
    while True:
        if len(order) < bm:
            fresh = torch.randperm(count, generator=generator)
            # Pairs left over from the last round go first; the new round must not repeat them in this step.
            order = torch.cat([order, fresh[~torch.isin(fresh, order)], fresh[torch.isin(fresh, order)]])
        yield order[:bm]
        order = order[bm:]


def warmup_cosine(steps: int, warmup: float) -> Callable[[int], float]:
    """Return the factor of the learning rate at each step: a linear rise, then half a cosine towards 0."""
    rise = max(1, round(steps * warmup))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    return factor

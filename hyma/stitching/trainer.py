"""The training loop that grid search and the hypernetwork share.

Grid search is the case of one pair whose connector is itself the parameter; the hypernetwork predicts the
connectors of ``bm`` pairs a step. Letters: B samples of a batch, P pairs.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from tqdm import tqdm

from hyma.common import parallel
from hyma.common.errors import HymaError
from hyma.common.names import PairName
from hyma.common.precision import autocast, resolve
from hyma.stitching.adamw import AdamW
from hyma.stitching.params import TrainingParams
from hyma.stitching.schedule import pair_batches, sample_batches, warmup_cosine

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
        parallel.go_on()
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
        self.adamw = AdamW(
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

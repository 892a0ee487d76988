"""The params sections of HYMA's search and of the methods that build on it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, FiniteFloat, model_validator

from hyma.common.names import DecoderKind
from hyma.common.params import Rule, Section, Values, by_rule
from hyma.stitching.params import GridParams, TrainingParams, batch_of, least_epochs

PAIRS = 27
"""Pairs a step beyond which memory matters more than speed."""


def share_of_grid(parts: int) -> Rule:
    """The rule of a budget in FLOPs: one in so many `parts` of what grid search costs by its own rules."""

    def rule(sizes: Any, _: Values) -> float:
        from hyma.stitching import grid  # slow to load, and not needed to read params

        return sum(grid.cost(sizes, GridParams(**by_rule(GridParams, {}, sizes))).values()) / parts

    return rule


def _epochs(train: int) -> int:
    """Fewer, the more captions there are: 9 of a thousand, 3 of ten thousand, 1 from forty thousand on."""
    return max(1, min(10, round(300 / train**0.5)))


class HymaParams(TrainingParams):
    """Section ``hyma``: the hypernetwork's search.

    The rules of the factorised decoder were found on one drawn world and held on another: with 1,000, 3,000 and 10,000
    captions its connectors score, on average, no more than a point below grid search's.
    """

    lr: float = Field(0.015, allow_inf_nan=False, gt=0)
    beta2: float = Field(0.99, gt=0, lt=1, description="AdamW's second decay; lower tames unstable encoders")
    decoder: DecoderKind = "factorised"
    bm: int = Field(1, ge=1, description="pairs a step")
    balance: bool = Field(
        False,
        description="bring every pair's gradient to one length, so that no unruly encoder drowns the others",
    )
    samples: int = Field(4000, ge=2, description="factorised: captions that the closed form starts from")
    components: int = Field(256, ge=1, description="factorised: components kept of every encoder's features")
    shrinkage: float = Field(
        0.3, allow_inf_nan=False, gt=0, description="factorised: ridge added to every component's variance"
    )
    code_dim: int = Field(32, ge=1, description="dense: width of the codes of encoders and layers")
    widths: list[int] = Field([128, 512], description="dense: hidden widths of the shared MLP")

    RULES: ClassVar[Mapping[str, Rule]] = {
        "bm": lambda sizes, _: min(PAIRS, len(sizes.seen)),
        "batch": batch_of(112),
        "epochs": lambda sizes, own: max(_epochs(sizes.train), least_epochs(sizes, own)),
        "components": lambda sizes, _: min(sizes.connector.hidden, max(16, sizes.train // 4)),
        "samples": lambda sizes, _: 8 * sizes.connector.hidden,
        "shrinkage": lambda sizes, _: round(max(0.3, 300 / sizes.train), 4),
    }

    @model_validator(mode="after")
    def _widths(self) -> "HymaParams":
        if not self.widths or min(self.widths) < 1:
            raise ValueError("widths should be a list of at least one positive number")
        return self


class RefineParams(Section):
    """Section ``refine``: HYMA's best pairs trained further, as grid search would."""

    top: int = Field(5, ge=1, description="how many pairs")
    flops: float = Field(2e11, gt=0, allow_inf_nan=False, description="the budget, for all of them together")
    batch: int = Field(256, ge=2)
    lr: float = Field(3e-3, allow_inf_nan=False, gt=0)
    beta2: float = Field(0.999, gt=0, lt=1)
    weight_decay: float = Field(0.0, allow_inf_nan=False, ge=0)
    warmup: float = Field(0.1, ge=0, le=1)
    clip: float = Field(1.0, allow_inf_nan=False, gt=0)
    RULES: ClassVar[Mapping[str, Rule]] = {"batch": batch_of(256), "flops": share_of_grid(20)}


class UnimodalParams(Section):
    """Section ``unimodal``: published scores of the encoders of a side, used instead of the probe's."""

    image: dict[str, FiniteFloat] = Field(default_factory=dict)
    text: dict[str, FiniteFloat] = Field(default_factory=dict)


class RecordedParams(Section):
    """A ranking that somebody gave and that was written down: a language model, a colleague."""

    file: Path = Field(
        description='json: {"model", "date", "question", "ranking": [pair, …]}, best pair first'
    )

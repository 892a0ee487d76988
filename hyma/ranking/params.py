"""The params sections of the oracle: how many pairs are trained on their own, to hold the ranking against."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from hyma.common.params import Rule, Section

OracleKind = Literal["full", "audit", "none"]
"""``full`` trains every pair as grid search does; ``audit`` the finals and a sample; ``none`` no pair."""


By = Literal["choose", "held_out"]
"""What pairs and connectors are picked by: ``choose``, one half of every benchmark, whose other half is reported;
``held_out``, what a method says itself, and of connectors the recall on held-out training captions."""


class RankParams(Section):
    """Section ``rank``."""

    by: By = Field(
        "choose",
        description="what pairs and connectors are picked by: choose (half of each benchmark) or held_out (captions)",
    )


class FinalsParams(Section):
    """Section ``finals``: the top pairs of the ranking, trained to the end; the best becomes the winner."""

    top: int = Field(3, ge=1, description="how many; auto: a ninth of all pairs, at least 2")
    RULES: ClassVar[Mapping[str, Rule]] = {"top": lambda sizes, _: finals(len(sizes.pairs))}


class AuditParams(Section):
    """Section ``audit``: other pairs, drawn by lot over the whole ranking, that say how far it can be trusted."""

    pairs: int = Field(
        4, ge=0, description="how many; auto: a seventh of all pairs, at least 3, if there are"
    )
    RULES: ClassVar[Mapping[str, Rule]] = {"pairs": lambda sizes, _: sampled(len(sizes.pairs))}


def finals(pairs: int) -> int:
    """The rule of ``finals.top``."""
    return min(pairs, max(2, round(pairs / 9)))


def sampled(pairs: int) -> int:
    """The rule of ``audit.pairs``: where few pairs are left, all of these."""
    return min(pairs - finals(pairs), max(3, round(pairs / 7)))

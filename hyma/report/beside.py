"""What reports/methods.md of an experiment beside the default says of both: does the order of methods hold?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hyma.common.names import MAIN
from hyma.ranking import choice
from hyma.ranking.agreement import agreement
from hyma.report import markdown

Json = dict[str, Any]
RELATIVE = "relative_regret"


@dataclass(frozen=True)
class Both:
    """A figure of each method that ran in both experiments."""

    here: Mapping[str, float]
    there: Mapping[str, float]

    @property
    def rho(self) -> float | None:
        """How the methods' order by it agrees between the experiments; None of fewer than three, or all alike."""
        if len(self.here) < 3 or min(len(set(self.here.values())), len(set(self.there.values()))) < 2:
            return None
        found = agreement(self.there, self.here)["spearman"]
        return None if found is None else float(found)

    def best(self, count: int = 3) -> tuple[list[str], list[str]]:
        """The first methods here and there."""
        first, second = (
            sorted(of, key=of.__getitem__, reverse=True)[:count] for of in (self.here, self.there)
        )
        return first, second

    def furthest(self) -> str:
        """The method whose figures differ most."""
        return max(self.here, key=lambda method: abs(self.here[method] - self.there[method]))

    def only(self, methods: list[str]) -> "Both":
        """The same of these methods."""
        return Both(*({name: of[name] for name in of if name in methods} for of in (self.here, self.there)))


def section(ranking: Json, other: Json) -> str:
    """Markdown below a heading of its own; empty where there is nothing to compare, or no oracle in either."""
    if not other or not ranking["oracle"] or not other["oracle"]:
        return ""
    order = _both(ranking, other, lambda of, method: of["overall"][method]["spearman"])
    if len(order.here) < 3:
        return ""
    stitched = [method for method in order.here if method in ranking["connectors"]]
    return markdown.page(
        "beside",
        ranking,
        order=order,
        stitched=order.only(stitched),
        unstitched=order.only([method for method in order.here if method not in stitched]),
        signal=_both(ranking, other, lambda of, method: of["own"][method]["overall"]["spearman"]),
        regret=_both(ranking, other, lambda of, method: of["overall"][method][RELATIVE]),
        strength=_both(ranking, other, _strength),
        split=(_split(ranking), _split(other)),
        main=MAIN,
    ).rstrip()


def _both(ranking: Json, other: Json, figure: Callable[[Json, str], float | None]) -> Both:
    """The figure of every method but the oracle that has it in both, cheapest first."""
    kept: dict[str, tuple[float, float]] = {}
    for method in choice.by_cost(ranking):
        if method in (ranking["oracle"], "random") or method not in other["overall"]:
            continue
        here, there = figure(ranking, method), figure(other, method)
        if here is not None and there is not None:
            kept[method] = (here, there)
    return Both(*({method: own[place] for method, own in kept.items()} for place in (0, 1)))


def _strength(of: Json, method: str) -> float | None:
    """The mean score of a method's connectors of all pairs, as a share of the oracle's."""
    mean, count = choice.mean_score(of, method)
    whole, _ = choice.mean_score(of, of["oracle"])
    return mean / whole if mean is not None and whole and count == of["pairs"] else None


def _split(of: Json) -> Json | None:
    found = of.get("pairing")
    return found["split"]["mean"] if found else None

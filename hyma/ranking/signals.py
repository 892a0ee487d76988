"""What the pairs are scored by: a method's own signal, and what its connectors score on either half of the benchmarks.

What is chosen is chosen by one half, or by what a method says itself; what is reported is the other half's.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hyma.common.errors import HymaError
from hyma.common.names import ORACLE
from hyma.ranking.params import By

Json = dict[str, Any]
Of = dict[str, float]
"""Pair → score; -inf where the pair failed."""
Scores = dict[str, Of]
"""Method → pair → score."""
Half = Literal["choose", "report"]


@dataclass(frozen=True)
class Signals:
    """All scores of all methods."""

    own: Scores
    """Each method's own signal: without any benchmark."""
    choose: dict[str, Scores]
    """Benchmark → what the connectors score on the half that chooses, of methods that have any."""
    report: dict[str, Scores]
    """Benchmark → the same on the half that is reported."""

    @property
    def stitched(self) -> list[str]:
        """The methods with connectors."""
        return list(next(iter(self.choose.values())))

    def chosen(self, by: By, method: str, name: str | None = None) -> Of:
        """What a method's pairs are picked by, on one benchmark or over all.

        Args:
            by: ``choose``: its connectors' scores there, if it has any; else its own signal.
            method: the method.
            name: the benchmark; all, unless given.
        """
        if by == "choose" and method in self.stitched:
            return self.choose[name][method] if name else mean(self.choose, method)
        return self.own[method]

    def reported(self, method: str, name: str | None = None) -> Of | None:
        """What a method's connectors score on the reported half, on one benchmark or over all; None without any."""
        if method not in self.stitched:
            return None
        return self.report[name][method] if name else mean(self.report, method)


def read(benchmarks: Mapping[str, Json], records: Mapping[str, Json], trained: Collection[str]) -> Signals:
    """Gather them.

    Args:
        benchmarks: name → content of metrics/benchmarks/<name>.json.
        records: method → its record.
        trained: the pairs that the oracle trained; all, if there are none.

    Raises:
        HymaError: if a method lacks a pair.
    """
    failed = {method: dict.fromkeys(record["failed"], -math.inf) for method, record in records.items()}
    stitched = [method for method, record in records.items() if record["connectors"] != "none"]

    def measured(half: Half) -> dict[str, Scores]:
        found = {name: of_half(content, half) for name, content in benchmarks.items()}
        _refuse_missing(found, {method: records[method] for method in stitched}, trained)
        return {
            name: {method: of[method] | failed[method] for method in stitched} for name, of in found.items()
        }

    own = {method: record["scores"] | failed[method] for method, record in records.items()}
    return Signals(own, measured("choose"), measured("report"))


def of_half(benchmark: Json, half: Half) -> Scores:
    """The scores on one half of a benchmark, under the protocol that ranks, from its content."""
    methods = benchmark["protocols"][benchmark["protocol"]]["methods"]
    return {
        method: {pair: parts[half]["score"] for pair, parts in pairs.items()}
        for method, pairs in methods.items()
    }


def mean(scores: Mapping[str, Scores], method: str) -> Of:
    """Each pair's score averaged over the benchmarks."""
    pairs = next(iter(scores.values()))[method]
    return {pair: float(np.mean([of[method][pair] for of in scores.values()])) for pair in pairs}


def best_first(scores: Mapping[str, float]) -> list[str]:
    """The pairs by their scores, of equal ones by name; those that failed last."""
    return sorted(scores, key=lambda pair: (-scores[pair], pair))


def _refuse_missing(
    scores: Mapping[str, Scores], records: Mapping[str, Json], trained: Collection[str]
) -> None:
    """Every benchmark needs every stitching method's score of every pair that it looked at, but failed ones."""
    for name, of in scores.items():
        for method, record in records.items():
            looked = trained if method == ORACLE and trained else record["scores"]
            known = of.get(method, {})
            missing = [pair for pair in looked if pair not in known and pair not in record["failed"]]
            if missing:
                raise HymaError(
                    f"metrics/benchmarks/{name}.json: no score of {method} for pair {missing[0]} "
                    f"({len(missing)} missing); run `dvc repro` again"
                )

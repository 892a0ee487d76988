"""Where two pairs differ, item by item: what both get right, what only one of them does."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
from tqdm import tqdm

from hyma.common.errors import HymaError
from hyma.common.names import ORACLE
from hyma.common.prepared import Prepared
from hyma.evaluation import last_run
from hyma.ranking import choice
from hyma.report.gallery import UNIT, Item, Judged, draw, judge
from hyma.stitching.connectors import Stitch

Json = dict[str, Any]
EACH = 6
"""Items that only the one pair gets right to show of every benchmark, and of the other."""


@dataclass(frozen=True)
class Counts:
    """How many items of a benchmark each of two pairs gets right, and what they score there."""

    unit: str
    items: int
    both: int
    only_first: int
    only_second: int
    neither: int
    score_first: float
    score_second: float
    chance: float
    """How often two equally good pairs would differ so much: the sign test on the items that one gets right."""


@dataclass(frozen=True)
class Example:
    """An item that only one pair gets right, as both see it."""

    number: int
    first: Item
    second: Item


@dataclass(frozen=True)
class Difference:
    """One benchmark."""

    counts: Counts
    data: Prepared
    examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True)
class Comparison:
    """Two pairs on the reported halves of all benchmarks of the last run, by the connectors of one method."""

    first: str
    second: str
    method: str
    label: str
    benchmarks: dict[str, Difference]

    def as_json(self) -> Json:
        """The counts and scores, for machines."""
        return {
            "first": self.first,
            "second": self.second,
            "method": self.method,
            "benchmarks": {name: asdict(own.counts) for name, own in self.benchmarks.items()},
        }


def compare(first: str, second: str, method: str | None = None, each: int = EACH) -> Comparison:
    """Compare two pairs by what the last run left in this folder.

    Args:
        first: a pair, ``<image slug>-<text slug>``.
        second: another one.
        method: whose connectors; unless named, the oracle's if it trained all pairs, else HYMA's.
        each: examples a benchmark of what only the first gets right, and of what only the second does.

    Raises:
        HymaError: if there is no such pair or method, or nothing has run here.
    """
    ranking = last_run.ranking()
    method = _method(method or choice.reference(ranking), ranking)
    first, second = (_pair(name, choice.pairs(ranking)) for name in (first, second))
    for pair in (first, second):
        if pair not in ranking["scores"][method]:
            trained = ", ".join(ranking["scores"][method])
            raise HymaError(
                f"--method {method}: it did not train {pair}, only {trained}; name another method, or set oracle: full "
                "in params.yaml and run `dvc repro`"
            )
    if first == second:
        raise HymaError(f"{first}: both pairs are the same; name two different ones")
    stitches = {pair: last_run.stitch(method, pair) for pair in (first, second)}
    names = tqdm(ranking["benchmarks"], desc="compare", unit="benchmark", leave=False, disable=None)
    found = {name: _difference(name, stitches, each) for name in names}
    return Comparison(first, second, method, ranking["methods"][method]["label"], found)


def _difference(name: str, stitches: Mapping[str, Stitch], each: int) -> Difference:
    """One benchmark, by the connectors of both pairs."""
    bench, evaluator = last_run.benchmark(name)
    data = bench.data
    embedded = [last_run.embeddings(bench, pair, stitch) for pair, stitch in stitches.items()]
    first, second = (judge(data, evaluator, *both) for both in embedded)
    scores = tuple(evaluator.score(*both, "report")["score"] for both in embedded)
    own_I = first.reported_I
    counts = count(first.right_I[own_I], second.right_I[own_I], UNIT[data.meta.task], (scores[0], scores[1]))
    return Difference(counts, data, examples(first, second, each))


def count(first_I: np.ndarray, second_I: np.ndarray, unit: str, scores: tuple[float, float]) -> Counts:
    """Count what both get right, one, or none.

    Args:
        first_I: which items the first pair gets right, bool [I].
        second_I: which the second does.
        unit: what the items are.
        scores: the scores of both.
    """
    from scipy.stats import binomtest  # slow to load

    only_first, only_second = int((first_I & ~second_I).sum()), int((second_I & ~first_I).sum())
    differ = only_first + only_second
    return Counts(
        unit=unit,
        items=len(first_I),
        both=int((first_I & second_I).sum()),
        only_first=only_first,
        only_second=only_second,
        neither=int((~first_I & ~second_I).sum()),
        score_first=scores[0],
        score_second=scores[1],
        chance=float(binomtest(only_first, differ).pvalue) if differ else 1.0,
    )


def examples(first: Judged, second: Judged, each: int, seed: int = 0) -> list[Example]:
    """Draw items of the reported half that only the first gets right, then items that only the second does."""
    own_I = first.reported_I
    numbers = draw(first.right_I & ~second.right_I & own_I, each, seed)
    numbers += draw(second.right_I & ~first.right_I & own_I, each, seed)
    return [Example(number, first.item(number), second.item(number)) for number in numbers]


def _pair(name: str, known: Collection[str]) -> str:
    pair = name.replace(" × ", "-")  # as the reports write it
    if pair not in known:
        raise HymaError(f"{name}: no such pair in the last run; {_near(pair, known)}")
    return pair


def _method(name: str, ranking: Json) -> str:
    if name == ORACLE and name not in ranking["methods"]:
        raise HymaError(
            f"--method {name}: no pair was trained on its own; name another method, or set oracle: audit or full in "
            "params.yaml and run `dvc repro`"
        )
    if name not in ranking["scores"]:
        what = "only scores pairs" if name in ranking["methods"] else "is no method of the last run"
        raise HymaError(f"--method {name}: {what}; with connectors: {', '.join(ranking['scores'])}")
    return name


def _near(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"its pairs are such as {next(iter(known))}"

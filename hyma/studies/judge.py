"""Judging connectors in memory: all benchmarks are loaded once, then every method's pairs are scored on them.

As in the main pipeline one half of every benchmark says which pairs a method picks, the other what they are worth.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hyma.evaluation.assess import embed_image, embed_text
from hyma.evaluation.benchmark import Benchmark
from hyma.evaluation.evaluator import Evaluator
from hyma.evaluation.halves import HALVES, Half
from hyma.evaluation.params import EvaluateParams
from hyma.ranking.agreement import Agreement, agreement
from hyma.stitching.connectors import Stitch

Scores = dict[str, dict[str, float]]
"""Benchmark → pair → score."""
Items = dict[str, np.ndarray]
"""Benchmark → the pairs' scores of its items [P, I]."""


@dataclass(frozen=True)
class Halves:
    """Scores on both halves of all benchmarks."""

    choose: Scores
    report: Scores


class Judge:
    """All benchmarks under the protocol that ranks, with every encoder's features of them."""

    def __init__(
        self, names: Sequence[str], images: Sequence[str], texts: Sequence[str], params: EvaluateParams
    ):
        """Load the benchmarks `names` and the features of the encoders on them."""
        self.salt = params.salt
        self.evaluators: dict[str, Evaluator] = {}
        self.features: dict[str, dict[str, np.ndarray]] = {}
        for name in names:
            bench = Benchmark(name, self.salt)
            self.evaluators[name] = bench.evaluators[bench.ranking(params)]
            self.features[name] = {slug: bench.features("image", slug) for slug in images} | {
                slug: bench.features("text", slug) for slug in texts
            }

    def changed(self, slug: str, change: Callable[[np.ndarray], np.ndarray]) -> "Judge":
        """The same benchmarks with one encoder's features [N, D] changed."""
        other = copy.copy(self)
        other.features = {name: of | {slug: change(of[slug])} for name, of in self.features.items()}
        return other

    def parted(self, salt: int) -> "Judge":
        """The same benchmarks in other halves."""
        other = copy.copy(self)
        other.salt = salt
        other.evaluators = {
            name: Evaluator(own.data, own.protocol, salt) for name, own in self.evaluators.items()
        }
        return other

    def items(
        self, stitches: Mapping[str, Stitch], salts: Sequence[int] = ()
    ) -> dict[int, dict[Half, Items]]:
        """Return each benchmark's item scores, half by half, pairs in the order of `stitches`.

        Args:
            stitches: pair → its connector.
            salts: of the halves that are wanted; the judge's own, unless given.

        Returns:
            Salt → half → benchmark → [P, I].
        """
        parted = {salt: self.parted(salt).evaluators for salt in salts or (self.salt,)}
        found: dict[int, dict[Half, dict[str, list[np.ndarray]]]] = {
            salt: {half: {name: [] for name in self.evaluators} for half in HALVES} for salt in parted
        }
        for pair, stitch in stitches.items():
            image, text = pair.split("-")
            for name, evaluator in self.evaluators.items():
                features = self.features[name]
                marks = evaluator.marks(
                    embed_image(stitch, features[image]), embed_text(stitch, features[text])
                )
                for salt, evaluators in parted.items():
                    for half in HALVES:
                        found[salt][half][name].append(marks.items(evaluators[name].of(half)))
        return {
            salt: {half: {name: np.stack(rows) for name, rows in of.items()} for half, of in halves.items()}
            for salt, halves in found.items()
        }

    def scores(self, stitches: Mapping[str, Stitch]) -> Halves:
        """Return every pair's score on both halves of every benchmark."""
        (items,) = self.items(stitches).values()
        return Halves(*(as_scores(items[half], list(stitches)) for half in HALVES))


def as_scores(items: Mapping[str, np.ndarray], pairs: Sequence[str]) -> Scores:
    """Means of the item scores [P, I], by pair."""
    return {
        name: dict(zip(pairs, items_PI.mean(1, dtype=np.float64).tolist(), strict=True))
        for name, items_PI in items.items()
    }


def mean_scores(scores: Scores) -> dict[str, float]:
    """Each pair's score averaged over the benchmarks."""
    return {
        pair: float(np.mean([of[pair] for of in scores.values()])) for pair in next(iter(scores.values()))
    }


def compare(oracle: Scores, own: Halves) -> dict[str, float | None]:
    """The figures that studies report of a method against the oracle.

    Args:
        oracle: its scores on the reported halves.
        own: the method's: it picks by one half, and is worth what it scores on the other.

    Returns:
        ``spearman`` and ``relative_regret`` on the mean score; ``spearman_benchmarks`` and ``ndcg@5``, means
        over the benchmarks; ``mean_score`` over all pairs and benchmarks.
    """
    overall = agreement(mean_scores(oracle), mean_scores(own.choose))
    each = [agreement(oracle[name], own.choose[name]) for name in oracle]
    return {
        "spearman": _number(overall["spearman"]),
        "relative_regret": _number(overall["relative_regret"]),
        "spearman_benchmarks": _mean(each, "spearman"),
        "ndcg@5": _mean(each, "ndcg@5"),
        "mean_score": float(np.mean(list(mean_scores(own.report).values()))),
    }


def _number(value: float | str | None) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _mean(rows: Sequence[Agreement], key: str) -> float | None:
    values = [value for row in rows if (value := _number(row[key])) is not None]
    return float(np.mean(values)) if values else None

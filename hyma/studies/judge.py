"""Judging connectors in memory: all benchmarks are loaded once, then every method's pairs are scored on them."""

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hyma.evaluation.assess import embed_image, embed_text
from hyma.evaluation.benchmark import Benchmark
from hyma.evaluation.evaluator import Evaluator
from hyma.evaluation.params import EvaluateParams
from hyma.ranking.agreement import Agreement, agreement
from hyma.stitching.connectors import Stitch

Scores = dict[str, dict[str, float]]
"""Benchmark → pair → score."""


class Judge:
    """All benchmarks under the protocol that ranks, with every encoder's features of them."""

    def __init__(
        self, names: Sequence[str], images: Sequence[str], texts: Sequence[str], params: EvaluateParams
    ):
        """Load the benchmarks `names` and the features of the encoders on them."""
        self.evaluators: dict[str, Evaluator] = {}
        self.features: dict[str, dict[str, np.ndarray]] = {}
        for name in names:
            bench = Benchmark(name)
            self.evaluators[name] = bench.evaluators[bench.ranking(params)]
            self.features[name] = {slug: bench.features("image", slug) for slug in images} | {
                slug: bench.features("text", slug) for slug in texts
            }

    def changed(self, slug: str, change: Callable[[np.ndarray], np.ndarray]) -> "Judge":
        """The same benchmarks with one encoder's features [N, D] changed."""
        other = copy.copy(self)
        other.features = {name: of | {slug: change(of[slug])} for name, of in self.features.items()}
        return other

    def items(self, stitches: Mapping[str, Stitch]) -> dict[str, np.ndarray]:
        """Return each benchmark's item scores [P, I], pairs in the order of `stitches`."""
        found: dict[str, list[np.ndarray]] = {name: [] for name in self.evaluators}
        for pair, stitch in stitches.items():
            image, text = pair.split("-")
            for name, evaluator in self.evaluators.items():
                features = self.features[name]
                sides = embed_image(stitch, features[image]), embed_text(stitch, features[text])
                found[name].append(evaluator.items(*sides))
        return {name: np.stack(rows) for name, rows in found.items()}

    def scores(self, stitches: Mapping[str, Stitch]) -> Scores:
        """Return every pair's score on every benchmark."""
        return as_scores(self.items(stitches), list(stitches))


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


def compare(oracle: Scores, own: Scores) -> dict[str, float | None]:
    """The figures that studies report of a method against the oracle.

    Returns:
        ``spearman`` and ``relative_regret`` on the mean score; ``spearman_benchmarks`` and ``ndcg@5``, means
        over the benchmarks; ``mean_score`` over all pairs and benchmarks.
    """
    overall = agreement(mean_scores(oracle), mean_scores(own))
    each = [agreement(oracle[name], own[name]) for name in oracle]
    return {
        "spearman": _number(overall["spearman"]),
        "relative_regret": _number(overall["relative_regret"]),
        "spearman_benchmarks": _mean(each, "spearman"),
        "ndcg@5": _mean(each, "ndcg@5"),
        "mean_score": float(np.mean(list(mean_scores(own).values()))),
    }


def _number(value: float | str | None) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _mean(rows: Sequence[Agreement], key: str) -> float | None:
    values = [value for row in rows if (value := _number(row[key])) is not None]
    return float(np.mean(values)) if values else None

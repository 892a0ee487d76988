"""Scores of pairs on a benchmark in memory, as the stage that evaluates writes them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hyma.common.prepared import Prepared
from hyma.evaluation import assess as scoring
from hyma.evaluation.benchmark import Benchmark
from hyma.evaluation.params import EvaluateParams
from hyma.stitching.connectors import Stitch


def assess(
    name: str,
    data: Prepared,
    features: Mapping[str, np.ndarray],
    methods: Mapping[str, Mapping[str, Stitch]],
    params: EvaluateParams,
) -> dict[str, Any]:
    """The content of metrics/benchmarks/<name>.json."""
    bench = Benchmark.__new__(Benchmark)  # not from a folder
    bench.slug, bench.data, bench.salt = name, data, params.salt
    scores = {
        method: scoring.score(bench.evaluators, lambda _, slug, __: features[slug], stitches)
        for method, stitches in methods.items()
    }
    return scoring.content(bench, scores, params)

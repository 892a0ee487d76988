"""Each method held against what the oracle scores on the reported half: by what it picks by, and twice alike.

*Own*: the method's own signal, all methods alike: what it says of the pairs without any benchmark. *Connectors*: what
its connectors score on the half of the benchmarks that chooses, of methods that have any.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hyma.ranking.agreement import Agreement, agreement, pick
from hyma.ranking.params import By
from hyma.ranking.signals import Of, Signals

Json = dict[str, Any]
Found = dict[str, dict[str, Agreement]]
"""Benchmark → method → its agreement with the oracle there."""


def picked(signals: Signals, by: By, methods: Sequence[str], oracle: str | None) -> tuple[Found, Json, Json]:
    """Judge these methods by what their pairs are picked by.

    Args:
        signals: all scores.
        by: what pairs are picked by.
        methods: those to judge.
        oracle: whom they are held against; None where it did not train every pair: then there are picks alone.

    Returns:
        By benchmark; their means over the benchmarks; and on the mean score. Each with ``score``, what the method's own
        connector of the pick scores.
    """
    found = {
        name: {
            method: _one(signals, signals.chosen(by, method, name), method, oracle, name)
            for method in methods
        }
        for name in signals.report
    }
    means = {method: average([of[method] for of in found.values()]) for method in methods}
    overall = {method: _one(signals, signals.chosen(by, method), method, oracle) for method in methods}
    return found, means, overall


def alike(signals: Signals, by: By, methods: Sequence[str], oracle: str | None) -> Json:
    """One signal of all these methods that have it: method → ``mean`` over the benchmarks, ``overall``.

    Args:
        signals: all scores.
        by: ``held_out``: their own signals; ``choose``: their connectors'.
        methods: those to judge.
        oracle: as for `picked`.
    """
    kept = [method for method in methods if by == "held_out" or method in signals.stitched]
    _, means, overall = picked(signals, by, kept, oracle)
    return {method: {"mean": means[method], "overall": overall[method]} for method in kept}


def average(rows: Sequence[Agreement]) -> Agreement:
    """Each measure averaged over the benchmarks on which it is defined."""
    result: Agreement = {}
    for key in rows[0].keys() - {"pair", "picks", "regret_std"}:
        values = [value for row in rows if isinstance(value := row[key], int | float)]
        result[key] = float(np.mean(values)) if values else None
    return dict(sorted(result.items()))


def _one(signals: Signals, own: Of, method: str, oracle: str | None, name: str | None = None) -> Agreement:
    truth = signals.reported(oracle, name) if oracle else None
    found = pick(own) if truth is None else agreement(truth, own)
    return {"score": _worth(own, signals.reported(method, name))} | found


def _worth(own: Of, connectors: Mapping[str, float] | None) -> float | None:
    """What a method's own connector of its pick scores, of several picks the mean; None where it has none."""
    best = max(own.values())
    values = [connectors[pair] for pair, score in own.items() if score == best] if connectors else []
    return float(np.mean(values)) if values and math.isfinite(sum(values)) else None

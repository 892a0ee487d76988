"""The pair to stitch, and whose connector of it: by what chooses, and by nothing that is reported."""

import math
from collections.abc import Mapping
from typing import Any

from hyma.common.names import MAIN, ORACLE
from hyma.ranking.params import By
from hyma.ranking.signals import Scores, Signals, best_first

Json = dict[str, Any]


def connectors(signals: Signals, by: By, held_out: Scores | None) -> Scores:
    """What the connectors of a pair are chosen by among all methods': alike for all of them.

    Args:
        signals: all scores.
        by: ``choose``: their scores on the half of the benchmarks that chooses.
        held_out: else: recall on held-out training captions, which not every method's own signal is.
    """
    if by == "held_out":
        assert held_out is not None, "recall on held-out captions was not taken"
        return {method: held_out[method] for method in signals.stitched}
    return {method: signals.chosen(by, method) for method in signals.stitched}


def winner(signals: Signals, by: By, choosing: Scores, oracle: str) -> Json:
    """The pair and the method, and what that connector scores on the reported half.

    Of an audit it is the best pair that was trained on its own; else the one that HYMA puts first over all benchmarks.

    Args:
        signals: all scores.
        by: what pairs are picked by.
        choosing: what `connectors` gave.
        oracle: ``full``, ``audit`` or ``none``.
    """
    chooser = ORACLE if oracle == "audit" or MAIN not in signals.stitched else MAIN
    pair = best_first(signals.chosen(by, chooser))[0]
    scores = {method: of[pair] for method, of in choosing.items() if of.get(pair, -math.inf) > -math.inf}
    method = max(sorted(scores), key=scores.__getitem__)
    worth: Mapping[str, float] = signals.reported(method) or {}
    return {"pair": pair, "method": method, "score": worth[pair]}

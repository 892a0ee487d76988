"""What each method cost, beside what the whole grid costs."""

from collections.abc import Mapping
from typing import Any

from hyma.common.names import ORACLE

Json = dict[str, Any]


def costs(flops: Json, seconds: Mapping[str, float], full: bool) -> Json:
    """FLOPs and seconds of each method; the ratios say how many times cheaper than the whole grid it is.

    A method that computes nothing has no ratios. Where not all pairs were trained on their own, the whole grid's FLOPs
    are counted, and its seconds are unknown.

    Args:
        flops: content of metrics/flops.json.
        seconds: method → seconds of its search.
        full: whether the oracle trained every pair.
    """
    total = {method: entry["total"] for method, entry in flops["methods"].items()}
    whole = total[ORACLE] if full else flops["whole_grid"]["total"]
    return {
        method: {
            "flops": total[method],
            "seconds": seconds[method],
            "flops_ratio": whole / total[method] if total[method] else None,
            "seconds_ratio": seconds[ORACLE] / seconds[method] if total[method] and full else None,
            "parts": flops["methods"][method]["parts"],
        }
        for method in seconds
    }

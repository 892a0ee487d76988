"""What each method cost, beside what the whole grid costs."""

from collections.abc import Mapping
from typing import Any

from hyma.common.names import ORACLE

Json = dict[str, Any]


def costs(flops: Json, records: Mapping[str, Json], full: bool) -> Json:
    """What each method cost, and how many times cheaper than the whole grid it is, in FLOPs and in time.

    The time that is compared is that of the CPU, since seconds on the clock grow with all else that a machine does; on
    a GPU it is these. A method that computes nothing has no ratios. Where not all pairs were trained on their own, the
    whole grid's FLOPs are counted, and its seconds are unknown.

    Args:
        flops: content of metrics/flops.json.
        records: method → its record (see `hyma.stitching.result.save`).
        full: whether the oracle trained every pair.
    """
    total = {method: entry["total"] for method, entry in flops["methods"].items()}
    whole = total[ORACLE] if full else flops["whole_grid"]["total"]
    clock = "cpu_seconds" if full and records[ORACLE]["threads"] else "seconds"
    return {
        method: {
            "flops": total[method],
            **{key: record[key] for key in ("seconds", "cpu_seconds", "threads")},
            "flops_ratio": whole / total[method] if total[method] else None,
            "time_ratio": records[ORACLE][clock] / record[clock]
            if full and total[method] and record[clock]
            else None,
            "parts": flops["methods"][method]["parts"],
        }
        for method, record in records.items()
    }

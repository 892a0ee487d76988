"""The pages of the studies: luck of the seed, pairs never seen, pairs a step, the data budget."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hyma.ranking.params import finals, sampled
from hyma.report import markdown
from hyma.wording.markdown import decimal, flops, pair, points

Json = dict[str, Any]
Show = Callable[[Any], str]


def seeds_page(summary: Json) -> str:
    """reports/seeds.md."""
    others = dict(summary["methods"])
    low = others.pop(summary["ceiling"])["spearman"]["low"]
    means = {found["label"]: found["spearman"]["mean"] for found in others.values() if found["spearman"]}
    close = [label for label, mean in means.items() if low is not None and mean >= low]
    return markdown.page("seeds", summary, close=close, picks=_picks, spread=_spread, between=_between)


def by_flops(summary: Json) -> list[Json]:
    """The methods' entries, cheapest first."""
    return sorted(summary["methods"].values(), key=lambda found: found["flops"])


def _picks(found: Json) -> str:
    return ", ".join(dict.fromkeys(pair(pick) if pick else "any" for pick in found["picks"]))


def _spread(found: Json | None, show: Show) -> str:
    """A mean and its interval."""
    if found is None:
        return "–"
    if found["low"] is None or found["low"] == found["high"]:
        return show(found["mean"])
    return f"{show(found['mean'])} ({show(found['low'])} … {show(found['high'])})"


def _between(found: Sequence[float] | None, show: Show) -> str:
    return "–" if found is None else f"{show(found[0])} … {show(found[1])}"


def unseen_page(found: Json) -> str:
    """reports/unseen.md."""
    rho = {method: _mean(found["folds"], method, "spearman") for method in found["labels"]}
    known = {method: value for method, value in rho.items() if value is not None}
    best = max(known, key=known.__getitem__, default=None)
    return markdown.page("unseen", found, best=best, heads=_heads, mean=_mean)


def _heads(cases: Sequence[Json]) -> list[str]:
    return [f"{case['name']} ({case['pairs']} pairs): ρ" for case in cases]


def _mean(cases: Sequence[Json], method: str, key: str) -> float | None:
    """A method's mean over the cases in which a figure is defined."""
    values = [case["methods"][method][key] for case in cases]
    kept = [value for value in values if value is not None]
    return float(np.mean(kept)) if kept else None


def bm_page(found: Json) -> str:
    """reports/bm.md."""
    return markdown.page("bm", found, figures=_figures)


def budget_page(found: Json) -> str:
    """reports/budget.md."""
    return markdown.page("budget", found, rows={row["name"]: row for row in found["rows"]}, figures=_figures)


def audit_page(found: Json) -> str:
    """reports/audit.md."""
    return markdown.page("audit", found, default=(finals(found["pairs"]), sampled(found["pairs"])))


def _figures(row: Json) -> list[str]:
    """What a search gave and cost, as the tables of pairs a step and of the budget have it."""
    rho, both, ndcg = (decimal(row[key]) for key in ("spearman", "spearman_benchmarks", "ndcg@5"))
    regret, mean = points(row["relative_regret"]), points(row["mean_score"])
    return [rho, both, ndcg, regret, mean, flops(row["flops"]), f"{row['cpu_seconds']:.1f}"]

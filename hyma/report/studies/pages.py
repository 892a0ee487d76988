"""The pages of the studies: luck of the seed, pairs never seen, pairs a step, the data budget."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hyma.wording.markdown import cheaper, decimal, flops, pair, points, table, times

Json = dict[str, Any]


def seeds_page(summary: Json) -> str:
    """reports/seeds.md."""
    oracle = summary["methods"][summary["ceiling"]]
    ceiling = oracle["spearman"]["mean"]
    rows = []
    for found in by_flops(summary):
        picks = ", ".join(dict.fromkeys(pair(pick) if pick else "any" for pick in found["picks"]))
        rows.append(
            [
                found["label"],
                picks,
                _spread(found["spearman"], decimal),
                _spread(found["spearman_benchmarks"], decimal),
                _spread(found["ndcg@5"], decimal),
                _spread(found["relative_regret"], points),
                _spread(found["mean_score"], points),
                _spread(found["seconds"], lambda value: f"{value:.1f}" if value is not None else "–"),
            ]
        )
    header = [
        "method", "picks", "ρ", "ρ, mean of benchmarks", "NDCG@5", "regret, %", "mean score", "seconds",
    ]  # fmt: skip
    drawn = [
        [found["label"], *(_range(found["bootstrap"][key], show) for key, show in BOOTSTRAPPED)]
        for found in by_flops(summary)
    ]
    return _page(
        "# How much of it is luck",
        f"Every method with {summary['seeds']} seeds. Each cell is the mean and, in brackets, the 95% interval of the "
        "mean over the seeds (Student's t); an interval on so few seeds is wide, and honest. Every run is compared "
        f"with {oracle['label']} of every seed, and {oracle['label']} itself with its other seeds: "
        f"**{oracle['label']} agrees with itself at ρ = {decimal(ceiling)}**, which is the ceiling for all others.",
        verdict(summary),
        "![Agreement of every method, seed by seed](studies/seeds.png)",
        "ρ and regret are on the mean score over all benchmarks. Regret is a share of the best score.",
        table(header, rows, left=2),
        "## Luck of the benchmarks' items",
        "The benchmarks are samples too: 95% intervals of the first seed's figures when every benchmark's items "
        "(images or questions) are drawn anew with replacement, the same draw for all methods.",
        table(["method", "ρ", "regret, %", "mean score"], drawn),
    )


BOOTSTRAPPED: Any = (("spearman", decimal), ("relative_regret", points), ("mean_score", points))


def verdict(summary: Json) -> str:
    """Which methods cannot be told from the ceiling, in one sentence."""
    methods, oracle = summary["methods"], summary["ceiling"]
    floor = methods[oracle]["spearman"]["low"]
    close = [
        found["label"]
        for name, found in methods.items()
        if name != oracle and found["spearman"] and floor is not None and found["spearman"]["mean"] >= floor
    ]
    if not close:
        return "No method reaches the lower end of the ceiling's interval."
    return f"Within the ceiling's own interval: {', '.join(close)}."


def by_flops(summary: Json) -> list[Json]:
    """The methods' entries, cheapest first."""
    return sorted(summary["methods"].values(), key=lambda found: found["flops"])


def _spread(found: Json | None, show: Any) -> str:
    if found is None:
        return "–"
    if found["low"] is None or found["low"] == found["high"]:
        return str(show(found["mean"]))
    return f"{show(found['mean'])} ({show(found['low'])} … {show(found['high'])})"


def _range(found: Sequence[float] | None, show: Any) -> str:
    return "–" if found is None else f"{show(found[0])} … {show(found[1])}"


def unseen_page(found: Json) -> str:
    """reports/unseen.md."""
    parts = ["# Pairs that were never trained on"]
    parts.append(
        "Pairs are left out, every method searches on the rest, and the left-out pairs alone are ranked by it and by "
        "grid search, which trained them. *Image effect + text effect* looks at no features: it predicts a pair's "
        "score from grid search's scores of the other pairs, so it costs a grid search on these."
    )
    parts.append(best_unseen(found))
    titles = {
        "folds": "## A part of all pairs left out, fold by fold",
        "one_partner": "## A text encoder seen with a single image encoder",
    }
    for kind, title in titles.items():
        if found[kind]:
            parts += [title, _unseen_table(found, kind)]
    return _page(*parts)


def best_unseen(found: Json) -> str:
    """The method with the best mean ρ over the folds."""
    means = {method: _mean_of(found["folds"], method, "spearman") for method in found["labels"]}
    known = {method: value for method, value in means.items() if value is not None}
    if not known:
        return "Too few pairs to leave any out."
    best = max(known, key=lambda method: known[method])
    regret = _mean_of(found["folds"], best, "relative_regret")
    return (
        f"**Best on the left-out folds: {found['labels'][best]}**, ρ = {decimal(known[best])} on average, regret "
        f"{points(regret)}% of the best left-out pair."
    )


def _mean_of(cases: Sequence[Json], method: str, key: str) -> float | None:
    values = [case["methods"][method][key] for case in cases]
    kept = [value for value in values if value is not None]
    return float(np.mean(kept)) if kept else None


def _unseen_table(found: Json, kind: str) -> str:
    cases = found[kind]
    header = [
        "method",
        *(f"{case['name']} ({case['pairs']} pairs): ρ" for case in cases),
        "mean ρ",
        "mean regret, %",
    ]
    header += ["mean score", "grid search's"]
    rows = []
    for method, label in found["labels"].items():
        cells = [decimal(case["methods"][method]["spearman"]) for case in cases]
        means = [
            _mean_of(cases, method, key)
            for key in ("spearman", "relative_regret", "mean_score", "oracle_mean")
        ]
        rows.append([label, *cells, decimal(means[0]), *(points(value) for value in means[1:])])
    return table(header, rows)


def bm_page(found: Json) -> str:
    """reports/bm.md."""
    parts = [
        "# How many pairs a step",
        "HYMA draws *bm* pairs a step and shares its weights among all of them. A larger bm costs more a step and "
        f"shows every pair more data. There are {found['pairs']} pairs.",
        "![Quality against cost for every bm](studies/bm.png)",
        "## Equal steps",
        "The same number of steps for every bm: the cost grows with bm.",
        _bm_table(found["steps"]),
        "## Equal data for every pair",
        "As many epochs as it takes until every pair has seen as much as with the bm of `params.yaml`.",
        _bm_table(found["data"]),
    ]
    if found["skipped"]:
        parts.append(f"Left out, since there are fewer pairs: bm = {', '.join(map(str, found['skipped']))}.")
    return _page(*parts)


def _bm_table(rows: Sequence[Json]) -> str:
    header = [
        "bm",
        "epochs",
        "steps",
        "ρ",
        "ρ, mean of benchmarks",
        "NDCG@5",
        "regret, %",
        "mean score",
        "FLOPs",
        "seconds",
    ]
    return table(
        header, [[*(str(row[key]) for key in ("bm", "epochs", "steps")), *_figures(row)] for row in rows]
    )


def _figures(row: Json) -> list[str]:
    return [
        decimal(row["spearman"]),
        decimal(row["spearman_benchmarks"]),
        decimal(row["ndcg@5"]),
        points(row["relative_regret"]),
        points(row["mean_score"]),
        flops(row["flops"]),
        f"{row['seconds']:.1f}",
    ]


def budget_page(found: Json) -> str:
    """reports/budget.md."""
    header = [
        "search",
        "different captions",
        "captions a pair sees",
        "ρ",
        "ρ, mean of benchmarks",
        "NDCG@5",
        "regret, %",
    ]
    header += ["mean score", "FLOPs", "seconds"]
    rows = [[row["name"], str(row["captions"]), str(row["seen"]), *_figures(row)] for row in found["rows"]]
    first, *_ = found["batches"]
    batches = [
        [str(row["batch"]), str(row["steps"]), flops(row["flops"]), f"{100 * row['loss'] / row['flops']:.0f}%",
         times(row["flops"] / first["flops"])]
        for row in found["batches"]
    ]  # fmt: skip
    return _page(
        "# How much of it is only seeing less data?",
        f"HYMA shows each pair {found['budget']} captions, repeats counted. Here its rivals get the same budget: grid "
        "search on a random part of the captions, grid search stopped early, and HYMA on each pair alone, with a "
        "closed form, factors and an optimizer of its own, so that nothing is shared between pairs.",
        answer(found),
        table(header, rows),
        "## What grid search costs by batch size",
        "Counted, not run: the loss compares every sample of a batch with every other, so that a larger batch costs "
        "more at equal epochs. A ratio to grid search means little without its batch size.",
        table(
            ["batch", "steps a pair", "FLOPs, all pairs", "of these the loss", "times the first"],
            batches,
            left=0,
        ),
    )


def answer(found: Json) -> str:
    """What the table says: full HYMA against the same without sharing, and against pruned grid search."""
    rows = {row["name"]: row for row in found["rows"]}
    together, alone = rows["HYMA, all pairs together"], rows["HYMA, each pair alone"]
    pruned, full = rows["grid search, random part"], rows["grid search, all data"]
    less = cheaper(full["flops"] / pruned["flops"], "fewer FLOPs", "more FLOPs")
    shared = cheaper(alone["flops"] / together["flops"], "fewer FLOPs", "more FLOPs")
    return (
        f"**Less data alone:** grid search on a random part needs {less} and scores "
        f"{_apart(pruned['mean_score'] - full['mean_score'])} than on all data (mean over all pairs), at "
        f"ρ = {decimal(pruned['spearman'])}. **Learning together:** HYMA on all pairs needs {shared} than HYMA on "
        f"each pair alone and scores {_apart(together['mean_score'] - alone['mean_score'])}, at "
        f"ρ = {decimal(together['spearman'])} against {decimal(alone['spearman'])}."
    )


def _apart(difference: float) -> str:
    return f"{100 * abs(difference):.1f} points {'higher' if difference > 0 else 'lower'}"


def _page(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"

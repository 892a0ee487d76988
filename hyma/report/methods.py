"""The page reports/methods.md: which way of finding the pair is worth its cost."""

from typing import Any

from hyma.ranking import choice
from hyma.report.inputs import label, picked
from hyma.wording.markdown import cheaper, decimal, flops, pair, points, seconds, sentence, table, times

Json = dict[str, Any]
HOW_TO_READ = (
    "*Its pick* is the pair that the method puts first; *score* is what the method's own connector scores there, and "
    "*regret* how far the pick lies below the best pair there is, both scored by {oracle}, in points of a hundred, on "
    "the mean over the benchmarks. Where a method scores several pairs alike, the regret is the mean over them, ± its "
    "standard deviation. The first *ρ* is Spearman's correlation of the method's order of all pairs with {oracle}'s "
    "on the mean score; the second, and *NDCG@5*, are taken on every benchmark and then averaged: an order can be good "
    "on the whole and worse on each benchmark. A method without connectors has one order for all benchmarks. *Mean "
    "score* averages a method's connectors over all pairs. *FLOPs* and *seconds* are those of the search alone, on top "
    "of the features that all share; a method with none computes nothing itself, and what an answer cost elsewhere is "
    "not counted."
)
HOW_TO_SWITCH = (
    "`search.methods` in params.yaml lists the methods that run, and each has its section `search.<name>` there; "
    "`search.recorded` lists answers that somebody was asked for. Take a name out or put one in, then `dvc repro`: "
    "only what is new runs. A method of your own is one file in `hyma/methods/`."
)


def page(ranking: Json) -> str:
    """The whole page as markdown."""
    oracle = label(ranking, ranking["oracle"])
    parts = [
        "# Which way of finding the pair is worth its cost",
        advice(ranking),
        comparison(ranking),
        "![Regret and ρ against cost](figures/methods.png)",
        "The line joins the methods that no other beats at both cost and quality. Numbers are those of the table.",
        "## How each ran",
        runs(ranking),
        failures(ranking),
        "## How to read the table",
        HOW_TO_READ.format(oracle=oracle),
        "## How to switch methods",
        HOW_TO_SWITCH,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def advice(ranking: Json) -> str:
    """Three sentences: for the pick alone, for connectors of all pairs, for the whole order."""
    lines = (for_the_pick(ranking), for_connectors(ranking), for_the_order(ranking))
    return "\n".join(f"- {line}" for line in lines)


def for_the_pick(ranking: Json) -> str:
    """The cheapest method whose pick is nearly the best."""
    lead, oracle = "**For the pick alone**", label(ranking, ranking["oracle"])
    near = f"within {100 * choice.CLOSE:.0f}% of the best"
    method = choice.cheapest_good(ranking)
    if method is None:
        return f"{lead} there is no advice: no pair scores above zero."
    if method == ranking["oracle"]:
        return f"{lead} nothing cheaper than {oracle} will do: no such method picks a pair {near}."
    found = ranking["overall"][method]
    expected = " on average" if found["pair"] is None else ""
    text = (
        f"{lead} *{label(ranking, method)}* is enough: the cheapest method whose pick ({picked(found)}) is{expected} "
        f"{near}, {price(ranking, method)}; its regret is {points(found['regret'])} points."
    )
    if ranking["cost"][method]["flops"]:
        return text
    other = choice.cheapest_good(ranking, computing=True)
    if other is None or other == ranking["oracle"]:
        return f"{text} Of the methods that compute anything, none cheaper than {oracle} does as well."
    return f"{text} Of those that compute anything it is *{label(ranking, other)}*, {price(ranking, other)}."


def for_connectors(ranking: Json) -> str:
    """The cheaper method that stitches all pairs best."""
    lead, oracle = "**For connectors of all pairs**", ranking["oracle"]
    method = choice.best_connectors(ranking)
    if method is None:
        return f"{lead} there is only {label(ranking, oracle)}: no method cheaper than it gives them all."
    (own, _), (best, _) = choice.mean_score(ranking, method), choice.mean_score(ranking, oracle)
    gap = (own or 0.0) - (best or 0.0)
    size = points(abs(gap))
    beside = "level with" if size == "0.0" else f"{size} {'below' if gap < 0 else 'above'}"
    return (
        f"{lead} take *{label(ranking, method)}*: of the methods cheaper than {label(ranking, oracle)} that stitch "
        f"every pair, its connectors score best, {points(own)} points on average over all pairs, {beside} "
        f"{label(ranking, oracle)}'s, {price(ranking, method)}."
    )


def for_the_order(ranking: Json) -> str:
    """The method with the best order, and those that are beaten outright."""
    lead, oracle = "**For the whole order**", label(ranking, ranking["oracle"])
    if len(ranking["cost"]) == 1:
        return f"{lead} there is only {oracle}: no other method ran."
    method = choice.best_order(ranking)
    if method is None:
        text = f"{lead} there is no advice: {oracle}'s scores give the pairs no order."
    else:
        rho, own = ranking["overall"][method]["spearman"], label(ranking, method)
        text = f"{lead} *{own}* comes closest to {oracle} (ρ = {decimal(rho)}), {price(ranking, method)}"
        text += "." if rho > 0 else "; but no method's order agrees with it."
    return f"{text} {_beaten(ranking)}"


def _beaten(ranking: Json) -> str:
    """Methods that are not worth their cost, apart by whether they give connectors all the same."""
    beaten = choice.dominated(ranking)
    bare = ", ".join(f"*{label(ranking, m)}*" for m in beaten if m not in ranking["scores"])
    stitching = ", ".join(f"*{label(ranking, m)}*" for m in beaten if m in ranking["scores"])
    if not beaten:
        return (
            f"No method held against {label(ranking, ranking['oracle'])} is beaten outright by another one."
        )
    why = "another method is no dearer, no worse in its pick and its order, and better in one of the three"
    lines = [f"Not worth their cost, since {why}: {bare}."] if bare else []
    if stitching:
        also = "Likewise" if bare else f"For pick and order {why}, so that"
        lines.append(f"{also} only their connectors can make these worth it: {stitching}.")
    return " ".join(lines)


def price(ranking: Json, method: str) -> str:
    """What a method costs beside the oracle."""
    ratio = ranking["cost"][method]["flops_ratio"]
    if ratio is None:
        return "at no FLOPs of its own"
    return f"at {cheaper(ratio, 'fewer FLOPs', 'more FLOPs')} than {label(ranking, ranking['oracle'])}"


def comparison(ranking: Json) -> str:
    """One row a method, cheapest first."""
    header = ["", "method", "its pick", "connectors", "trains", "score", "regret", "ρ, mean score"]
    header += ["ρ, by benchmark", "NDCG@5", "mean score, all pairs", "FLOPs", "seconds"]
    header += ["× fewer FLOPs", "× less time"]
    rows = [_row(ranking, method, row) for row, method in enumerate(choice.by_cost(ranking), start=1)]
    return table(header, rows, left=5)


def _row(ranking: Json, method: str, number: int) -> list[str]:
    about, found, mean, spent = (ranking[part][method] for part in ("methods", "overall", "mean", "cost"))
    spread = f" ± {points(found['regret_std'])}" if found["pair"] is None else ""
    average, of = choice.mean_score(ranking, method)
    some = f" ({of} of {ranking['pairs']})" if 0 < of < ranking["pairs"] else ""
    return [
        str(number),
        f"**{about['label']}** (the oracle)" if method == ranking["oracle"] else about["label"],
        picked(found),
        about["connectors"],
        "yes" if about["trains"] else "no",
        points(found["score"]),
        points(found["regret"]) + spread,
        decimal(found["spearman"]),
        decimal(mean["spearman"]),
        decimal(mean["ndcg@5"]),
        points(average) + some,
        flops(spent["flops"]),
        seconds(spent["seconds"]),
        times(spent["flops_ratio"]),
        times(spent["seconds_ratio"]),
    ]


def runs(ranking: Json) -> str:
    """What a reader should know of each run, and which method makes it needless."""
    beaten = choice.dominated(ranking)
    rows = [
        [
            label(ranking, method),
            "; ".join(f"{key}: {note}" for key, note in ranking["methods"][method]["notes"].items()) or "–",
            label(ranking, beaten[method]) if method in beaten else "–",
        ]
        for method in choice.by_cost(ranking)
    ]
    note = "*Beaten by*: a method no dearer, with no higher regret and no lower ρ, and better in one of the three."
    return table(["method", "notes of the run", "beaten by"], rows, left=3) + f"\n\n{note}"


def failures(ranking: Json) -> str:
    """The pairs that a method could not score, by reason."""
    rows = []
    for method in choice.by_cost(ranking):
        failed = ranking["methods"][method]["failed"]
        for reason in dict.fromkeys(failed.values()):
            pairs = [pair(name) for name, found in failed.items() if found == reason]
            rows.append([label(ranking, method), str(len(pairs)), ", ".join(pairs), sentence(reason)])
    if not rows:
        return ""
    text = "### Pairs without a score\n\nThey rank below all others.\n\n"
    return text + table(["method", "how many", "pairs", "reason"], rows, left=4)

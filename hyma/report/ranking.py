"""The page reports/ranking.md: which pair to stitch, how sure that is, and what it cost."""

import math
from collections.abc import Mapping
from typing import Any

from hyma.common.names import MAIN
from hyma.report.benchmarks import benchmarks, protocols
from hyma.report.inputs import Inputs, label, of_two, picked
from hyma.report.training import convergence, unruly
from hyma.wording.markdown import cheaper, decimal, flops, pair, points, seconds, sentence, table, times

Json = dict[str, Any]


def page(inputs: Inputs) -> str:
    """The whole page as markdown: of the main method and the oracle, whatever others there are."""
    inputs = of_two(inputs)
    oracle = label(inputs.ranking, inputs.ranking["oracle"])
    parts = [
        "# Which pair to stitch",
        answer(inputs.ranking),
        "What the other ways of finding the pair are worth: [methods.md](methods.md).",
        "![Every pair, scored by both](figures/scatter.png)",
        "## All pairs",
        all_pairs(inputs.ranking),
        "![Mean score of all pairs](figures/pairs.png)",
        "### Score by benchmark",
        by_benchmark(inputs.ranking),
        f"## Agreement with {oracle}",
        agreement(inputs.ranking),
        "## Benchmarks",
        benchmarks(inputs.benchmarks, inputs.ranking),
        protocols(inputs.benchmarks, inputs.ranking),
        "## Cost",
        cost(inputs.ranking),
        extraction(inputs.flops),
        "![Cost against quality](figures/cost.png)",
        unimodal(inputs.ranking),
        "## Training",
        "Loss, accuracy within the batch and gradient norm of the hypernetwork, step by step; thin lines are the "
        f"losses of {oracle}'s pairs.",
        convergence(inputs.grid, oracle),
        unruly(inputs.gradients, label(inputs.ranking, MAIN)),
        "![Training curves](figures/training.png)",
        left_out(inputs.data),
        "## To reproduce this",
        reproduce(inputs),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def answer(ranking: Json) -> str:
    """The first lines: the pair, how good it is, what it cost, how well the rankings agree."""
    winner, oracle = ranking["winner"], ranking["oracle"]
    chooser = MAIN if MAIN in ranking["cost"] else oracle
    reached = " and ".join(
        f"{points(scores[winner['pair']]['mean'])} by {label(ranking, method)}"
        for method, scores in ranking["scores"].items()
    )
    lines = [
        f"**Stitch {pair(winner['pair'])}.** Of {ranking['pairs']} pairs {label(ranking, chooser)} ranks it first, "
        f"averaged over {len(ranking['benchmarks'])} benchmarks (protocol *{ranking['protocol']}*). In points, its "
        f"connector scores {reached}. {_others(ranking)}",
        "",
    ]
    for method in ranking["cost"]:
        if method != oracle:
            lines += _bullets(ranking, method)
    return "\n".join(lines).rstrip()


def _others(ranking: Json) -> str:
    """What the oracle puts first, and whose connector of the winner is the best of all."""
    winner, oracle = ranking["winner"], ranking["oracle"]
    best, name = ranking["overall"][oracle], sentence(label(ranking, oracle))
    if ranking["scores"][oracle][winner["pair"]]["mean"] == best["score"]:
        text = f"{name}, which trains every pair, puts it first too."
    else:
        first = picked(best) if best["pair"] else f"{best['picks']} others"
        text = f"{name}, which trains every pair, puts {first} first, with {points(best['score'])}."
    if winner["method"] in ranking["scores"]:
        return text
    other = label(ranking, winner["method"])
    return f"{text} The best connector of {pair(winner['pair'])} is that of *{other}*, with {points(winner['score'])}."


def _bullets(ranking: Json, method: str) -> list[str]:
    """What a method cost, how well it orders the pairs, what its pick is worth."""
    oracle = ranking["oracle"]
    own, other = label(ranking, method), label(ranking, oracle)
    spent, of_oracle = ranking["cost"][method], ranking["cost"][oracle]
    total, each = ranking["overall"][method], ranking["mean"][method]
    fewer = cheaper(spent["flops_ratio"], "fewer FLOPs", "more FLOPs")
    faster = cheaper(spent["seconds_ratio"], "less time", "more time")
    return [
        f"- **Cost.** {own} needed {fewer} ({flops(spent['flops'])}) and {faster} ({spent['seconds']:.1f} s) than "
        f"{other} ({flops(of_oracle['flops'])}, {of_oracle['seconds']:.1f} s).",
        f"- **Ranking.** Over all benchmarks, {own}'s order of the pairs correlates with {other}'s at Spearman ρ = "
        f"{decimal(total['spearman'])}, NDCG@5 = {decimal(total['ndcg@5'])}; benchmark by benchmark ρ is "
        f"{decimal(each['spearman'])} on average.",
        f"- **Regret.** Trained by {other}, {own}'s pick would score {points(total['oracle_score'])}: "
        f"{points(total['regret'])} points ({points(total['relative_regret'])}%) below the best pair there is.",
    ]


def short(ranking: Json) -> str:
    """One row for each method that gives connectors, cheapest first: its pick, how well it ranks, its cost."""
    rows = []
    for method in sorted(ranking["scores"], key=lambda entry: ranking["cost"][entry]["flops"]):
        found, mean, spent = (ranking[part][method] for part in ("overall", "mean", "cost"))
        rows.append(
            [
                label(ranking, method),
                picked(found),
                points(found["score"]),
                points(found["regret"]),
                decimal(mean["spearman"]),
                decimal(mean["ndcg@5"]),
                flops(spent["flops"]),
                seconds(spent["seconds"]),
                f"{times(spent['flops_ratio'])} / {times(spent['seconds_ratio'])}",
            ]
        )
    header = ["method", "its pick", "score", "regret", "ρ", "NDCG@5", "FLOPs", "seconds", "times cheaper"]
    return table(header, rows, left=2)


def _order(scores: Mapping[str, Json]) -> list[str]:
    """Pairs from the best to the worst; those that failed last."""
    worth = {entry: -math.inf if found["mean"] is None else found["mean"] for entry, found in scores.items()}
    return sorted(scores, key=lambda entry: (-worth[entry], entry))


def all_pairs(ranking: Json) -> str:
    """Every pair with its ranks and mean scores, best by the main method first."""
    oracle = ranking["oracle"]
    methods = [*(method for method in ranking["scores"] if method != oracle), oracle]
    places = {method: _order(ranking["scores"][method]) for method in methods}
    header = ["pair", *(f"{label(ranking, m)}: {what}" for what in ("rank", "mean score") for m in methods)]
    rows = [
        [
            pair(entry),
            *(str(places[m].index(entry) + 1) for m in methods),
            *(points(ranking["scores"][m][entry]["mean"]) for m in methods),
        ]
        for entry in places[methods[0]]
    ]
    return "Scores are points of a hundred, averaged over the benchmarks.\n\n" + table(header, rows)


def by_benchmark(ranking: Json) -> str:
    """Every pair's score on every benchmark, the main method's and the oracle's in one cell."""
    oracle = ranking["oracle"]
    methods = [*(method for method in ranking["scores"] if method != oracle), oracle]
    names = list(ranking["benchmarks"])
    rows = [
        [
            pair(entry),
            *(" / ".join(points(ranking["scores"][m][entry][b]) for m in methods) for b in names),
        ]
        for entry in _order(ranking["scores"][methods[0]])
    ]
    labels = " / ".join(label(ranking, method) for method in methods)
    return f"Each cell: {labels}.\n\n" + table(["pair", *names], rows)


def agreement(ranking: Json) -> str:
    """How far the main method's ranking matches the oracle's, by benchmark."""
    keys = ("ndcg@1", "ndcg@5", "ndcg@10", "spearman", "kendall", "weighted_tau")
    header = ["", "pick", "NDCG@1", "NDCG@5", "NDCG@10", "ρ", "τ", "weighted τ", "regret", "regret, %"]
    oracle = label(ranking, ranking["oracle"])
    texts = []
    for method in ranking["scores"]:
        if method == ranking["oracle"]:
            continue
        rows = []
        entries = [(b, content["methods"][method]) for b, content in ranking["benchmarks"].items()]
        entries += [
            ("**mean of the above**", ranking["mean"][method]),
            ("**on the mean score**", ranking["overall"][method]),
        ]
        for row, found in entries:
            pick = picked(found) if "pair" in found else ""
            numbers = [decimal(found[key]) for key in keys]
            rows.append([row, pick, *numbers, points(found["regret"]), points(found["relative_regret"])])
        texts.append(f"{label(ranking, method)} against {oracle}:\n\n" + table(header, rows, left=2))
    note = (
        "NDCG takes the oracle's scores, stretched to 0..1, as gains. Regret is how many points the method's pick "
        f"lies below the best pair, both scored by {oracle}. *On the mean score* first averages each pair's "
        "scores over the benchmarks, then compares."
    )
    return "\n\n".join([*texts, note])


def cost(ranking: Json) -> str:
    """FLOPs by part and seconds of both."""
    spent = ranking["cost"]
    oracle = label(ranking, ranking["oracle"])
    parts = dict.fromkeys(part for entry in spent.values() for part in entry["parts"])
    rows = [
        [part, *(flops(e["parts"][part]) if e["parts"].get(part) else "–" for e in spent.values())]
        for part in parts
    ]
    rows += [
        ["**FLOPs, all**", *(f"**{flops(entry['flops'])}**" for entry in spent.values())],
        [f"times cheaper than {oracle}, FLOPs", *(times(entry["flops_ratio"]) for entry in spent.values())],
        ["**seconds, this run**", *(f"**{seconds(entry['seconds'])}**" for entry in spent.values())],
        [
            f"times cheaper than {oracle}, seconds",
            *(times(entry["seconds_ratio"]) for entry in spent.values()),
        ],
    ]
    return table(["", *(label(ranking, method) for method in spent)], rows) + (
        "\n\nFLOPs of connectors' forward passes are fvcore's count; all others are closed forms, held against "
        "PyTorch's own counter in the tests. Seconds are taken around the "
        "search alone, features in memory, on one machine in one run."
    )


def extraction(counted: Json) -> str:
    """The price of the features, which all methods share."""
    total = sum(entry["total"] for entry in counted["extraction"].values())
    rows = [
        [slug, entry["modality"], flops(entry["per_sample"]), str(entry["samples"]), flops(entry["total"])]
        for slug, entry in counted["extraction"].items()
    ]
    return (
        f"### Features\n\nExtracted once and shared by all methods: {flops(total)} for the training set.\n\n"
        + table(["encoder", "side", "a sample", "samples", "in all"], rows, left=2)
    )


def unimodal(ranking: Json) -> str:
    """Whether strong encoders make strong pairs, if they were probed."""
    found = ranking["unimodal"]
    if found is None:
        return ""
    lines = [
        f"- {side} side: {found[side]['metric']} on {found[side]['benchmark']}, against the mean score of an encoder's "
        f"pairs: ρ = {decimal(found[side]['spearman'])}"
        for side in ("image", "text")
    ]
    both = found["pair"]["spearman"]
    lines.append(f"- both sides' strength added up, against each pair's score: ρ = {decimal(both)}")
    rows = [
        [slug, side, points(strength), points(found[side]["pair_scores"][slug])]
        for side in ("image", "text")
        for slug, strength in found[side]["scores"].items()
    ]
    parts = [
        "## Does uni-modal strength predict the best pair?",
        "\n".join(lines),
        "" if both is None else verdict_on(both, ranking),
        table(["encoder", "side", "probe", "its pairs' mean"], rows, left=2),
        "![Uni-modal strength against pair score](figures/unimodal.png)",
    ]
    return "\n\n".join(part for part in parts if part)


def verdict_on(rho: float, ranking: Json) -> str:
    """One sentence on what the correlation means here; none where the main method's order says nothing."""
    own = ranking["overall"].get(MAIN, {}).get("spearman")
    if own is None:
        return ""
    if own > rho:
        return (
            f"Probing each encoder on its own orders the pairs worse (ρ = {rho:.2f}) than {label(ranking, MAIN)} does "
            f"(ρ = {own:.2f})."
        )
    return (
        f"On this zoo, probing each encoder on its own orders the pairs as well as {label(ranking, MAIN)} does "
        f"(ρ = {rho:.2f} and {own:.2f})."
    )


def left_out(data: Mapping[str, Json]) -> str:
    """Images and texts that were skipped, if there are any."""
    rows = [
        [name, str(len(meta["skipped"])), meta["skipped"][0]["file"], meta["skipped"][0]["reason"]]
        for name, meta in data.items()
        if meta["skipped"]
    ]
    if not rows:
        return ""
    return "## Left out\n\n" + table(["data set", "rows", "first", "reason"], rows, left=4)


def reproduce(inputs: Inputs) -> str:
    """Versions, seed, device, revision, hashes of the data, protocol."""
    rows = [[key, value] for key, value in inputs.environment.items()]
    rows.append(["protocol", inputs.ranking["protocol"]])
    rows += [[f"data hash, {name}", f"`{meta['data_hash'][:16]}`"] for name, meta in inputs.data.items()]
    return table(["what", "value"], rows, left=2)

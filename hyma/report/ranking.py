"""The page reports/ranking.md: which pair to stitch, how sure that is, and what it cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hyma.report.markdown import cheaper, decimal, flops, pair, points, table, times

Json = dict[str, Any]
NAME = {"hyma": "HYMA", "grid": "grid search"}


@dataclass
class Inputs:
    """What the stages before have measured."""

    ranking: Json
    benchmarks: Mapping[str, Json]
    flops: Json
    data: Mapping[str, Json]
    """Prepared data set → its meta.json."""
    environment: Mapping[str, str]
    """Lines of the reproducibility block."""


def page(inputs: Inputs) -> str:
    """The whole page as markdown."""
    parts = [
        "# Which pair to stitch",
        answer(inputs.ranking),
        "![HYMA against grid search](figures/scatter.png)",
        "## All pairs",
        all_pairs(inputs.ranking),
        "![Mean score of all pairs](figures/pairs.png)",
        "### Score by benchmark",
        by_benchmark(inputs.ranking),
        "## Agreement with grid search",
        agreement(inputs.ranking),
        "## Benchmarks",
        benchmarks(inputs.benchmarks),
        protocols(inputs.benchmarks),
        "## Cost",
        cost(inputs.ranking),
        extraction(inputs.flops),
        "![Cost against quality](figures/cost.png)",
        "## Does uni-modal strength predict the best pair?",
        unimodal(inputs.ranking),
        "![Uni-modal strength against pair score](figures/unimodal.png)",
        "## Training",
        "Loss, accuracy within the batch and gradient norm of the hypernetwork, step by step; thin lines are the "
        "losses of grid search's pairs.",
        "![Training curves](figures/training.png)",
        left_out(inputs.data),
        "## To reproduce this",
        reproduce(inputs),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def name(method: str) -> str:
    """A method's name for people."""
    return NAME.get(method, method)


def answer(ranking: Json) -> str:
    """The first lines: the pair, how good it is, what it cost, how well the rankings agree."""
    winner, oracle = ranking["winner"], ranking["oracle"]
    best = ranking["overall"][oracle]
    reached = " and ".join(
        f"{points(scores[winner['pair']]['mean'])} by {name(method)}"
        for method, scores in ranking["scores"].items()
    )
    agreed = "Grid search, which trains every pair, puts it first too."
    if best["pair"] != winner["pair"]:
        agreed = f"Grid search, which trains every pair, puts {pair(best['pair'])} first, with {points(best['score'])}."
    lines = [
        f"**Stitch {pair(winner['pair'])}.** Of {ranking['pairs']} pairs HYMA ranks it first, averaged over "
        f"{len(ranking['benchmarks'])} benchmarks (protocol *{ranking['protocol']}*). In points, its connector scores "
        f"{reached}. {agreed}"
    ]
    for method, spent in ranking["cost"].items():
        if method == oracle:
            continue
        total, each = ranking["overall"][method], ranking["mean"][method]
        fewer = cheaper(spent["flops_ratio"], "fewer FLOPs", "more FLOPs")
        faster = cheaper(spent["seconds_ratio"], "less time", "more time")
        lines += [
            f"- **Cost.** {name(method)} needed {fewer} ({flops(spent['flops'])}) and {faster} "
            f"({spent['seconds']:.1f} s) than {name(oracle)} ({flops(ranking['cost'][oracle]['flops'])}, "
            f"{ranking['cost'][oracle]['seconds']:.1f} s).",
            f"- **Ranking.** Over all benchmarks, {name(method)}'s order of the pairs correlates with "
            f"{name(oracle)}'s at Spearman ρ = {decimal(total['spearman'])}, NDCG@5 = {decimal(total['ndcg@5'])}; "
            f"benchmark by benchmark ρ is {decimal(each['spearman'])} on average.",
            f"- **Regret.** Trained by {name(oracle)}, {name(method)}'s pick would score "
            f"{points(total['oracle_score'])}: {points(total['regret'])} points "
            f"({points(total['relative_regret'])}%) below the best pair there is.",
        ]
    return lines[0] + "\n\n" + "\n".join(lines[1:])


def short(ranking: Json) -> str:
    """One row a method: what it picks, how well it ranks, what it costs."""
    rows = []
    for method, spent in ranking["cost"].items():
        picked, mean = ranking["overall"][method], ranking["mean"][method]
        rows.append(
            [
                name(method),
                pair(picked["pair"]),
                points(picked["score"]),
                points(picked["regret"]),
                decimal(mean["spearman"]),
                decimal(mean["ndcg@5"]),
                flops(spent["flops"]),
                f"{spent['seconds']:.1f}",
                f"{times(spent['flops_ratio'])} / {times(spent['seconds_ratio'])}",
            ]
        )
    header = ["method", "its pick", "score", "regret", "ρ", "NDCG@5", "FLOPs", "seconds", "times cheaper"]
    return table(header, rows, left=2)


def _order(scores: Mapping[str, Json]) -> list[str]:
    return sorted(scores, key=lambda entry: (-scores[entry]["mean"], entry))


def all_pairs(ranking: Json) -> str:
    """Every pair with its ranks and mean scores, best by HYMA (or by the first other method) first."""
    oracle = ranking["oracle"]
    methods = [*(method for method in ranking["scores"] if method != oracle), oracle]
    places = {method: _order(ranking["scores"][method]) for method in methods}
    header = ["pair", *(f"{name(m)}: rank" for m in methods), *(f"{name(m)}: mean score" for m in methods)]
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
    """Every pair's score on every benchmark, HYMA's and grid search's in one cell."""
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
    return f"Each cell: {' / '.join(map(name, methods))}.\n\n" + table(["pair", *names], rows)


def agreement(ranking: Json) -> str:
    """How far each method's ranking matches the oracle's, by benchmark."""
    keys = ("ndcg@1", "ndcg@5", "ndcg@10", "spearman", "kendall", "weighted_tau")
    header = ["", "pick", "NDCG@1", "NDCG@5", "NDCG@10", "ρ", "τ", "weighted τ", "regret", "regret, %"]
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
        for label, found in entries:
            pick = pair(found["pair"]) if found.get("pair") else ""
            numbers = [decimal(found[key]) for key in keys]
            rows.append([label, pick, *numbers, points(found["regret"]), points(found["relative_regret"])])
        texts.append(f"{name(method)} against {name(ranking['oracle'])}:\n\n" + table(header, rows, left=2))
    note = (
        "NDCG takes the oracle's scores, stretched to 0..1, as gains. Regret is how many points the method's pick "
        "lies below the best pair, both scored by grid search. *On the mean score* first averages each pair's "
        "scores over the benchmarks, then compares."
    )
    return "\n\n".join([*texts, note])


def benchmarks(contents: Mapping[str, Json]) -> str:
    """What each benchmark measures and within which bounds."""
    rows = []
    for label, content in contents.items():
        pairs = content["protocols"][content["protocol"]]["methods"]["grid"].values()
        blind = [values["no_image"] for values in pairs if "no_image" in values]
        reached = [values["score"] for values in pairs]
        rows.append(
            [
                label,
                content["metric"],
                content["protocol"],
                str(content["images"]),
                str(content["questions"] or content["texts"]),
                f"{points(min(reached))} – {points(max(reached))}",
                points(content["chance"]),
                f"{points(min(blind))} – {points(max(blind))}" if blind else "–",
                points(content["ceiling"]),
            ]
        )
    header = [
        "benchmark",
        "metric",
        "protocol",
        "images",
        "texts or questions",
        "grid search: all pairs",
        "chance",
    ]
    return table([*header, "without the image", "ceiling"], rows, left=3) + (
        "\n\n*Without the image*: every image replaced by the mean image, so that only the question speaks. "
        "*Ceiling*: the best that the closed answer list allows."
    )


def protocols(contents: Mapping[str, Json]) -> str:
    """Benchmarks on which the two protocols differ: the best pair under each."""
    rows = []
    for label, content in contents.items():
        if len(content["protocols"]) < 2:
            continue
        for protocol, found in content["protocols"].items():
            cells = []
            for scores in found["methods"].values():
                best = max(sorted(scores), key=lambda entry: scores[entry]["score"])
                cells += [pair(best), points(scores[best]["score"])]
            rows.append([label, protocol, *cells])
    if not rows:
        return ""
    methods = list(next(iter(next(iter(contents.values()))["protocols"].values()))["methods"])
    header = [
        "benchmark",
        "protocol",
        *(f"{name(m)}: {what}" for m in methods for what in ("best pair", "score")),
    ]
    return (
        "### Both protocols\n\n*standard* ensembles prompts and pools all captions; *paper* uses one prompt a class "
        "and pools of one caption an image, image to text.\n\n" + table(header, rows, left=2)
    )


def cost(ranking: Json) -> str:
    """FLOPs by part and seconds of every method."""
    methods = list(ranking["cost"])
    spent = ranking["cost"]
    rows = [
        [part, *(flops(spent[m]["parts"][part]) if spent[m]["parts"][part] else "–" for m in methods)]
        for part in spent[methods[0]]["parts"]
    ]
    rows += [
        ["**FLOPs, all**", *(f"**{flops(spent[m]['flops'])}**" for m in methods)],
        ["times cheaper than grid search, FLOPs", *(times(spent[m]["flops_ratio"]) for m in methods)],
        ["**seconds, this run**", *(f"**{spent[m]['seconds']:.1f}**" for m in methods)],
        ["times cheaper than grid search, seconds", *(times(spent[m]["seconds_ratio"]) for m in methods)],
    ]
    return table(["", *map(name, methods)], rows) + (
        "\n\nFLOPs of forward passes are fvcore's count; the others are closed forms. Seconds are taken around the "
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
    """Whether strong encoders make strong pairs."""
    found = ranking["unimodal"]
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
    verdict = "" if both is None else f"\n\n{verdict_on(both, ranking)}"
    return (
        "\n".join(lines)
        + verdict
        + "\n\n"
        + table(["encoder", "side", "probe", "its pairs' mean"], rows, left=2)
    )


def verdict_on(rho: float, ranking: Json) -> str:
    """One sentence on what the correlation means here."""
    others = [
        values["spearman"]
        for method, values in ranking["overall"].items()
        if method != ranking["oracle"] and values["spearman"] is not None
    ]
    if not others:
        return ""
    if max(others) > rho:
        return (
            f"Probing each encoder on its own orders the pairs worse (ρ = {rho:.2f}) than the best search does "
            f"(ρ = {max(others):.2f})."
        )
    return f"On this zoo, probing each encoder on its own orders the pairs as well as the search does (ρ = {rho:.2f})."


def left_out(data: Mapping[str, Json]) -> str:
    """Images and texts that were skipped, if there are any."""
    rows = [
        [label, str(len(meta["skipped"])), meta["skipped"][0]["file"], meta["skipped"][0]["reason"]]
        for label, meta in data.items()
        if meta["skipped"]
    ]
    if not rows:
        return ""
    return "## Left out\n\n" + table(["data set", "rows", "first", "reason"], rows, left=4)


def reproduce(inputs: Inputs) -> str:
    """Versions, seed, device, revision, hashes of the data, protocol."""
    rows = [[key, value] for key, value in inputs.environment.items()]
    rows.append(["protocol", inputs.ranking["protocol"]])
    rows += [[f"data hash, {label}", f"`{meta['data_hash'][:16]}`"] for label, meta in inputs.data.items()]
    return table(["what", "value"], rows, left=2)

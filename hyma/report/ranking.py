"""The page reports/ranking.md: which pair to stitch, how sure that is, and what it cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from hyma.common.left_out import PLURAL
from hyma.common.left_out import left_out as grouped
from hyma.common.names import MAIN, ORACLE
from hyma.common.prepared import Skipped
from hyma.ranking import choice, convergence
from hyma.report import markdown
from hyma.report.inputs import Inputs, label, of_two
from hyma.wording.markdown import pair, points, table

Json = dict[str, Any]


def page(inputs: Inputs) -> str:
    """The whole page as markdown: of the main method and the oracle, whatever others there are."""
    inputs = of_two(inputs)
    found, loss = inputs.ranking, convergence.held_out(inputs.grid)
    methods = [method for method in (MAIN, found["oracle"]) if method in found["scores"]]
    return markdown.page(
        "ranking",
        found,
        methods=methods,
        trained=trained(found),
        all_pairs=all_pairs(found, methods),
        by_benchmark=by_benchmark(found, methods),
        benchmarks=inputs.benchmarks,
        reference=choice.reference(found),
        protocols=protocols(inputs.benchmarks, found, methods),
        parts=dict.fromkeys(part for spent in found["cost"].values() for part in spent["parts"]),
        extraction=inputs.flops["extraction"],
        whole=inputs.flops.get("whole_grid"),
        main_rho=found["overall"].get(MAIN, {}).get("spearman"),
        loss=loss,
        stopped=convergence.stopped(loss),
        gradients=inputs.gradients,
        data=inputs.data,
        left_out=left_out(inputs.data),
        leaks=inputs.leaks,
        environment=inputs.environment,
    )


def left_out(data: Mapping[str, Json]) -> str:
    """What was left out of each data set, by reason; nothing if nothing was."""
    rows = [
        [name, f"{one.count:,}", PLURAL[one.kind], one.reason, ", ".join(f"`{file}`" for file in one.names)]
        for name, meta in data.items()
        for one in grouped([Skipped(**entry) for entry in meta["skipped"]])
    ]
    return table(["data set", "left out", "of", "reason", "first"], rows, left=5) if rows else ""


def answer(ranking: Json) -> str:
    """The first lines: the pair, how good it is, what it cost, how well the rankings agree."""
    return markdown.page("answer", ranking).rstrip()


def trained(ranking: Json) -> str:
    """The pairs that an audit trained on their own, best first; nothing where there was none."""
    if not ranking.get("audit"):
        return ""
    predicted, measured = ranking["scores"][MAIN], ranking["scores"][ORACLE]
    places, finals = ranking["order"][MAIN], ranking["trained"]["finals"]
    header = ["pair", "why", *(f"{label(ranking, MAIN)}: {what}" for what in ("rank", "mean score"))]
    rows = [
        [
            pair(entry),
            "final" if entry in finals else "sample",
            str(places.index(entry) + 1),
            points(predicted[entry]["mean"]),
            points(measured[entry]["mean"]),
        ]
        for entry in ranking["order"][ORACLE]
    ]
    return table([*header, f"{label(ranking, ORACLE)}: mean score"], rows, left=2)


def all_pairs(ranking: Json, methods: Sequence[str]) -> str:
    """Every pair with its ranks, by what chooses, and mean scores, as reported; best by the first method first."""
    places = ranking["order"]
    header = ["pair", *(f"{label(ranking, m)}: {what}" for what in ("rank", "mean score") for m in methods)]
    rows = [
        [
            pair(entry),
            *(str(places[m].index(entry) + 1) for m in methods),
            *(points(ranking["scores"][m][entry]["mean"]) for m in methods),
        ]
        for entry in places[methods[0]]
    ]
    return table(header, rows)


def by_benchmark(ranking: Json, methods: Sequence[str]) -> str:
    """Every pair's score on every benchmark, all methods' in one cell."""
    scores, names = ranking["scores"], list(ranking["benchmarks"])
    order = ranking["order"][methods[0]]
    rows = [
        [pair(entry), *(" / ".join(points(scores[m][entry][name]) for m in methods) for name in names)]
        for entry in order
    ]
    return table(["pair", *names], rows)


def protocols(contents: Mapping[str, Json], ranking: Json, methods: Sequence[str]) -> str:
    """The pick under each protocol, of the benchmarks on which they differ; nothing if none does.

    It is the pair that scores best on the half that chooses; the score is the other half's.
    """
    rows = []
    for name, content in contents.items():
        for protocol, found in content["protocols"].items() if len(content["protocols"]) > 1 else ():
            whole = {method: own for method, own in found["methods"].items() if method in methods}
            best = [
                max(sorted(own.items()), key=lambda entry: entry[1]["choose"]["score"])
                for own in whole.values()
            ]
            cells = [
                cell for entry, parts in best for cell in (pair(entry), points(parts["report"]["score"]))
            ]
            rows.append([name, protocol, *cells])
    if not rows:
        return ""
    columns = [f"{label(ranking, method)}: {what}" for method in whole for what in ("its pick", "score")]
    return table(["benchmark", "protocol", *columns], rows, left=2)

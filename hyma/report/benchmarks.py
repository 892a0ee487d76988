"""What the benchmarks are, as tables: measures, bounds, protocols."""

from collections.abc import Mapping
from typing import Any

from hyma.report.inputs import label
from hyma.wording.markdown import pair, points, table

Json = dict[str, Any]


def benchmarks(contents: Mapping[str, Json], ranking: Json) -> str:
    """What each benchmark measures and within which bounds."""
    oracle = ranking["oracle"]
    rows = []
    for name, content in contents.items():
        pairs = content["protocols"][content["protocol"]]["methods"][oracle].values()
        blind = [values["no_image"] for values in pairs if "no_image" in values]
        reached = [values["score"] for values in pairs]
        rows.append(
            [
                name,
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
    header = ["benchmark", "metric", "protocol", "images", "texts or questions"]
    header += [f"{label(ranking, oracle)}: all pairs", "chance", "without the image", "ceiling"]
    return table(header, rows, left=3) + (
        "\n\n*Without the image*: every image replaced by the mean image, so that only the question speaks. "
        "*Ceiling*: the best that the closed answer list allows."
    )


def protocols(contents: Mapping[str, Json], ranking: Json) -> str:
    """Benchmarks on which the two protocols differ: the best pair under each."""
    rows = []
    for name, content in contents.items():
        if len(content["protocols"]) < 2:
            continue
        for protocol, found in content["protocols"].items():
            cells = []
            for scores in found["methods"].values():
                best = max(sorted(scores), key=lambda entry: scores[entry]["score"])
                cells += [pair(best), points(scores[best]["score"])]
            rows.append([name, protocol, *cells])
    if not rows:
        return ""
    methods = list(next(iter(next(iter(contents.values()))["protocols"].values()))["methods"])
    columns = [f"{label(ranking, method)}: {what}" for method in methods for what in ("best pair", "score")]
    header = ["benchmark", "protocol", *columns]
    return (
        "### Both protocols\n\n*standard* ensembles prompts and pools all captions; *paper* uses one prompt a class "
        "and pools of one caption an image, image to text.\n\n" + table(header, rows, left=2)
    )

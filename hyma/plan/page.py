"""A plan as text for people: aligned tables, two digits, nothing worked out here."""

from collections.abc import Callable
from typing import Any

from hyma.plan.duration import HERE, TYPICAL
from hyma.wording.plain import NONE, flops, number, size, span, table

READY = {
    "yes": "Ready: `dvc repro` will run.",
    "after downloads": "Ready once what is listed below is downloaded: `dvc repro` does it where there is a network.",
    "no": "Not ready. `dvc repro` would stop; first:",
}
MEMORY = {"ram": "this machine has {} of memory", "gpu": "its GPU has {}"}
BASIS = {
    HERE: f"{HERE} where it searched, and on {TYPICAL} for all else",
    TYPICAL: f"{TYPICAL}, since no run here has measured others yet",
}
Plan = dict[str, Any]


def page(plan: Plan) -> str:
    """The whole plan."""
    parts: dict[str, Callable[[Plan], list[str]]] = {
        "Stages": _stages,
        "Data and encoders": _sizes,
        "Search methods": _methods,
        "Memory": _memory,
        "Time": _time,
    }
    sections = ["\n".join([f"## {head}\n", *part(plan)]) for head, part in parts.items()]
    return "\n\n".join(["\n".join(_ready(plan)), *sections])


def _ready(plan: Plan) -> list[str]:
    problem, disk = plan["stages"]["problem"], plan["disk"]
    downloads = plan["missing"]["downloads"]
    lines = [READY[plan["ready"]], *([f"- {problem}"] if problem else [])]
    lines += [f"- {item['where']}: {item['what']}; {item['get']}" for item in plan["missing"]["missing"]]
    if not disk["enough"]:
        lines.append(f"- disk: {size(disk['needed'])} are needed, {size(disk['free'])} are free; make room")
    if downloads and plan["ready"] == "no":
        lines.append("Downloaded by the run itself where there is a network:")
    return [*lines, *(f"- {item['get']}   ({size(item['bytes'])}, {item['where']})" for item in downloads)]


def _stages(plan: Plan) -> list[str]:
    own, time = plan["stages"], plan["time"]["by_name"]
    if own["problem"]:
        return ["Unknown: see above."]
    fetched = f", {own['restore']} are fetched from DVC's cache" if own["restore"] else ""
    rows = []
    for name, count in own["by_name"].items():
        seconds = sum(time.get(name, {}).get(part, 0.0) for part in ("start", "dvc", "work"))
        counts = [str(count[state] or NONE) for state in ("run", "restore", "keep")]
        rows.append((name, *counts, span(seconds)))
    header = ("stage", "runs", "from cache", "up to date", "time")
    return [f"{own['run']} of {own['total']} stages will run{fetched}.\n", table(header, rows)]


def _sizes(plan: Plan) -> list[str]:
    own, extraction = plan["sizes"], plan["flops"]["extraction"]
    weights = {item["where"].partition(".")[2]: item["bytes"] for item in plan["missing"]["downloads"]}
    data = [
        (entry["where"], *(number(entry[key]) for key in ("images", "texts", "questions")), entry["origin"])
        for entry in own["data"]
    ]
    encoders = [
        (
            slug,
            size(weights[slug]) if slug in weights else NONE,
            size(own["features"][slug]),
            *(flops(found[key]) for key in ("per_row", "total")),
        )
        for slug, found in extraction.items()
    ]
    reasons = [f"{slug}: {found['reason']}" for slug, found in extraction.items() if found["per_row"] is None]
    fetched = sum(entry["download"] for entry in own["data"])
    made = f"Connectors: {size(own['connectors'])}. All that is made: {size(own['made'])}"
    return [
        table(("data set", "images", "texts", "questions", "known from"), data) + "\n",
        table(("encoder", "download", "features", "FLOPs a row", "FLOPs in all"), encoders) + "\n",
        f"{made}, as much again in DVC's cache.",
        *([f"Data sets to download: {size(fetched)}."] if fetched else []),
        *([f"Unknown, and left out of the sums: {'; '.join(reasons)}."] if reasons else []),
    ]


def _methods(plan: Plan) -> list[str]:
    found = plan["flops"]["methods"].items()
    if not found:
        return ["Not estimated: the training set or the encoders' widths are unknown."]
    rows = [(name, "not estimated" if own is None else flops(own["total"])) for name, own in found]
    own = plan["flops"]["grid"]
    note = ""
    if own["pairs"] < own["all"]:
        some = f"{own['pairs']} of {own['all']} pairs" if own["pairs"] else "no pair"
        note = f"\nOn its own {some} will be trained; all of them would take {flops(own['whole'])}, counted."
    return [table(("method", "FLOPs"), rows) + note]


def _memory(plan: Plan) -> list[str]:
    own, has = plan["memory"], plan["memory"]["machine"]
    parts = ", ".join(f"{part} {size(value)}" for part, value in own["parts"].items() if value)
    machine = " and ".join(text.format(size(has[key])) for key, text in MEMORY.items() if has[key])
    lines = [f"At most about {size(own['peak'])} at once ({parts}); {machine}."]
    if own["streamed"]:
        lines.append(
            "The training features do not fit: they are read from disk as they are drawn, which takes longer."
        )
    if not own["enough"]:
        lines.append("That is more than there is: lower extract.batch, the batches, or hyma.widths.")
    return lines


def _time(plan: Plan) -> list[str]:
    own = plan["time"]
    if plan["stages"]["problem"]:
        return ["Not estimated: which stages run is unknown."]
    start, dvc, work = (
        sum(one[part] for one in own["by_name"].values()) for part in ("start", "dvc", "work")
    )
    lines = [
        f"About {span(own['seconds'])}: {span(work)} of computing, {span(start)} in which the stages' processes start, "
        f"{span(dvc)} of DVC's own work.",
        f"It rests on {BASIS[own['basis']]}; downloads are not in it.",
    ]
    if plan["memory"]["machine"]["gpu"]:
        lines.append("A GPU may take a fraction of that to encode and to train.")
    if names := own["not_estimated"]:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        lines.append(f"Not estimated, and left out: {', '.join(names[:5])}{more}.")
    return lines

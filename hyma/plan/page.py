"""A plan as text for people: aligned tables, two digits, nothing worked out here."""

from typing import Any

from hyma.wording.plain import NONE, flops, number, size, span, table

READY = {
    "yes": "Ready: `dvc repro` will run.",
    "after downloads": "Ready once the weights below are downloaded: `dvc repro` does it where there is a network.",
    "no": "Not ready. `dvc repro` would stop; first:",
}
MEMORY = {"ram": "this machine has {} of memory", "gpu": "its GPU has {}"}


def page(plan: dict[str, Any]) -> str:
    """The whole plan."""
    parts = [_ready(plan), _stages(plan["stages"], plan["time"]), _sizes(plan), _flops(plan["flops"])]
    return "\n\n".join([*parts, _memory(plan["memory"]), _time(plan)])


def _ready(plan: dict[str, Any]) -> str:
    lines = [READY[plan["ready"]]]
    if plan["stages"]["problem"]:
        lines.append(f"- {plan['stages']['problem']}")
    lines += [f"- {item['where']}: {item['what']}; {item['get']}" for item in plan["missing"]["missing"]]
    disk = plan["disk"]
    if not disk["enough"]:
        lines.append(f"- disk: {size(disk['needed'])} are needed, {size(disk['free'])} are free; make room")
    downloads = plan["missing"]["downloads"]
    if downloads and plan["ready"] == "no":
        lines.append("Downloaded by the run itself where there is a network:")
    lines += [f"- {item['get']}   ({size(item['bytes'])}, {item['where']})" for item in downloads]
    return "\n".join(lines)


def _stages(stages: dict[str, Any], time: dict[str, Any]) -> str:
    if stages["problem"]:
        return "## Stages\n\nUnknown: see above."
    head = f"{stages['run']} of {stages['total']} stages will run"
    if stages["restore"]:
        head += f", {stages['restore']} are fetched from DVC's cache"
    rows = []
    for name, count in stages["by_name"].items():
        own = time["by_name"].get(name, {})
        seconds = sum(own.get(part, 0.0) for part in ("start", "dvc", "work"))
        rows.append(
            (name, *(str(count[state] or NONE) for state in ("run", "restore", "keep")), span(seconds))
        )
    return f"## Stages\n\n{head}.\n\n{table(('stage', 'runs', 'from cache', 'up to date', 'time'), rows)}"


def _sizes(plan: dict[str, Any]) -> str:
    own, extraction = plan["sizes"], plan["flops"]["extraction"]
    rows = [
        (entry["where"], *(number(entry[key]) for key in ("images", "texts", "questions")), entry["origin"])
        for entry in own["data"]
    ]
    data = table(("data set", "images", "texts", "questions", "known from"), rows)
    weights = {item["where"].partition(".")[2]: item["bytes"] for item in plan["missing"]["downloads"]}
    encoders = table(
        ("encoder", "download", "features", "FLOPs a row", "FLOPs in all"),
        [
            (
                slug,
                size(weights[slug]) if slug in weights else NONE,
                size(own["features"][slug]),
                *(flops(found[key]) for key in ("per_row", "total")),
            )
            for slug, found in extraction.items()
        ],
    )
    reasons = [f"{slug}: {found['reason']}" for slug, found in extraction.items() if found["reason"]]
    fetched = sum(entry["download"] for entry in own["data"])
    totals = [
        f"Connectors: {size(own['connectors'])}. All that is made: {size(own['made'])}, as much again in DVC's cache."
    ]
    totals += [f"Data sets to download: {size(fetched)}."] if fetched else []
    totals += [f"Unknown, and left out of the sums: {'; '.join(reasons)}."] if reasons else []
    return f"## Data and encoders\n\n{data}\n\n{encoders}\n\n" + "\n".join(totals)


def _flops(found: dict[str, Any]) -> str:
    rows = [
        (name, "not estimated" if own is None else flops(own["total"]))
        for name, own in found["methods"].items()
    ]
    if not rows:
        return "## Search methods\n\nNot estimated: the training set or the encoders' widths are unknown."
    return f"## Search methods\n\n{table(('method', 'FLOPs'), rows)}"


def _memory(own: dict[str, Any]) -> str:
    parts = ", ".join(f"{part} {size(value)}" for part, value in own["parts"].items() if value)
    has = own["machine"]
    machine = " and ".join(text.format(size(has[key])) for key, text in MEMORY.items() if has[key])
    lines = [f"At most about {size(own['peak'])} at once ({parts}); {machine}."]
    if own["streamed"]:
        lines.append(
            "The training features do not fit: they are read from disk as they are drawn, which takes longer."
        )
    if not own["enough"]:
        lines.append("That is more than there is: lower extract.batch, the batches, or hyma.widths.")
    return "## Memory\n\n" + "\n".join(lines)


def _time(plan: dict[str, Any]) -> str:
    own = plan["time"]
    if plan["stages"]["problem"]:
        return "## Time\n\nNot estimated: which stages run is unknown."
    start, dvc, work = (
        sum(found[part] for found in own["by_name"].values()) for part in ("start", "dvc", "work")
    )
    lines = [
        f"About {span(own['seconds'])} on this machine: {span(work)} of computing, {span(start)} in which the stages' "
        f"processes start, {span(dvc)} of DVC's own work.",
        f"It rests on what was measured here in {own['measured_in']:.0f} s with random numbers of the true sizes; "
        "downloads are not in it.",
    ]
    if own["busy"]:
        lines.append(
            "This machine is busy with something else: it was measured on one core, and is faster on all."
        )
    if own["not_estimated"]:
        names = own["not_estimated"]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        lines.append(f"Not estimated, and left out: {', '.join(names[:5])}{more}.")
    return "## Time\n\n" + "\n".join(lines)

"""All parts of a plan, put together as plain data."""

from pathlib import Path
from typing import Any

from hyma.common import params
from hyma.common.errors import HymaError
from hyma.plan import duration, encoders, memory, methods, missing, rows, sizes, stages
from hyma.plan.encoders import Encoder
from hyma.plan.experiment import read, settings
from hyma.plan.rows import Rows
from hyma.plan.stages import Stage
from hyma.stitching.flops import Parts


def gather(folder: Path) -> dict[str, Any]:
    """Work out the plan of the experiment in `folder`, the working directory.

    Raises:
        HymaError: if params.yaml has a mistake.
    """
    experiment = read()
    known, counts = encoders.look(experiment), rows.look(experiment)
    shapes = methods.shapes(experiment, known, counts)
    if shapes is not None:
        experiment = read(sizes=shapes)  # what is auto follows from them
    own = methods.sections(experiment, shapes)
    flops = {} if shapes is None else methods.count(experiment, own, shapes)
    pipeline, problem = _pipeline(folder)
    clock = duration.Clock(experiment, known, counts, shapes, flops, duration.measured())
    found = {
        "missing": missing.look(experiment, known, counts),
        "stages": {"problem": problem} | stages.summary(pipeline),
        "sizes": sizes.look(experiment, known, counts, shapes),
        "flops": _flops(known, counts, flops) | {"grid": shapes and methods.trained(experiment, shapes)},
        "memory": memory.look(experiment, own, shapes, known),
        "time": clock.look(pipeline),
    }
    found["disk"] = missing.disk(folder, _needed(found))
    return {"ready": _ready(found)} | found


def _pipeline(folder: Path) -> tuple[list[Stage], str | None]:
    """The stages, or why they cannot be told."""
    try:
        return stages.look(folder, settings(params.load())), None
    except HymaError as error:
        return [], str(error)
    except Exception as error:  # whatever DVC raises: the rest of the plan stands without it
        said = " ".join(str(error).split()) or type(error).__name__
        return [], f"DVC cannot tell which stages run: {said}"


def _flops(
    known: dict[str, Encoder], counts: dict[str, Rows | None], flops: dict[str, Parts | None]
) -> dict[str, Any]:
    extraction = {}
    for slug, encoder in known.items():
        own = [count for place, count in counts.items() if encoder.encodes(place)]
        per_row = encoder.facts and encoder.facts.flops_per_row
        unknown = per_row is None or None in own
        total = None if unknown else sum(encoder.rows(count) * (per_row or 0.0) for count in own if count)
        extraction[slug] = {"per_row": per_row, "total": total, "reason": encoder.reason}
    counted: dict[str, Any] = {
        name: parts and {"total": sum(parts.values()), "parts": parts} for name, parts in flops.items()
    }
    return {"extraction": extraction, "methods": counted}


def _needed(found: dict[str, Any]) -> float:
    """Bytes of disk: what is downloaded, and what is made, twice: where it lies and in DVC's cache."""
    own, downloads = found["sizes"], found["missing"]["downloads"]
    fetched = sum(item["bytes"] or 0.0 for item in downloads) + sum(item["download"] for item in own["data"])
    return float(fetched + 2 * (own["made"] or 0.0))


def _ready(found: dict[str, Any]) -> str:
    """``yes``, ``after downloads`` or ``no``."""
    if found["missing"]["missing"] or found["stages"]["problem"] or not found["disk"]["enough"]:
        return "no"
    return "after downloads" if found["missing"]["downloads"] else "yes"

"""All parts of a plan, put together as plain data."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
import torch
from tqdm import tqdm

from hyma.common import params
from hyma.common.errors import HymaError
from hyma.common.pictures import cores
from hyma.plan import encoders, memory, methods, missing, rows, sizes, speed, stages, trial, work
from hyma.plan.encoders import Encoder
from hyma.plan.experiment import Experiment
from hyma.plan.hours import Clock
from hyma.plan.speed import Speed
from hyma.plan.starts import LIBRARIES, Imports, lock_line
from hyma.plan.work import Work
from hyma.stitching.flops import Parts

T = TypeVar("T")
STEPS = 7
"""Of the progress bar."""


def gather(folder: Path) -> dict[str, Any]:
    """Work out the plan of the experiment in `folder`, the working directory.

    Raises:
        HymaError: if params.yaml has a mistake.
    """
    began, busy = time.perf_counter(), psutil.getloadavg()[0] > cores() / 2
    experiment = params.validate(params.load(), Experiment)
    checked = work.sections(experiment)
    with (
        Imports(_kinds(experiment)) as imports,
        tqdm(total=STEPS, desc="planning", unit="step", disable=None) as bar,
    ):
        known = _step(bar, lambda: encoders.look(experiment))
        counts = rows.look(experiment)
        searched = work.describe(experiment, checked, known, counts)
        flops = {} if searched is None else methods.count(searched)
        pipeline = _step(bar, lambda: _pipeline(folder))
        with threads(1 if busy else torch.get_num_threads()):
            measured = _measure(experiment, searched, known, imports, bar)
    found = {
        "missing": missing.look(experiment, known, counts),
        "stages": pipeline,
        "sizes": sizes.look(experiment, known, counts, searched),
        "flops": _flops(known, counts, flops),
        "memory": memory.look(experiment, searched, known),
    }
    found["disk"] = missing.disk(folder, _needed(found))
    on_gpu = speed.device(experiment).type == "cuda"
    states, lines = pipeline.pop("states"), pipeline.pop("lock_lines")
    clock = Clock(experiment, known, counts, searched, flops, measured, on_gpu, lines)
    found["time"] = clock.look(states) | {"measured_in": time.perf_counter() - began, "busy": busy}
    return {"ready": _ready(found)} | found


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute on so many cores: threads that wait for one another on a busy machine would measure that alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _step(bar: tqdm, action: Callable[[], T]) -> T:
    found = action()
    bar.update()
    return found


def _kinds(experiment: Experiment) -> list[str]:
    """What the stages of this experiment import, torch first."""
    sources: set[str] = {own.source for own in experiment.image_encoders.values()}
    sources |= {own.source for own in experiment.text_encoders.values()}
    return ["search", *(kind for kind in LIBRARIES if kind in sources)]


def _pipeline(folder: Path) -> dict[str, Any]:
    """The stages counted, or why they cannot be."""
    try:
        found = stages.look(folder)
        return {"problem": None, **stages.summary(found.states), **vars(found)}
    except HymaError as error:
        problem = str(error)
    except Exception as error:  # whatever DVC raises: the rest of the plan stands without it
        problem = f"DVC cannot tell which stages run: {' '.join(str(error).split()) or type(error).__name__}"
    return {"problem": problem, "states": {}, "lock_lines": 0.0}


def _measure(
    experiment: Experiment, searched: Work | None, known: dict[str, Encoder], imports: Imports, bar: tqdm
) -> Speed:
    """This machine's speed at what the experiment needs; what fails to be measured stays 0 and is not estimated."""
    found = Speed(start=_step(bar, imports.result))
    live = [encoder for encoder in known.values() if encoder.own.source != "precomputed"]
    found.lock_line = _step(bar, lock_line)
    found.row = _step(bar, lambda: speed.rows(live, experiment))
    found.draw, jpeg = trial.drawing() if experiment.world else (0.0, trial.photo())
    found.decode = speed.repeated(lambda: speed.opened(jpeg))
    found.picture = _step(bar, lambda: speed.pictures(jpeg, live))
    if searched is not None:
        found.grid = _tried(trial.grid_rate, searched) or 0.0
        found.hyma = _tried(trial.hyma_rate, searched) or found.grid
        found.cell, found.value = trial.evaluation(searched)
    bar.update()
    return found


def _tried(trial: Callable[[Work], float | None], searched: Work) -> float | None:
    """What a trial measures; None if it cannot be run, as with more than fits into memory."""
    try:
        return trial(searched)
    except (RuntimeError, HymaError):
        return None


def _flops(
    known: dict[str, Encoder], counts: dict[str, rows.Rows | None], flops: dict[str, Parts | None]
) -> dict[str, Any]:
    extraction = {}
    for slug, encoder in known.items():
        kept = {place: own for place, own in counts.items() if encoder.encodes(place)}
        each = [None if own is None else encoder.rows(own) for own in kept.values()]
        per_row = encoder.flops_per_row
        total = None if per_row is None or None in each else per_row * sum(own or 0 for own in each)
        extraction[slug] = {"per_row": per_row, "total": total, "reason": encoder.reason}
    counted = {
        name: None if parts is None else {"total": sum(parts.values()), "parts": parts}
        for name, parts in flops.items()
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

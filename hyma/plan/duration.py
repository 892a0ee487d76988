"""How long every stage will take: its process, DVC's own work, and what it computes.

A search takes what its FLOPs took in the last run here; all else, and a search without one, goes by
`hyma.plan.constants`. A stage of another name than those here counts as one that computes next to nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyma.common.errors import HymaError
from hyma.common.files import read_json
from hyma.common.names import ORACLE
from hyma.methods import trains
from hyma.plan import constants
from hyma.plan.encoders import Encoder
from hyma.plan.experiment import Experiment
from hyma.plan.methods import trained
from hyma.plan.rows import Rows, drawn
from hyma.plan.sizes import connector_weights
from hyma.plan.stages import KEEP, RUN, Stage
from hyma.search import refine
from hyma.stitching.flops import Parts
from hyma.stitching.shapes import Shapes

LAST_RUN = Path("metrics/ranking.json")
HERE, TYPICAL = "the last run here", "typical two-core figures"
BACKWARD = 3
"""Training an encoder costs about three times its forward pass."""
QUESTIONS, CLASSES = {"okvqa", "textvqa"}, {"imagenet", "cifar100", "folders"}


def measured() -> dict[str, float]:
    """FLOPs a second of each method in the last run here; empty if there was none."""
    try:
        costs = read_json(LAST_RUN)["cost"].items()
        return {name: own["flops"] / own["seconds"] for name, own in costs if own["flops"] and own["seconds"]}
    except (HymaError, KeyError, TypeError, AttributeError):
        return {}


@dataclass(frozen=True)
class Clock:
    """What the time of a stage is worked out from."""

    experiment: Experiment
    encoders: dict[str, Encoder]
    rows: dict[str, Rows | None]
    shapes: Shapes | None
    flops: dict[str, Parts | None]
    rates: dict[str, float] = field(default_factory=dict)
    """As `measured`."""

    def look(self, stages: list[Stage]) -> dict[str, Any]:
        """Seconds by stage's name, apart for process, DVC and the work itself; what is not estimated; the basis."""
        found: dict[str, dict[str, float]] = {}
        unknown = []
        for stage in (one for one in stages if one.state != KEEP):
            own = found.setdefault(stage.name, {"stages": 0, "start": 0.0, "dvc": 0.0, "work": 0.0})
            own["dvc"] += constants.DVC_STAGE + constants.DVC_LINE * stage.lock_lines
            if stage.state == RUN:
                seconds = self.work(stage.name, stage.instance)
                unknown += [stage.address] if seconds is None else []
                own["stages"] += 1
                own["start"] += constants.START[self._heaviest(stage)]
                own["work"] += seconds or 0.0
        total = sum(own["start"] + own["dvc"] + own["work"] for own in found.values())
        basis = HERE if self.rates else TYPICAL
        return {"seconds": total, "by_name": found, "not_estimated": unknown, "basis": basis}

    def _heaviest(self, stage: Stage) -> str:
        """What takes longest of all that a stage's process imports."""
        if stage.name in constants.LIGHT:
            return "light"
        if stage.name in ("train_image_encoder", "train_text_encoder"):
            return "timm" if "image" in stage.name else "sentence-transformers"
        if not stage.name.startswith("extract_"):
            return "torch"
        sources = {encoder.own.source for encoder in self._of_side(stage.name.removeprefix("extract_"))}
        return max(sources & constants.START.keys(), key=lambda name: constants.START[name], default="torch")

    def _of_side(self, side: str) -> list[Encoder]:
        return [encoder for encoder in self.encoders.values() if encoder.modality == side]

    def work(self, name: str, instance: str) -> float | None:
        """Seconds that a stage computes; None where they cannot be estimated."""
        own = self.experiment
        match name:
            case "world" if instance in own.world:
                shown = sum(found.images for found in self.rows.values() if found)
                return (own.world[instance].label_images + shown) / constants.DRAWN
            case "fetch":
                return constants.FETCHED.get(instance)
            case "train_image_encoder" if instance in own.zoo.image:
                images = sum(world.label_images for world in own.world.values())
                return self._trained(instance, images * own.zoo.image[instance].epochs)
            case "train_text_encoder" if instance in own.zoo.text:
                lines = sum(world.corpus_lines for world in own.world.values())
                return self._trained(instance, lines * own.zoo.text[instance].epochs)
            case "prepare_training" | "prepare":
                return self._opened(f"{'training' if 'training' in name else 'benchmarks'}/{instance}")
            case "extract_image" | "extract_text":
                own_side = self._of_side(name.removeprefix("extract_"))
                return _total(self._encoded(own_side, place) for place in self.rows)
            case "train_hyma":
                return self._searched("hyma")
            case "refine" if own.refine is not None:
                return self._searched("refine")
            case "train_grid":
                return self._grid()
            case "untrained" | "search":
                chosen = [one for one in own.search.methods if trains(one) == (name == "search")]
                return _total(map(self._searched, chosen))
            case "evaluate":
                return _total(map(self._evaluated, own.benchmarks))
        return 0.0

    def _trained(self, slug: str, rows: int) -> float | None:
        encoder = self.encoders.get(slug)
        if encoder is None or encoder.facts is None:
            return None
        return BACKWARD * rows * encoder.facts.flops_per_row / constants.SEARCHED

    def _opened(self, place: str) -> float | None:
        """Opening all pictures of a data set."""
        part, _, slug = place.partition("/")
        found, source = self.rows.get(place), getattr(self.experiment, part).get(slug)
        if found is None or source is None:
            return None
        small = drawn(self.experiment, source) is not None
        return found.images / (constants.DRAWINGS if small else constants.PHOTOS)

    def _encoded(self, encoders: list[Encoder], place: str) -> float | None:
        """A data set's features of all encoders of a side; each picture is opened once for all of them."""
        working = [encoder for encoder in encoders if encoder.encodes(place)]
        if not working:
            return 0.0
        found, opened = self.rows[place], self._opened(place)
        facts = [encoder.facts for encoder in working]
        if found is None or opened is None or None in facts:
            return None
        flops = (
            encoder.rows(found) * each.flops_per_row
            for encoder, each in zip(working, facts, strict=True)
            if each is not None
        )
        return sum(flops) / constants.ENCODED + (opened if working[0].modality == "image" else 0.0)

    def _searched(self, method: str) -> float | None:
        """A method, without the search that it starts from."""
        parts = self.flops.get(method)
        if parts is None:
            return None
        spent = sum(value for part, value in parts.items() if part != refine.BEFORE)
        return spent / self.rates.get(method, self.rates.get(ORACLE, constants.SEARCHED))

    def _grid(self) -> float | None:
        """Grid search on the pairs that are trained on their own."""
        if self.shapes is None:
            return None
        spent = sum(trained(self.experiment, self.shapes)["flops"].values())
        return spent / self.rates.get(ORACLE, constants.SEARCHED)

    def _evaluated(self, benchmark: str) -> float | None:
        """Every connector of every method: its texts through it, then compared with images by both protocols."""
        found, source = self.rows.get(f"benchmarks/{benchmark}"), self.experiment.benchmarks.get(benchmark)
        if found is None or source is None or self.shapes is None:
            return None
        connectors, weights = connector_weights(self.experiment, self.shapes)
        # Standard: both directions; paper: one. COCO's are two sets of half the images and texts each.
        cells = 3.0 * found.images * found.texts / (4 if source.format == "coco" else 1)
        if source.format in QUESTIONS:
            cells = found.questions * source.max_answers
        elif source.format in CLASSES:
            cells = 0.0  # so few that they count as none
        width = sum(self.shapes.images.values()) / len(self.shapes.images)
        return 2.0 * (found.texts * weights + connectors * cells * width) / constants.SEARCHED


def _total(parts: Iterable[float | None]) -> float | None:
    """The sum, unless a part is unknown."""
    found = list(parts)
    return None if None in found else sum(part or 0.0 for part in found)

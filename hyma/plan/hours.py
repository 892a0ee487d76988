"""How long every stage will take here: its process, DVC's own work, and what it computes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hyma.common.pictures import cores
from hyma.plan.encoders import Encoder
from hyma.plan.experiment import Experiment
from hyma.plan.methods import pair_step
from hyma.plan.rows import Rows
from hyma.plan.sizes import FULL, LINEAR
from hyma.plan.speed import Speed
from hyma.plan.stages import KEEP, RUN
from hyma.plan.work import Work
from hyma.readers.base.params import DataSource
from hyma.stitching.flops import Parts

BACKWARD = 3
"""Training an encoder costs about three times its forward pass."""
ALWAYS = 3
"""Methods with connectors that every experiment has: grid, hyma, refine."""
CLASSIFICATION, QUESTIONS = {"imagenet", "cifar100", "folders"}, {"okvqa", "textvqa"}


@dataclass(frozen=True)
class Clock:
    """What the time of a stage is worked out from."""

    experiment: Experiment
    encoders: dict[str, Encoder]
    rows: dict[str, Rows | None]
    work: Work | None
    flops: dict[str, Parts | None]
    speed: Speed
    gpu: bool
    lock_lines: float
    """Of dvc.lock, on average over the run."""

    def look(self, states: dict[str, str]) -> dict[str, Any]:
        """Seconds by stage's name, apart for its process, DVC and the work itself; what is not estimated by name."""
        found: dict[str, dict[str, float]] = {}
        unknown = []
        for stage, state in states.items():
            if state == KEEP:
                continue
            name = stage.partition("@")[0]
            own = found.setdefault(name, {"stages": 0, "start": 0.0, "dvc": 0.0, "work": 0.0})
            own["dvc"] += self.speed.lock_line * self.lock_lines
            if state != RUN:
                continue
            seconds = self._work(name, stage.partition("@")[2])
            if seconds is None:
                unknown.append(stage)
            own["stages"] += 1
            own["start"] += self._start(name, stage.partition("@")[2])
            own["work"] += seconds or 0.0
        total = sum(sum(own.values()) - own["stages"] for own in found.values())
        return {"seconds": total, "by_name": found, "not_estimated": unknown}

    def _start(self, name: str, instance: str) -> float:
        kind = "search"
        if name.startswith("extract"):
            kind = self.encoders[instance].own.source if instance in self.encoders else kind
        elif name in ("train_image_encoder", "train_text_encoder"):
            kind = "timm" if "image" in name else "sentence-transformers"
        return self.speed.start.get(kind, self.speed.start.get("search", 0.0))

    def _work(self, name: str, instance: str) -> float | None:
        """Seconds that a stage computes; None where they cannot be estimated."""
        forms: dict[str, Callable[[str], float | None]] = {
            "world": self._world,
            "train_image_encoder": self._train_image_encoder,
            "train_text_encoder": self._train_text_encoder,
            "prepare_training": lambda slug: self._prepare(f"training/{slug}"),
            "prepare": lambda slug: self._prepare(f"benchmarks/{slug}"),
            "train_grid": self._train_grid,
            "train_hyma": lambda _: self._method("hyma", self.speed.hyma),
            "refine": lambda _: self.experiment.refine.flops / self.speed.grid if self.speed.grid else None,
            "search": self._search,
            "evaluate": self._evaluate,
        }
        if name.startswith("extract"):
            return self._extract(instance, "benchmarks" if name.endswith("benchmarks") else "training")
        return forms[name](instance) if name in forms else 0.0

    def _world(self, name: str) -> float:
        own = self.experiment.world[name]
        shown = [found.images for found in self.rows.values() if found is not None]
        return self.speed.draw * (own.label_images + sum(shown)) / cores()

    def _train_image_encoder(self, slug: str) -> float | None:
        encoder, own = self.encoders.get(slug), self.experiment.zoo.image[slug]
        if encoder is None or slug not in self.speed.row:
            return None
        images = sum(world.label_images for world in self.experiment.world.values())
        return BACKWARD * own.epochs * images * self.speed.row[slug]

    def _train_text_encoder(self, slug: str) -> float | None:
        encoder, own = self.encoders.get(slug), self.experiment.zoo.text[slug]
        if encoder is None or slug not in self.speed.row:
            return None
        lines = sum(world.corpus_lines for world in self.experiment.world.values())
        return BACKWARD * own.epochs * lines * self.speed.row[slug]

    def _prepare(self, place: str) -> float | None:
        found = self.rows[place]
        return None if found is None else found.images * self.speed.decode / cores()

    def _extract(self, slug: str, part: str) -> float | None:
        """On a CPU opening pictures and encoding them share its cores; beside a GPU they go on at the same time."""
        encoder = self.encoders[slug]
        if not encoder.encodes(f"{part}/"):
            return 0.0
        if slug not in self.speed.row:
            return None
        total = 0.0
        for place, found in self.rows.items():
            if not place.startswith(f"{part}/"):
                continue
            if found is None:
                return None
            opened = self.speed.picture.get(slug, 0.0) / cores()
            encoded = self.speed.row[slug]
            total += encoder.rows(found) * (max(opened, encoded) if self.gpu else opened + encoded)
        return total

    def _train_grid(self, pair: str) -> float | None:
        image, _, text = pair.partition("-")
        if self.work is None or (image, text) not in self.work.specs or not self.speed.grid:
            return None
        cost = {name: sum(pair_step(spec, 1024).values()) for name, spec in self.work.specs.items()}
        total = sum((self.flops["grid"] or {}).values())
        return total * cost[image, text] / sum(cost.values()) / self.speed.grid

    def _method(self, name: str, rate: float) -> float | None:
        parts = self.flops.get(name)
        return None if parts is None or not rate else sum(parts.values()) / rate

    def _search(self, name: str) -> float | None:
        return self._method(name, self.speed.hyma if name == "hyma_two_sided" else self.speed.grid)

    def _evaluate(self, slug: str) -> float | None:
        """Every pair of every method with connectors: its texts through the connector, then compared with images."""
        found, work = self.rows[f"benchmarks/{slug}"], self.work
        if found is None or work is None or not self.speed.grid:
            return None
        used = set(self.experiment.search.methods)
        full, linear = ALWAYS + len(FULL & used), len(LINEAR & used)
        cells = _cells(found, self.experiment.benchmarks[slug])
        total = 0.0
        for spec in work.specs.values():
            weights = (
                full * sum(out * into for out, into in spec.layers) + linear * spec.d_text * spec.d_image
            )
            total += 2.0 * found.texts * weights / self.speed.grid
            total += (full + linear) * (
                found.texts * spec.d_image * self.speed.value + cells * self.speed.cell
            )
        return total


def _cells(rows: Rows, source: DataSource) -> float:
    """Images compared with texts, by both protocols; classes are so few that they count as none."""
    if source.format in QUESTIONS:
        return float(rows.questions * source.max_answers)
    if source.format in CLASSIFICATION:
        return 0.0
    # Standard: both directions; paper: one. COCO's are two sets of half the images and texts each.
    return 3.0 * rows.images * rows.texts / (4 if source.format == "coco" else 1)

"""How many rows each data set has: from its prepared form, the world's params, the published figures, or a look."""

import csv
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from hyma.common import prepared
from hyma.common.errors import HymaError
from hyma.embedded.world import annotations, questions
from hyma.embedded.world.params import WorldParams
from hyma.fetched.params import FOLDER
from hyma.plan.experiment import Experiment
from hyma.plan.published import SETS
from hyma.readers.base.params import DataSource
from hyma.readers.formats.captions import NAMES

RAW = Path("data/raw")
"""Where the embedded world is drawn."""
PROMPTS = {"imagenet": 81, "cifar100": 19}
"""A class, of both protocols."""
CIFAR_CLASSES = 100
CAPTIONS = 5


@dataclass(frozen=True)
class Rows:
    """A data set's size, and what it is known from."""

    images: int
    texts: int
    questions: int
    origin: str
    """``prepared``, ``world``, ``published`` or ``counted``."""


def look(experiment: Experiment) -> dict[str, Rows | None]:
    """The rows of every data set by its place, such as ``benchmarks/coco``; None where they are unknown."""
    found = {}
    for part, sources in (("training", experiment.training), ("benchmarks", experiment.benchmarks)):
        for slug, source in sources.items():
            try:
                found[f"{part}/{slug}"] = _rows(experiment, part, slug, source)
            except (OSError, ValueError, TypeError, tarfile.TarError):  # damaged: preparing it will say how
                found[f"{part}/{slug}"] = None
    return found


def drawn(experiment: Experiment, source: DataSource) -> WorldParams | None:
    """The world that draws this data set, if one does."""
    worlds = [world for world in experiment.world.values() if Path(source.path) == RAW / source.format]
    return worlds[0] if worlds else None


def fetched(experiment: Experiment, path: str) -> bool:
    """Whether what lies at a path is fetched by the run itself."""
    return any(Path(FOLDER) / name in (Path(path), *Path(path).parents) for name in experiment.fetch)


def _rows(experiment: Experiment, part: str, slug: str, source: DataSource) -> Rows | None:
    try:
        meta = prepared.read_meta(Path("data/prepared") / part / slug)
        if meta.format == source.format:
            return Rows(meta.images, meta.texts, meta.questions, "prepared")
    except HymaError:
        pass
    world = drawn(experiment, source)
    if world is not None:
        return _of_world(world, source)
    if source.format in SETS:
        images, texts, asked, *_ = SETS[source.format]
        return Rows(images, texts or asked * source.max_answers, asked, "published")
    return _counted(source)


def _of_world(world: WorldParams, source: DataSource) -> Rows:
    """As `hyma.embedded.world.write` draws it."""
    classes = len(annotations.imagenet_classes())
    retrieval = world.coco_images + world.coco_2017_images
    okvqa, textvqa = world.okvqa_questions, world.textvqa_questions
    knowledge, reading = (
        len(asked) * source.max_answers for asked in (questions.KNOWLEDGE, questions.READING)
    )
    known = {
        "llava": (world.train_pairs, world.train_pairs, 0),
        "imagenet": (classes * world.imagenet_per_class, classes * PROMPTS["imagenet"], 0),
        "cifar100": (CIFAR_CLASSES * world.cifar_per_class, CIFAR_CLASSES * PROMPTS["cifar100"], 0),
        "coco": (retrieval, CAPTIONS * retrieval, 0),
        "flickr8k": (world.flickr_images, CAPTIONS * world.flickr_images, 0),
        "okvqa": ((okvqa + 1) // 2, knowledge, okvqa),
        "textvqa": (max(1, textvqa * 3 // 4), reading, textvqa),
    }
    return Rows(*known[source.format], "world")


def _counted(source: DataSource) -> Rows | None:
    """A user's own data, counted without opening a picture."""
    root = Path(source.path)
    if not root.exists():
        return None
    if source.format == "folders":
        classes = [folder for folder in root.iterdir() if folder.is_dir()]
        images = sum(1 for folder in classes for _ in folder.iterdir())
        return Rows(images, len(classes) * PROMPTS["imagenet"], 0, "counted")
    rows = _shards(root) if source.format == "webdataset" else _table(root)
    return None if rows is None else Rows(rows, rows, 0, "counted")


def _table(root: Path) -> int | None:
    """Rows of a table of captions."""
    files = [root] if root.is_file() else [root / name for name in NAMES if (root / name).is_file()]
    if not files:
        return None
    if files[0].suffix == ".parquet":
        return int(pq.read_metadata(files[0]).num_rows)
    with files[0].open(encoding="utf-8-sig", newline="") as stream:
        if files[0].suffix == ".csv":
            return max(0, sum(1 for row in csv.reader(stream) if row) - 1)
        return sum(1 for line in stream if line.strip())


def _shards(root: Path) -> int | None:
    """Samples of all shards, about: those of the first, times the others' sizes."""
    shards = sorted(root.glob("*.tar"))
    if not shards:
        return None
    with tarfile.open(shards[0]) as archive:
        keys = {member.name.partition(".")[0] for member in archive if member.isreg()}
    return round(len(keys) * sum(shard.stat().st_size for shard in shards) / shards[0].stat().st_size)

"""Short trials of what stages compute, on random numbers of the true widths: their rates on this machine."""

import io
from itertools import count

import numpy as np
import torch
from PIL import Image

from hyma.common.names import PairName
from hyma.embedded.world.draw import draw
from hyma.embedded.world.scenes import generator, random_scene
from hyma.evaluation import metrics
from hyma.plan import speed
from hyma.plan.methods import pair_step
from hyma.plan.speed import ENOUGH, now, quiet, repeated
from hyma.plan.work import Work
from hyma.search import hyma_search
from hyma.stitching.connectors import Stitch, initialise
from hyma.stitching.grid import train_pair
from hyma.stitching.normalise import Normaliser
from hyma.stitching.training_set import TrainingFeatures

HELD_OUT = 64
"""Rows of a trial that score it."""
MOST_BATCH = 1024
STEPS = 10
"""Of a trial."""
MOST_WEIGHTS = 50_000_000
"""Of a hypernetwork, up to which it is tried; a larger one is taken to be as fast as grid search."""
PHOTO = (500, 375)
"""Pixels of a picture of COCO's, and about that of the other published sets."""


def features(work: Work, rows: int, pair: PairName | None = None) -> TrainingFeatures:
    """Random features of all encoders, or of a pair's, on the CPU or GPU that the experiment takes."""
    on = speed.device(work.experiment)
    images = work.images if pair is None else {pair[0]: work.images[pair[0]]}
    texts = work.texts if pair is None else {pair[1]: work.texts[pair[1]]}
    row = torch.arange(rows + HELD_OUT, device=on)
    return TrainingFeatures(
        {slug: torch.randn(len(row), width, device=on) for slug, width in images.items()},
        {slug: torch.randn(len(row), width, device=on) for slug, width in texts.items()},
        image_of_text_M=row,
        train=row[HELD_OUT:],
        held_out=row[:HELD_OUT],
    )


def grid_rate(work: Work) -> float:
    """FLOPs a second of grid search on a pair of average cost."""
    own = work.experiment.grid
    batch = min(own.batch, work.samples, MOST_BATCH)
    cost = {pair: sum(pair_step(spec, batch).values()) for pair, spec in work.specs.items()}
    mean = sum(cost.values()) / len(cost)
    pair = min(cost, key=lambda one: abs(cost[one] - mean))
    data, settings = features(work, 2 * batch, pair), own.model_copy(update={"batch": batch})

    def search(steps: int) -> None:
        with quiet():
            train_pair(data, settings, work.experiment.connector, 0, pair, steps)

    # Twice: what a search costs beside its steps, such as normalising, is not counted.
    few, many = (repeated(lambda: search(steps), 2 * ENOUGH) for steps in (1, 1 + STEPS))  # noqa: B023
    return STEPS * cost[pair] / max(many - few, 1e-9)


def hyma_rate(work: Work) -> float | None:
    """FLOPs a second of HYMA's search; None if its hypernetwork is too large to be tried."""
    own, pairs = work.experiment.hyma, len(work.specs)
    if own.decoder == "dense" and _dense_weights(work) > MOST_WEIGHTS:
        return None
    batch = min(own.batch, work.samples, MOST_BATCH)
    update = {
        "batch": batch,
        "epochs": 1,
        "bm": min(own.bm, pairs),
        "samples": min(own.samples, STEPS * batch),
    }
    data, settings = features(work, STEPS * batch), own.model_copy(update=update)

    def search() -> float:
        start = now()
        with quiet():
            found = hyma_search.search(data, settings, work.experiment.connector, 0)
        return sum(found.flops.values()) / (now() - start)

    return max(search(), search())


def _dense_weights(work: Work) -> int:
    shapes = [shape for spec in work.specs.values() for shape in spec.layers]
    rows, columns = max(out for out, _ in shapes), max(into for _, into in shapes)
    return int(work.experiment.hyma.widths[-1] * rows * (columns + 1))


def evaluation(work: Work) -> tuple[float, float]:
    """Seconds of comparing an image with a text, and of a number of a text's embedding."""
    width = sorted(work.images.values())[len(work.images) // 2]
    rng = np.random.default_rng(0)
    image_ND, text_MD = (rng.standard_normal((rows, width), np.float32) for rows in (200, 1000))
    image_of_text_M = np.arange(1000) % 200
    cells = 2 * len(image_ND) * len(text_MD)
    cell = repeated(lambda: metrics.retrieval_ranks(image_ND, text_MD, image_of_text_M)) / cells
    spec = next(iter(work.specs.values()))
    text_MD = rng.standard_normal((1000, width), np.float32)
    stitch = Stitch(
        spec, initialise(spec, torch.Generator().manual_seed(0)), Normaliser("l2"), Normaliser("l2")
    )

    def embed() -> None:
        unit_MD = stitch.embed_image(torch.tensor(text_MD)).numpy()
        sums_CD = np.zeros((100, width), np.float32)
        for _ in ("standard", "paper"):
            np.add.at(sums_CD, image_of_text_M % 100, unit_MD[image_of_text_M])

    return cell, repeated(embed) / text_MD.size


def drawing() -> tuple[float, bytes]:
    """Seconds of drawing a picture of the embedded world, and one of them as JPEG."""
    number = count()

    def one() -> np.ndarray:
        rng = generator(0, "plan", next(number))
        return draw(random_scene(rng, False), rng)

    return repeated(one), _jpeg(Image.fromarray(one()))


def photo() -> bytes:
    """A picture of a photograph's size, as JPEG."""
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    return _jpeg(Image.fromarray(pixels).resize(PHOTO, Image.Resampling.BICUBIC))


def _jpeg(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=92)
    return stream.getvalue()

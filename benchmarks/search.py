"""How fast pictures are made searchable and found, and in how much memory: python -m benchmarks.search.

Draws small pictures, puts a model together from two encoders of the zoo and a connector of random numbers, and runs
what `hyma index` and `hyma search` run. Memory is this process's, sampled, above what it was before each step; a
memory-mapped index counts. Takes about two minutes on two cores.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image

from hyma.common.pictures import cores
from hyma.encoders.base.params import ImageEncoderParams, TextEncoderParams
from hyma.model import index
from hyma.model.files import find
from hyma.model.index import ImageIndex
from hyma.model.stitched import StitchedModel
from hyma.stitching.connectors import ConnectorSpec, Stitch, initialise
from hyma.stitching.normalise import Normaliser

D_IMAGE, D_TEXT = 96, 192
QUERIES = ["a red circle", "two blue squares", "the number five", "a striped umbrella", "nothing at all"]
SAMPLE = 0.002
"""Seconds between two looks at the memory."""


def main() -> None:
    """Draw, index, search, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=64, help="pixels of a picture's side")
    parser.add_argument("--device", default="auto", help="auto | cpu | cuda")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hyma-") as name:
        folder = Path(name)
        draw(folder / "pictures", args.pictures, args.side)
        make_model().save_pretrained(folder / "model")
        model = StitchedModel.from_pretrained(folder / "model", device=args.device)
        model.encode_image([Image.new("RGB", (args.side, args.side))])  # loads the encoders and warms them up
        model.encode_text(QUERIES)
        print(f"{model}, {cores()} cores, {torch.get_num_threads()} threads", flush=True)
        measure_index(model, folder, args.side)
        measure_search(model, folder / "index.arrow")
        measure_command(folder)


def draw(folder: Path, count: int, side: int) -> None:
    """Write pictures of coarse shapes, no two alike."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg")


def make_model() -> StitchedModel:
    """Two encoders of the zoo; what the connector's numbers are does not matter here."""
    generator = torch.Generator().manual_seed(0)
    spec = ConnectorSpec("mlp1", D_TEXT, D_IMAGE, 1024)
    stitch = Stitch(spec, initialise(spec, generator), Normaliser("l2"), Normaliser("l2"))
    image = ImageEncoderParams(source="timm", name="test_resnet", weights="zoo/resnet")
    text = TextEncoderParams(source="sentence-transformers", name="words", weights="zoo/words")
    return StitchedModel(stitch, image, text, pair="resnet-words", device="cpu")


def measure_index(model: StitchedModel, folder: Path, side: int) -> None:
    """Print how long an index takes."""
    paths = find([folder / "pictures"]).paths
    with measured() as taken:
        index.write(folder / "index.arrow", model, paths)
    size = (folder / "index.arrow").stat().st_size
    print(
        f"index    {len(paths):,} pictures of {side}×{side} in {taken.seconds:.1f} s, "
        f"{len(paths) / taken.seconds:.0f} a second; a file of {size / 1e6:.1f} MB; "
        f"peak memory {taken.peak / 1e6:.0f} MB above the loaded model's",
        flush=True,
    )


def measure_search(model: StitchedModel, file: Path) -> None:
    """Print how long an opened index takes for a query, the text's encoding included."""
    seconds = []
    with measured() as taken:
        found = ImageIndex.open(file)
        opened = time.perf_counter() - taken.start
        for query in QUERIES * 4:
            start = time.perf_counter()
            assert len(model.search(query, found, 10)) == 10
            seconds.append(time.perf_counter() - start)
    print(
        f"search   opens the index in {opened * 1e3:.1f} ms, answers a query in "
        f"{statistics.median(seconds) * 1e3:.1f} ms after loading (median of {len(seconds)}); "
        f"peak memory {taken.peak / 1e6:.0f} MB above the loaded model's",
        flush=True,
    )


def measure_command(folder: Path) -> None:
    """Print how long the whole command takes, from its start to its end."""
    run = [sys.executable, "-m", "hyma", "search", str(folder / "index.arrow"), QUERIES[0]]
    with measured() as taken:
        subprocess.run([*run, "--model", str(folder / "model")], check=True, stdout=subprocess.DEVNULL)
    print(f"command  `hyma search` answers in {taken.seconds:.1f} s, imports and loading included")


class Taken:
    """What a step took."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.seconds = 0.0
        self.peak = 0
        """Bytes."""


@contextmanager
def measured() -> Iterator[Taken]:
    """Take the time of a block, and the most memory that it held above what there was before."""
    process, done, taken = psutil.Process(), threading.Event(), Taken()
    before = process.memory_info().rss

    def watch() -> None:
        while not done.wait(SAMPLE):
            taken.peak = max(taken.peak, process.memory_info().rss - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield taken
    finally:
        taken.seconds = time.perf_counter() - taken.start
        taken.peak = max(taken.peak, process.memory_info().rss - before)
        done.set()
        watcher.join()


if __name__ == "__main__":
    main()

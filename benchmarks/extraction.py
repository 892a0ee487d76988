"""How fast extraction is on a CPU, beside the loop that one writes oneself: python -m benchmarks.extraction.

Draws JPEG pictures like those of CC3M (336×336, about 30 kB) and makes models with random weights, one a family. In
turn, `hyma.encoders.base.extract.extract` goes over the pictures' files, and a plain loop does: open the pictures of
a batch with Pillow, apply timm's transform, stack, call the model. Prints the rows a second of both, and the median
of their ratios, round by round, with the smallest and the largest. Takes about three minutes whatever the machine.

`compare` and `together`, for `benchmarks.gpu`, measure against the encoder's bare forward pass.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from timm.models import save_for_hf
from torch import Tensor

from hyma.common import precision, prepared
from hyma.common.features import Features
from hyma.common.files import remove
from hyma.common.pictures import cores, decode
from hyma.encoders.base.extract import FEW, Job, batch_size, extract, worker_count
from hyma.encoders.base.load import Encoder, load
from hyma.encoders.base.params import ExtractParams, ImageEncoderParams

SIDE, PICTURES = 336, 256
MODELS = ("tf_efficientnet_lite0", "test_resnet", "vit_tiny_patch16_224")
SECONDS = 50.0
"""For the rounds of a model …"""
ROUND = 4.0
"""… and for the plain loop in one of them."""
FEWEST = 3
"""Rounds, however long they take."""


@dataclass(frozen=True)
class Rates:
    """What was measured, and on what."""

    batch: int
    rows: int
    forward: float
    """Rows a second of the encoder alone, its batches on the device; the median of all rounds."""
    extraction: float
    """Rows a second, likewise."""

    @property
    def ratio(self) -> float:
        """The share of the bare forward pass that extraction reaches."""
        return self.extraction / self.forward


@dataclass(frozen=True)
class Race:
    """Extraction and the plain loop over the same pictures, in turn."""

    rows: int
    plain: list[float]
    """Rows a second, a round each."""
    ours: list[float]
    difference: float
    """The largest between the features of both, in units of the largest feature."""

    @property
    def ratios(self) -> list[float]:
        """Ours ÷ plain, in ascending order."""
        return sorted(ours / plain for ours, plain in zip(self.ours, self.plain, strict=True))


def main() -> None:
    """Draw the pictures, let extraction and the plain loop race with every model, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS, help="timm's names, without a tag")
    parser.add_argument(
        "--workers", type=int, help="processes that open pictures (default: auto, as the pipeline has it)"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each model")
    args = parser.parse_args()
    workers = "auto" if args.workers is None else args.workers
    params = ExtractParams(batch="auto", workers=workers, precision="auto")
    say(f"workers: {workers}; {cores()} cores, {torch.get_num_threads()} threads")
    say(f"{'':24}  plain rows/s  ours rows/s  ours ÷ plain")
    with tempfile.TemporaryDirectory(prefix="hyma-") as name:
        folder = Path(name)
        files = draw(folder / "raw", PICTURES)
        for model in args.models:
            found = race(model, files, folder / model, params, args.seconds)
            rates = f"{statistics.median(found.plain):12.1f} {statistics.median(found.ours):12.1f}"
            median, ratios = statistics.median(found.ratios), found.ratios
            spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f} in {len(ratios)} rounds of {found.rows} pictures"
            say(f"{model:24}  {rates} {median:13.2f}  ({spread}; features differ by {found.difference:.0e})")


def race(name: str, files: list[Path], folder: Path, params: ExtractParams, seconds: float) -> Race:
    """Run the plain loop and extraction in turn for `seconds`, on the CPU, after a batch of each to warm up."""
    place = torch.device("cpu")
    encoder = make_encoder(name, folder / "weights", place, params)
    model = timm.create_model(f"local-dir:{folder / 'weights'}", pretrained=True, num_classes=0).eval()
    size = batch_size(params, encoder, "image", place)
    encoder.encode(batch(encoder, files[:size]))
    plain_loop(model, files[:size], size)
    start = time.perf_counter()
    plain_loop(model, files[:size], size)
    rows = max(2, int(ROUND / (time.perf_counter() - start))) * size
    data, several = data_set(folder / "data", files, rows), [files[row % len(files)] for row in range(rows)]
    plain, ours = list[float](), list[float]()
    begin = time.perf_counter()
    while len(ours) < FEWEST or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        expected_ND = plain_loop(model, several, size)
        plain.append(rows / (time.perf_counter() - start))
        ours.append(extraction(encoder, data, params, place))
    found_ND = Features(data / "out.arrow").to_numpy()
    difference = np.abs(found_ND - expected_ND).max() / np.abs(expected_ND).max()
    return Race(rows, plain, ours, float(difference))


@torch.inference_mode()
def plain_loop(model: torch.nn.Module, files: list[Path], size: int) -> np.ndarray:
    """What one writes without this project; features [N, D] of the pictures, `size` at a time."""
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    features = []
    for start in range(0, len(files), size):
        pictures = [transform(Image.open(file).convert("RGB")) for file in files[start : start + size]]
        features.append(model(torch.stack(pictures)))
    return torch.cat(features).numpy()


def extraction(encoder: Encoder, data: Path, params: ExtractParams, place: torch.device) -> float:
    """Rows a second of extraction over a data set, from nothing to the feature file ``out.arrow`` beside it."""
    start = time.perf_counter()
    extract([Job(encoder, 0.0, data / "out.arrow", data / "unfinished")], "image", data, params, place)
    rate = prepared.read_meta(data).images / (time.perf_counter() - start)
    remove(data / "unfinished")
    return rate


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def compare(
    encoder: Encoder,
    files: list[Path],
    folder: Path,
    params: ExtractParams,
    place: torch.device,
    seconds: float,
    rounds: int,
    say: Callable[[str], None],
) -> Rates:
    """Run the encoder alone and extraction in turn, over so many pictures that all takes about `seconds`."""
    size = batch_size(params, encoder, "image", place)
    start = time.perf_counter()
    image_N3HW = batch(encoder, files)
    opened = len(files) / (time.perf_counter() - start) * max(1, worker_count(params, FEW))
    several = [torch.arange(first, first + size) % len(files) for first in (0, size)]
    batches = [image_N3HW[rows].to(place) for rows in several]
    encoded = 2 * size / forward(encoder, batches, 2)
    rows = max(2, int(seconds / 2 / rounds * min(encoded, opened) / size)) * size
    say(f"{rows} pictures, {size} a batch")
    return measure(encoder, batches, data_set(folder, files, rows), params, place, rounds, say)


def draw(folder: Path, count: int) -> list[Path]:
    """Write `count` pictures that compress as photographs do: coarse shapes under fine noise."""
    folder.mkdir()
    rng, files = np.random.default_rng(0), []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (SIDE // 8, SIDE // 8, 3), np.uint8))
        shapes_HW3 = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
        pixel_HW3 = np.clip(shapes_HW3 + rng.normal(0, 6, shapes_HW3.shape), 0, 255).astype(np.uint8)
        files.append(folder / f"{number}.jpg")
        Image.fromarray(pixel_HW3).save(files[-1], quality=80)
    return files


def make_encoder(name: str, folder: Path, place: torch.device, params: ExtractParams) -> Encoder:
    """A model with random weights, by way of a folder in the hub's layout."""
    save_for_hf(timm.create_model(name), str(folder), safe_serialization=True)
    own = ImageEncoderParams(source="timm", name=name, weights=str(folder))
    return load(own, "measured", place, precision.resolve(params.precision, place))


def batch(encoder: Encoder, files: list[Path]) -> Tensor:
    """Transformed pictures [B, 3, H, W]."""
    return torch.stack([encoder.transform(decode(file.read_bytes())) for file in files])


def data_set(folder: Path, files: list[Path], rows: int) -> Path:
    """A prepared data set of `rows` pictures; the files come again and again."""
    images = [
        {"id": str(row), "image": {"path": str(files[row % len(files)])}, "protocol": "both"}
        for row in range(rows)
    ]
    tables = prepared.table(images, prepared.IMAGES), prepared.TEXTS.empty_table()
    whole = prepared.Prepared(prepared.Meta("pairs", "llava"), *tables, prepared.QUESTIONS.empty_table())
    prepared.write(folder, whole)
    return folder


def measure(
    encoder: Encoder,
    batches: list[Tensor],
    data: Path,
    params: ExtractParams,
    place: torch.device,
    rounds: int,
    say: Callable[[str], None],
) -> Rates:
    """Take both rates, in turn, and return their medians."""
    rows = prepared.read_meta(data).images
    bare, whole = [], []
    for number in range(rounds):
        bare.append(rows / forward(encoder, batches, rows // len(batches[0])))
        whole.append(extraction(encoder, data, params, place))
        assert len(Features(data / "out.arrow")) == rows
        say(f"  round {number + 1}: forward {bare[-1]:.1f}, extraction {whole[-1]:.1f} rows/s")
    return Rates(len(batches[0]), rows, statistics.median(bare), statistics.median(whole))


def together(encoder: Encoder, count: int, data: Path, params: ExtractParams, place: torch.device) -> float:
    """Encodings a second when `count` encoders go over the pictures together, each picture opened once."""
    jobs = [
        Job(encoder, 0.0, data / f"out{number}.arrow", data / f"unfinished{number}")
        for number in range(count)
    ]
    start = time.perf_counter()
    extract(jobs, "image", data, params, place)
    return count * prepared.read_meta(data).images / (time.perf_counter() - start)


def forward(encoder: Encoder, batches: list[Tensor], count: int) -> float:
    """Seconds that the encoder takes for `count` batches."""
    encoder.encode(batches[0])
    start = time.perf_counter()
    for number in range(count):
        encoder.encode(batches[number % len(batches)])
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

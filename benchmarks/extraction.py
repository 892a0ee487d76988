"""How close extraction comes to the encoder's bare forward pass: python -m benchmarks.extraction.

Draws JPEG pictures like those of CC3M (336×336, about 30 kB), makes a ViT-S/16 with random weights, and runs in turn
`hyma.encoders.base.extract.extract` over the pictures' files and the encoder alone over batches that lie in the
device's memory. Prints the rows a second of both, the medians and their ratio. Takes about two minutes whatever the
machine.
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

from hyma.common import device, precision, prepared
from hyma.common.features import Features
from hyma.common.files import remove
from hyma.common.pictures import cores, decode
from hyma.encoders.base.extract import FEW, Job, batch_size, extract, worker_count
from hyma.encoders.base.load import Encoder, load
from hyma.encoders.base.params import ExtractParams, ImageEncoderParams

SIDE, PICTURES = 336, 256
SECONDS = 110


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


def main() -> None:
    """Draw, warm up, measure in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="vit_small_patch16_224", help="timm's name, without a tag")
    parser.add_argument("--device", default="auto", help="auto | cpu | cuda")
    parser.add_argument("--workers", type=int, default=cores(), help="as `auto` has for large data sets")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    place = device.resolve(args.device)
    params = ExtractParams(batch="auto", workers=args.workers, precision="auto", chunk=128)
    print(
        f"{args.model} on {place}: {args.workers} workers, {cores()} cores, {torch.get_num_threads()} threads"
    )
    with tempfile.TemporaryDirectory(prefix="hyma-") as name:
        folder = Path(name)
        files = draw(folder / "raw", PICTURES)
        print(f"{sum(file.stat().st_size for file in files) / PICTURES / 1e3:.0f} kB a picture", flush=True)
        encoder = make_encoder(args.model, folder / "weights", place, params)
        rates = compare(encoder, files, folder / "data", params, place, SECONDS, args.rounds, say)
    print(f"forward    {rates.forward:.1f} rows/s (median of {args.rounds})")
    print(f"extraction {rates.extraction:.1f} rows/s (median of {args.rounds})")
    print(f"ratio      {rates.ratio:.2f}")


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
    prepared.write(folder, whole, "pictures")
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
        start = time.perf_counter()
        job = Job(encoder, 0.0, data / "out.arrow", data / "unfinished")
        extract([job], "image", data, params, place)
        whole.append(rows / (time.perf_counter() - start))
        assert len(Features(data / "out.arrow")) == rows
        remove(data / "unfinished")
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

"""How close extraction comes to the encoder's bare forward pass: python -m benchmarks.extraction.

Draws JPEG pictures like those of CC3M (336×336, about 30 kB), makes a ViT-S/16 with random weights, and runs in turn
`hyma.encoders.base.extract.extract` over the pictures' files and the encoder alone over batches that lie in
memory. Prints the rows a second of both, the medians and their ratio. Takes about two minutes whatever the machine.
"""

import argparse
import statistics
import tempfile
import time
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
from hyma.encoders.base.extract import batch_size, extract
from hyma.encoders.base.load import Encoder, load
from hyma.encoders.base.params import ExtractParams, ImageEncoderParams

SIDE, PICTURES = 336, 256
SECONDS = 110


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
    with tempfile.TemporaryDirectory(prefix="hyma-") as name:
        folder = Path(name)
        files = draw(folder / "raw")
        encoder = make_encoder(args.model, folder / "weights", place, params)
        size = batch_size(params, encoder, "image", place)
        several = files * (4 * size // len(files) + 1)
        batches = [batch(encoder, several[start : start + size]) for start in range(0, 4 * size, size)]
        seconds = forward(encoder, batches, 4)
        rows = max(4, int(SECONDS / 2 / args.rounds / seconds * 4)) * size
        data = data_set(folder / "data", files, rows)
        sizes = f"{size} a batch, {args.workers} workers, {cores()} cores, {torch.get_num_threads()} threads"
        print(f"{args.model} on {place}: {rows} pictures, {sizes}", flush=True)
        measure(encoder, batches, data, params, place, args.rounds)


def draw(folder: Path) -> list[Path]:
    """Write pictures that compress as photographs do: coarse shapes under fine noise."""
    folder.mkdir()
    rng, files = np.random.default_rng(0), []
    for number in range(PICTURES):
        coarse = Image.fromarray(rng.integers(0, 256, (SIDE // 8, SIDE // 8, 3), np.uint8))
        shapes_HW3 = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
        pixel_HW3 = np.clip(shapes_HW3 + rng.normal(0, 6, shapes_HW3.shape), 0, 255).astype(np.uint8)
        files.append(folder / f"{number}.jpg")
        Image.fromarray(pixel_HW3).save(files[-1], quality=80)
    print(f"{sum(file.stat().st_size for file in files) / PICTURES / 1e3:.0f} kB a picture", flush=True)
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
) -> None:
    """Print both rates, in turn, then their medians."""
    rows = prepared.read_meta(data).images
    bare, whole = [], []
    for number in range(rounds):
        bare.append(rows / forward(encoder, batches, rows // len(batches[0])))
        start = time.perf_counter()
        extract(encoder, "image", data, data / "out.arrow", params, 0.0, data / "unfinished", place)
        whole.append(rows / (time.perf_counter() - start))
        assert len(Features(data / "out.arrow")) == rows
        remove(data / "unfinished")
        print(f"  round {number + 1}: forward {bare[-1]:.1f}, extraction {whole[-1]:.1f} rows/s", flush=True)
    forward_rate, extraction_rate = statistics.median(bare), statistics.median(whole)
    print(f"forward    {forward_rate:.1f} rows/s (median of {rounds})")
    print(f"extraction {extraction_rate:.1f} rows/s (median of {rounds})")
    print(f"ratio      {extraction_rate / forward_rate:.2f}")


def forward(encoder: Encoder, batches: list[Tensor], count: int) -> float:
    """Seconds that the encoder takes for `count` batches."""
    encoder.encode(batches[0])
    start = time.perf_counter()
    for number in range(count):
        encoder.encode(batches[number % len(batches)])
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

"""Extraction: every row in its place, the same bytes however they came about, and every way of being interrupted."""

import io
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.models import save_for_hf
from torch import Tensor

from hyma.common import prepared
from hyma.common.errors import HymaError
from hyma.common.features import Features, Side
from hyma.common.pictures import cores, decode
from hyma.encoders.base import extract as extraction
from hyma.encoders.base import opening
from hyma.encoders.base.common import field
from hyma.encoders.base.extract import Job, batch_size, cuts, extract, worker_count
from hyma.encoders.base.flops import flops_per_row
from hyma.encoders.base.load import load
from hyma.encoders.base.params import ExtractParams, ImageEncoderParams, TextEncoderParams

ZOO = Path(__file__).parent.parent / "zoo"
EXAMPLE_BYTES = 3 * 64 * 64 * 4
"""What `Colours` makes of the picture by which extraction learns how much memory one takes."""
CPU, GPU = torch.device("cpu"), torch.device("cuda")
TEXTS = [
    "a red dog",
    "A small green umbrella on the left of a blue striped field",
    "two keys",
    "zzzz",
    "the blue field",
    "a",
    "a key on the left of a dog and a small red umbrella",
]


def pixels(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float()


class Colours:
    """An encoder whose feature is a picture's mean colour; it counts and can be told to stop."""

    dim = 3
    identity = "colours"

    def __init__(self, transform: Callable[[Any], Any] = pixels, stop_after: int | None = None):
        self.transform, self.left = transform, stop_after
        self.batches: list[int] = []

    def encode(self, batch: Any) -> np.ndarray:
        if self.left is not None and sum(self.batches) + len(batch) > self.left:
            raise KeyboardInterrupt
        self.batches.append(len(batch))
        return batch.mean((2, 3)).numpy()


class Lengths:
    """An encoder whose feature is a text's length; it remembers the batches."""

    dim = 1
    identity = "lengths"
    transform = staticmethod(str)

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def encode(self, batch: Any) -> np.ndarray:
        self.batches.append(list(batch))
        return np.array([[len(text)] for text in batch], np.float32)


def colour(row: int) -> tuple[int, int, int]:
    return row % 256, row // 256, 255 - row % 256


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def noise(seed: int) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (40 + seed, 50, 3), np.uint8)
    return Image.fromarray(values)


def data_set(folder: Path, images: Sequence[bytes | Path], texts: Sequence[str] = (), mark: str = "") -> Path:
    """A prepared data set of pictures, by content or by path, and of texts."""
    rows = [
        {"id": f"i{row}", "protocol": "both", "content": f"{row}{mark}"}
        | {"image": {"bytes": image} if isinstance(image, bytes) else {"path": str(image)}}
        for row, image in enumerate(images)
    ]
    lines = [{"id": f"t{row}", "text": text, "protocol": "both"} for row, text in enumerate(texts)]
    tables = prepared.table(rows, prepared.IMAGES), prepared.table(lines, prepared.TEXTS)
    whole = prepared.Prepared(prepared.Meta("pairs", "llava"), *tables, prepared.QUESTIONS.empty_table())
    prepared.write(folder, whole)
    return folder


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """230 flat pictures, each of its own colour."""
    images = [png(Image.new("RGB", (4, 4), colour(row))) for row in range(230)]
    return data_set(tmp_path_factory.mktemp("data") / "coloured", images)


class Run:
    """Extraction in a folder of its own."""

    def __init__(self, folder: Path):
        self.folder, self.kept = folder, folder / "unfinished/colours"
        self.out = folder / "features/set.arrow"

    def __call__(self, encoder: Any, data: Path, modality: Side = "image", **params: Any) -> Features:
        settings = ExtractParams(**{"batch": 20, "chunk": 50, "workers": 0} | params)
        extract([Job(encoder, 7.0, self.out, self.kept)], modality, data, settings, CPU)
        return Features(self.out)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


@pytest.fixture(scope="module")
def uninterrupted(coloured: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    other = Run(tmp_path_factory.mktemp("uninterrupted"))
    other(Colours(), coloured)
    return other.out.read_bytes()


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tiny timm model with random weights, loaded as an experiment loads it."""
    folder = tmp_path_factory.mktemp("hub")
    torch.manual_seed(0)
    save_for_hf(timm.create_model("test_vit", num_classes=3), str(folder), safe_serialization=True)
    return load(ImageEncoderParams(source="timm", name="test_vit", weights=str(folder)), "pic", CPU)


def test_features_of_pictures(run: Run, vit: Any, tmp_path: Path) -> None:
    """To the bit what the encoder gives for the batches that lie in a chunk: 0 1, 2, 3 4."""
    pictures = [png(noise(seed)) for seed in range(5)]
    (tmp_path / "i4.png").write_bytes(pictures[4])
    folder = data_set(tmp_path / "data", [*pictures[:4], tmp_path / "i4.png"])
    job = Job(vit, flops_per_row(vit), run.out, run.kept)
    extract([job], "image", folder, ExtractParams(batch=2, chunk=3), CPU)
    found = Features(run.out)
    ready = [vit.transform(decode(picture)) for picture in pictures]
    expected = [vit.encode(torch.stack(ready[start:stop])) for start, stop in ((0, 2), (2, 3), (3, 5))]
    np.testing.assert_array_equal(found.to_numpy(), np.concatenate(expected))
    assert found.ids.to_pylist() == [f"i{row}" for row in range(5)]
    assert [len(chunk) for chunk in found.chunks()] == [3, 2]
    assert found.info.encoder == vit.identity
    assert found.info.data_hash == prepared.read_meta(folder).data_hash
    assert (found.info.dim, found.info.flops_per_row) == (vit.dim, flops_per_row(vit))


def test_features_of_texts(run: Run, tmp_path: Path) -> None:
    params = TextEncoderParams(source="sentence-transformers", name="words", weights=str(ZOO / "words"))
    encoder = load(params, field(params, "words"), CPU)
    found = run(encoder, data_set(tmp_path / "data", [], TEXTS), "text", batch=2, chunk=3)
    expected_ND = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(found.to_numpy(), expected_ND, rtol=1e-4, atol=1e-5)
    assert found.ids.to_pylist() == [f"t{row}" for row in range(7)]
    assert [len(chunk) for chunk in found.chunks()] == [3, 3, 1]


def test_texts_of_like_length_share_a_batch_within_a_chunk(run: Run, tmp_path: Path) -> None:
    encoder = Lengths()
    found = run(encoder, data_set(tmp_path / "data", [], TEXTS), "text", batch=2, chunk=4)
    assert encoder.batches == [["zzzz", "two keys"], TEXTS[:2], ["a", TEXTS[4]], [TEXTS[6]]]
    assert found.to_numpy()[:, 0].tolist() == [len(text) for text in TEXTS]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_every_row_is_in_its_place_with_any_number_of_workers(
    run: Run, coloured: Path, uninterrupted: bytes, workers: int
) -> None:
    encoder = Colours()
    found = run(encoder, coloured, workers=workers)
    assert found.to_numpy().tolist() == [list(colour(row)) for row in range(230)]
    assert found.ids.to_pylist() == [f"i{row}" for row in range(230)]
    assert encoder.batches == [20, 20, 10] * 4 + [20, 10]
    assert run.out.read_bytes() == uninterrupted


@pytest.mark.parametrize(
    ("batch", "expected"), [(64, [64, 64, 64, 38]), ("auto", [32] * 7 + [6]), (1, [1] * 230)]
)
def test_a_batch_is_put_together_from_pieces(
    run: Run, coloured: Path, batch: Any, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PIECE_BYTES", 10 * EXAMPLE_BYTES)
    encoder = Colours()
    found = run(encoder, coloured, batch=batch, chunk=1000, workers=2)
    assert found.to_numpy().tolist() == [list(colour(row)) for row in range(230)]
    assert encoder.batches == expected


def test_the_same_bytes_with_and_without_workers_from_a_real_model(
    run: Run, vit: Any, tmp_path: Path
) -> None:
    folder = data_set(tmp_path / "data", [png(noise(seed)) for seed in range(40)])
    run(vit, folder, batch=18, chunk=36)
    alone = run.out.read_bytes()
    shutil.rmtree(run.kept)
    run(vit, folder, batch=18, chunk=36, workers=2)
    assert run.out.read_bytes() == alone


def test_an_empty_data_set(run: Run, tmp_path: Path) -> None:
    assert len(run(Colours(), data_set(tmp_path / "data", []))) == 0


class Noting:
    """Notes every picture that it transforms, in whatever process."""

    def __init__(self, file: Path):
        self.file = file

    def __call__(self, image: Image.Image) -> Tensor:
        with self.file.open("ab") as stream:
            stream.write(b".")
        return pixels(image)


def test_workers_wait_for_the_encoder(
    run: Run, coloured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the pictures of the next chunk are ready while it encodes the last batch of this one."""
    monkeypatch.setattr(opening, "PIECE_BYTES", 4 * EXAMPLE_BYTES)
    opened, ahead = tmp_path / "opened", []

    class Slow(Colours):
        def encode(self, batch: Any) -> np.ndarray:
            time.sleep(0.2)
            ahead.append(opened.stat().st_size - 1 - sum(self.batches) - len(batch))
            return super().encode(batch)

    run(Slow(Noting(opened)), coloured, batch=16, chunk=32, workers=2)
    assert max(ahead) <= 2 * opening.AHEAD * 4
    assert min(ahead[:8]) >= 4  # at the ends of the first four chunks, too
    assert opened.stat().st_size == 1 + 230  # one to learn its size


def test_chunks_are_on_disk_when_the_next_begins(run: Run, coloured: Path) -> None:
    seen = []

    class Looking(Colours):
        def encode(self, batch: Any) -> np.ndarray:
            seen.append(len(list(run.kept.glob("*.arrow"))))
            return super().encode(batch)

    run(Looking(), coloured)
    assert seen == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3 + [4] * 2


def half(image: Image.Image) -> Tensor:
    return pixels(image) / 2


@pytest.mark.parametrize("workers", [0, 2])
def test_several_encoders_give_what_each_gives_alone(
    run: Run, coloured: Path, uninterrupted: bytes, tmp_path: Path, workers: int
) -> None:
    """Each picture is opened once for all; one encoder was interrupted before, and lacks less than the others."""
    opened = tmp_path / "opened"
    noting = Noting(opened)
    with pytest.raises(KeyboardInterrupt):
        run(Colours(stop_after=130), coloured)
    encoders = [Colours(noting), Colours(half), Colours(noting)]
    jobs = [
        Job(encoder, 7.0, tmp_path / f"{name}.arrow", run.kept if name == "begun" else tmp_path / name)
        for name, encoder in zip(("one", "half", "begun"), encoders, strict=True)
    ]
    settings = ExtractParams(batch=20, chunk=50, workers=workers)
    extract(jobs, "image", coloured, settings, CPU)
    assert [sum(encoder.batches) for encoder in encoders] == [230, 230, 130]
    assert jobs[0].out.read_bytes() == jobs[2].out.read_bytes() == uninterrupted
    found_ND = Features(jobs[1].out).to_numpy()
    np.testing.assert_array_equal(2 * found_ND, np.array([colour(row) for row in range(230)]))
    probes = 2 * len(opening.PROBES) + 1
    assert opened.stat().st_size == probes + 230


def test_transforms_that_do_the_same_are_one() -> None:
    same, small = (
        timm.data.create_transform((3, size, size), is_training=False, crop_pct=0.9) for size in (48, 32)
    )
    again = timm.data.create_transform((3, 48, 48), is_training=False, crop_pct=0.9)
    sharper = timm.data.create_transform(
        (3, 48, 48), is_training=False, crop_pct=0.9, interpolation="bicubic"
    )
    found, numbers = opening.distinct([same, small, again, sharper, small])
    assert numbers == [0, 1, 0, 2, 1]
    assert found == [same, small, sharper]


def test_cuts() -> None:
    """Where any batch begins, and at most a piece's size."""
    assert list(cuts(10, [4], 3)) == [(0, 3), (3, 4), (4, 7), (7, 8), (8, 10)]
    assert list(cuts(10, [4, 6], 9)) == [(0, 4), (4, 6), (6, 8), (8, 10)]
    assert list(cuts(0, [4], 3)) == []


@pytest.mark.parametrize("seed", range(6))
def test_interrupted_and_begun_again(
    run: Run, coloured: Path, uninterrupted: bytes, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """As often as it takes, at random rows; no row of a finished chunk is encoded again."""
    caplog.set_level(logging.INFO)
    rng, encoded, interruptions = np.random.default_rng(seed), 0, 0
    for stop_after in [*rng.integers(0, 120, 3).tolist(), None]:
        encoder = Colours(stop_after=stop_after)
        begin = 50 * len(list(run.kept.glob("*.arrow")))
        caplog.clear()
        try:
            run(encoder, coloured, workers=seed % 2)
        except KeyboardInterrupt:
            interruptions += 1
            assert not list(run.out.parent.glob("*"))
        encoded += sum(encoder.batches)
        expected = [f"unfinished/colours: going on at row {begin} of 230"] if begin else []
        assert [record.getMessage() for record in caplog.records] == expected
        if run.out.exists():
            break
    assert interruptions > 0
    assert encoded < 230 + 50 * interruptions
    assert run.out.read_bytes() == uninterrupted


def test_when_all_is_encoded_the_encoder_is_not_asked(run: Run, coloured: Path, uninterrupted: bytes) -> None:
    run(Colours(), coloured)
    run.out.unlink()
    run(Colours(stop_after=0), coloured, workers=2)
    assert run.out.read_bytes() == uninterrupted


def test_what_a_kill_left_half_written_goes(run: Run, coloured: Path, uninterrupted: bytes) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Colours(stop_after=130), coloured)
    (run.kept / ".000002.arrow.partial").write_bytes(b"half a chunk")
    run.out.parent.mkdir(exist_ok=True)
    (run.out.parent / ".set.arrow.partial").write_bytes(b"half a file")
    encoder = Colours()
    run(encoder, coloured)
    assert sum(encoder.batches) == 130
    assert run.out.read_bytes() == uninterrupted
    assert [path.name for path in run.out.parent.iterdir()] == ["set.arrow"]
    assert not list(run.kept.glob(".*"))


@pytest.mark.parametrize("left", [0, 100])
def test_a_damaged_chunk_is_made_again(run: Run, coloured: Path, uninterrupted: bytes, left: int) -> None:
    """As a power failure leaves it."""
    run(Colours(), coloured)
    chunk = run.kept / "000001.arrow"
    chunk.write_bytes(chunk.read_bytes()[:left])
    encoder = Colours()
    run(encoder, coloured)
    assert sum(encoder.batches) == 180
    assert run.out.read_bytes() == uninterrupted


@pytest.mark.parametrize("change", ["identity", "data", "batch", "chunk", "dim", "mark"])
def test_chunks_of_another_extraction_are_refused(
    run: Run, coloured: Path, tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Colours(stop_after=130), coloured)
    caplog.set_level(logging.INFO)
    encoder, data, params = Colours(), coloured, {}
    if change == "identity":
        encoder.identity = "other colours"
    elif change == "data":
        images = [png(Image.new("RGB", (4, 4), colour(row))) for row in range(230)]
        data = data_set(tmp_path / "data", images, mark="changed")
    elif change == "dim":
        encoder.dim = 2
        encoder.encode = lambda batch: Colours.encode(encoder, batch)[:, :2]  # type: ignore[method-assign]
    elif change == "mark":
        (run.kept / "fingerprint").unlink()
    else:
        params = {change: 40}
    found = run(encoder, data, **params)
    assert sum(encoder.batches) == 230
    assert not caplog.records
    expected_ND = np.array([colour(row) for row in range(230)], np.float32)[:, : encoder.dim]
    np.testing.assert_array_equal(found.to_numpy(), expected_ND)


def kill_on_sight(image: Image.Image) -> Tensor:
    if image.getpixel((0, 0)) == colour(100):
        os.kill(os.getpid(), signal.SIGKILL)
    return pixels(image)


def fail_on_sight(image: Image.Image) -> Tensor:
    if image.getpixel((0, 0)) == colour(100):
        raise RuntimeError("no such colour")
    return pixels(image)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            "missing",
            r"{folder}/30\.png: cannot be opened \(No such file or directory\), though it was readable",
        ),
        (
            "changed",
            r"{folder}/30\.png: unreadable image \(.+\), though it was readable.*; put the file back",
        ),
        ("transform", r"^i100: the encoder's transform fails \(RuntimeError: no such colour\)"),
    ],
)
def test_a_picture_that_fails_is_named(
    run: Run, tmp_path: Path, workers: int, damage: str, message: str
) -> None:
    images: list[bytes | Path] = [png(Image.new("RGB", (4, 4), colour(row))) for row in range(120)]
    if damage != "transform":
        images[30] = tmp_path / "30.png"
        if damage == "changed":
            (tmp_path / "30.png").write_bytes(b"<html>")
    encoder = Colours(fail_on_sight if damage == "transform" else pixels)
    with pytest.raises(HymaError, match=message.format(folder=tmp_path)) as caught:
        run(encoder, data_set(tmp_path / "data", images), workers=workers)
    assert "\n" not in str(caught.value)
    assert not list(run.out.parent.glob("*"))


def test_a_worker_that_dies_is_told(run: Run, coloured: Path) -> None:
    message = r"^params\.yaml: extract\.workers: a process that opens pictures died \(.*\); if memory"
    with pytest.raises(HymaError, match=message):
        run(Colours(kill_on_sight), coloured, workers=2)


@pytest.mark.parametrize("error", [ConnectionResetError(104, "Connection reset by peer"), EOFError()])
def test_a_connection_lost_to_a_worker_is_told(
    run: Run, coloured: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is seen first when a worker dies while it hands over pictures; torch's own word may follow or not."""

    class Cut(Colours):
        def encode(self, _: Any) -> np.ndarray:
            raise error

    monkeypatch.setattr(opening, "WORD", 0.0)
    with pytest.raises(
        HymaError, match=r"a process that opens pictures died \(.*(Connection reset|EOFError)"
    ):
        run(Cut(), coloured)

    def told(_: float) -> None:
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")

    monkeypatch.setattr(opening.time, "sleep", told)
    with pytest.raises(HymaError, match=r"died \(DataLoader worker \(pid 7\) is killed by signal: Killed\)"):
        run(Cut(), coloured)


def test_other_errors_of_the_encoder_come_through(run: Run, coloured: Path) -> None:
    class Failing(Colours):
        def encode(self, _: Any) -> np.ndarray:
            raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run(Failing(), coloured)


def test_how_many_workers() -> None:
    assert worker_count(ExtractParams(workers="auto"), 300) == 0
    assert worker_count(ExtractParams(workers="auto"), 558_128) == cores() >= 1
    assert worker_count(ExtractParams(workers="auto"), 558_128, on_cpu=True) == max(1, cores() - 1)
    assert worker_count(ExtractParams(workers="auto"), 300, on_cpu=True) == 0
    assert worker_count(ExtractParams(workers=5), 558_128, on_cpu=True) == 5
    assert [worker_count(ExtractParams(workers=n), 1) for n in (0, 5)] == [0, 5]


def test_batch_on_a_cpu() -> None:
    assert batch_size(ExtractParams(batch="auto"), Colours(), "image", CPU) == extraction.CPU_BATCH
    assert batch_size(ExtractParams(batch=77), Colours(), "image", GPU) == 77


class Gpu:
    """A GPU's memory, as much as a batch's size times its cost is taken."""

    def __init__(self, free: int, per_row: int):
        self.free, self.per_row, self.peak = free, per_row, 0
        self.batches: list[Any] = []

    def encode(self, batch: Any) -> np.ndarray:
        self.batches.append(batch)
        self.peak = 1000 + self.per_row * len(batch)
        assert self.peak <= self.free, "out of memory"
        return np.zeros((len(batch), 1))

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def forget(_: torch.device) -> None:
            self.peak = 0

        for name, value in {
            "mem_get_info": lambda _: (self.free, 10 * self.free),
            "reset_peak_memory_stats": forget,
            "memory_allocated": lambda _: 1000,
            "max_memory_allocated": lambda _: self.peak,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)

    dim, identity, transform = 1, "gpu", staticmethod(pixels)


@pytest.mark.parametrize(
    ("free", "per_row", "expected"),
    [(40_000, 100, 128), (40_000, 3, 1024), (40_000, 2000, 8), (20_001, 39, 256), (20_000, 40, 128)],
)
def test_batch_on_a_gpu(monkeypatch: pytest.MonkeyPatch, free: int, per_row: int, expected: int) -> None:
    """The largest power of two, from 8 to 1024, that takes at most half of the free memory."""
    gpu = Gpu(free, per_row)
    gpu.install(monkeypatch)
    assert batch_size(ExtractParams(batch="auto"), gpu, "image", GPU) == expected
    assert all(batch.shape[1:] == (3, 64, 64) for batch in gpu.batches)
    assert batch_size(ExtractParams(batch="auto"), gpu, "text", GPU) == expected
    assert len(gpu.batches[-1][0].split()) == 512

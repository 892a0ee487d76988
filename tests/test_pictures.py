"""Pictures of every kind that image folders hold, made by Pillow; the pixels are worked out by hand."""

import io
import struct
import tarfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import ExifTags, Image

from hyma.common import prepared
from hyma.common.pictures import LIMIT, UnreadableError, content, cores, decode
from hyma.readers.base import images

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATIONS = {
    1: lambda pixel_HW3: pixel_HW3,
    2: np.fliplr,
    3: lambda pixel_HW3: np.rot90(pixel_HW3, 2),
    4: np.flipud,
    5: lambda pixel_HW3: pixel_HW3.transpose(1, 0, 2),
    6: lambda pixel_HW3: np.rot90(pixel_HW3, -1),
    7: lambda pixel_HW3: np.rot90(pixel_HW3, 2).transpose(1, 0, 2),
    8: lambda pixel_HW3: np.rot90(pixel_HW3),
}
"""What a viewer has to do to the stored pixels, by the number in the EXIF data."""


def file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def shown(data: bytes) -> list[Any]:
    """The pixels of a picture, row by row."""
    image = decode(data)
    assert image.mode == "RGB"
    return [[tuple(pixel) for pixel in row] for row in np.asarray(image).tolist()]


def row_of(mode: str, *pixels: Any) -> Image.Image:
    image = Image.new(mode, (len(pixels), 1))
    for x, pixel in enumerate(pixels):
        image.putpixel((x, 0), pixel)
    return image


def noise(height: int = 48, width: int = 64) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values)


def refused(reason: str) -> pytest.RaisesExc[UnreadableError]:
    return pytest.raises(UnreadableError, match=f"^{reason}$")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_gives_the_pixels_that_pillow_gives(options: dict[str, Any]) -> None:
    data = file(noise(), "JPEG", **options)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(decode(data), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(
    ("image", "pixels"),
    [
        (row_of("RGB", RED, BLUE), [RED, BLUE]),
        (row_of("L", 0, 77), [(0, 0, 0), (77, 77, 77)]),
        (row_of("1", 0, 255), [(0, 0, 0), WHITE]),
        (row_of("LA", (0, 255), (0, 0), (0, 51)), [(0, 0, 0), WHITE, (204, 204, 204)]),
        (row_of("RGBA", (*RED, 255), (*RED, 0), (*RED, 51)), [RED, WHITE, (255, 204, 204)]),
        (row_of("I;16", 0, 257, 32768, 65535), [(0,) * 3, (1,) * 3, (128,) * 3, WHITE]),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else "",
)
def test_modes_of_png(image: Image.Image, pixels: list[Any]) -> None:
    assert shown(file(image)) == [pixels]


def palette(*pixels: int) -> Image.Image:
    image = row_of("P", *pixels)
    image.putpalette([*RED, *GREEN, *BLUE])
    return image


@pytest.mark.parametrize(
    ("options", "pixels"),
    [
        ({}, [RED, GREEN, BLUE]),
        ({"transparency": 1}, [RED, WHITE, BLUE]),
        ({"transparency": bytes([255, 0, 51])}, [RED, WHITE, (204, 204, 255)]),
    ],
    ids=["opaque", "one colour", "a share each"],
)
def test_palette(options: dict[str, Any], pixels: list[Any]) -> None:
    assert shown(file(palette(0, 1, 2), **options)) == [pixels]


def test_one_transparent_colour_without_a_palette() -> None:
    assert shown(file(row_of("RGB", RED, BLUE), transparency=BLUE)) == [[RED, WHITE]]
    assert shown(file(row_of("L", 9, 8), transparency=8)) == [[(9, 9, 9), WHITE]]


@pytest.mark.parametrize(
    ("mode", "pixels", "greys"),
    [
        ("I;16", (0, 25700, 65535), (0, 100, 255)),
        ("I;16B", (0, 25700, 65535), (0, 100, 255)),
        ("I", (0, 25700, 65535), (0, 100, 255)),
        ("I", (0, 2**30, 2**31 - 1), (0, 64, 127)),
    ],
)
def test_deep_greys_of_tiff_are_scaled(mode: str, pixels: tuple[int, ...], greys: tuple[int, ...]) -> None:
    """Pillow's own conversion would cut everything above 255 off."""
    if mode == "I;16B":
        values = np.array([pixels], ">u2")
        image = Image.frombytes("I;16B", (len(pixels), 1), values.tobytes())
    else:
        image = row_of(mode, *pixels)
    assert shown(file(image, "TIFF")) == [[(grey,) * 3 for grey in greys]]


def test_cmyk_jpeg() -> None:
    # cyan, magenta, yellow, black: 255 is full ink
    flat = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    pixel_HW3 = np.asarray(decode(file(flat, "JPEG", quality=100)), int)
    assert np.abs(pixel_HW3 - RED).max() <= 3


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_rotation(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = file(noise(), kind)
    plain_HW3 = np.asarray(decode(stored))
    turned = decode(file(noise(), kind, exif=exif))
    assert np.array_equal(turned, ORIENTATIONS[orientation](plain_HW3))


def test_exif_rotation_of_a_deep_grey() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = file(row_of("I;16", 0, 65535), exif=exif)
    assert shown(data) == [[(0, 0, 0)], [WHITE]]


def test_damaged_exif_data_are_no_damage_to_the_pixels() -> None:
    data = file(noise(), "JPEG", exif=b"Exif\0\0nonsense that is no TIFF header")
    assert np.array_equal(decode(data), decode(file(noise(), "JPEG")))


def test_a_small_copy_of_a_large_picture_takes_little_memory() -> None:
    data = file(Image.new("RGB", (4000, 2000), RED), "JPEG")
    assert decode(data).size == (4000, 2000)
    small = decode(data, 128)
    assert small.size == (500, 250)
    assert decode(data, 1500).size == (4000, 2000)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    data = file(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 3
    assert shown(data) == [[RED] * 8] * 8


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_truncated(kind: str, share: float) -> None:
    data = file(noise(), kind)
    with refused(r"unreadable image \(.+\)"):
        decode(data[: int(len(data) * share)])


@pytest.mark.parametrize("damage", range(20))
def test_damaged_in_any_way(damage: int) -> None:
    """Either read or refused; nothing else is raised."""
    rng = np.random.default_rng(damage)
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"):
        data = bytearray(file(noise(), kind))
        for place in rng.integers(0, min(len(data), 400), 8):
            data[place] = rng.integers(256)
        with suppress(UnreadableError):
            assert decode(bytes(data)).mode == "RGB"


def claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is large."""

    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", b"") + part(b"IEND", b"")


def test_enormous() -> None:
    """Below where Pillow warns, between that and where it refuses, and above."""
    with refused(r"unreadable image \(10001×10000 pixels, more than 100,000,000 in all\)"):
        decode(claiming(10001, LIMIT // 10000))
    with refused(r"unreadable image \(.*2500000000 pixels.*\)"):
        decode(claiming(50000, 50000))


def test_up_to_the_limit_pillow_does_not_warn() -> None:
    flat = Image.new("1", (10000, 9000), 1)  # 90 million, which Pillow warns of
    assert 89_478_485 < 90_000_000 < LIMIT
    assert decode(file(flat)).size == (10000, 9000)


@pytest.mark.parametrize("data", [b"<html>not found</html>", b"GIF89a", b"\xff\xd8\xff", b"\0" * 1000])
def test_no_image(data: bytes) -> None:
    with refused(r"unreadable image \(.+\)"):
        decode(data)


def test_no_bytes() -> None:
    with refused(r"unreadable image \(no bytes\)"):
        decode(b"")


def test_floating_point_values_are_refused() -> None:
    with refused(r"unreadable image \(floating-point values.*\)"):
        decode(file(Image.new("F", (2, 2)), "TIFF"))


def test_content_is_bytes_a_file_or_a_stretch_of_one(tmp_path: Path) -> None:
    (tmp_path / "a#b.bin").write_bytes(b"0123456789")
    path = str(tmp_path / "a#b.bin")
    assert content({"bytes": b"abc", "path": None}) == b"abc"
    assert content({"bytes": b"", "path": None}) == b""
    assert content({"bytes": None, "path": path}) == b"0123456789"
    assert content({"bytes": None, "path": f"{path}#3+4"}) == b"3456"
    assert content({"bytes": None, "path": f"{path}#0+10"}) == b"0123456789"


def test_content_of_a_member_of_a_tar_file(tmp_path: Path) -> None:
    members = {"000.jpg": file(noise(), "JPEG"), "000.txt": b"a caption", "001.jpg": file(row_of("L", 7))}
    with tarfile.open(tmp_path / "00000.tar", "w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    with tarfile.open(tmp_path / "00000.tar") as archive:
        for entry in archive:
            path = f"{archive.name}#{entry.offset_data}+{entry.size}"
            assert content({"bytes": None, "path": path}) == members[entry.name]


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ({"bytes": None, "path": None}, "its name is no UTF-8; rename the file"),
        ({"bytes": None, "path": "{folder}/none.jpg"}, "No such file or directory"),
        ({"bytes": None, "path": "{folder}/none.tar#0+5"}, "No such file or directory"),
        ({"bytes": None, "path": "{folder}"}, "Is a directory"),
        ({"bytes": None, "path": "{folder}/ten#6+5"}, r".*/ten ends at byte 10, before the picture does"),
        ({"bytes": None, "path": "{folder}/ten#99999999999+99999999"}, ".*/ten ends at byte 10.*"),
        (
            {"bytes": None, "path": "{folder}/ten#0+99999999999"},
            "99,999,999,999 bytes, more than 500,000,000",
        ),
    ],
)
def test_content_that_is_not_there(tmp_path: Path, image: dict[str, Any], reason: str) -> None:
    (tmp_path / "ten").write_bytes(b"0123456789")
    image = image | {"path": image["path"] and image["path"].format(folder=tmp_path)}
    with refused(rf"cannot be opened \({reason}\)"):
        content(image)


def test_the_check_refuses_what_extraction_could_not_open() -> None:
    """And takes all that it could: both use the same function."""
    pictures = {"fine": file(noise()), "cut": file(noise(), "JPEG")[:900], "large": claiming(50000, 50000)}
    pictures |= {"turned": file(row_of("LA", (0, 0))), "none": b"", "thin": claiming(1, 40_000)}
    rows = [{"id": name, "image": {"bytes": data}} for name, data in pictures.items()]
    found = images.check(prepared.table(rows, prepared.IMAGES))
    assert [(row, skipped.file) for row, skipped in found.broken] == [
        (1, "cut"),
        (2, "large"),
        (4, "none"),
        (5, "thin"),
    ]
    assert all(skipped.reason.startswith("unreadable image (") for _, skipped in found.broken)


def test_the_check_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several windows, each of several slices, the last ones short."""
    monkeypatch.setattr(images, "SEVERAL", 3)
    monkeypatch.setattr(images, "AHEAD", 2)
    good, bad = file(row_of("L", 1)), [5, 17, 39]
    count = 6 * cores() + 31
    rows = [{"id": str(row), "image": {"bytes": b"" if row in bad else good}} for row in range(count)]
    table: pa.Table = prepared.table(rows, prepared.IMAGES)
    found = images.check(table)
    assert [row for row, _ in found.broken] == bad
    monkeypatch.setattr(images, "SEVERAL", 256)
    assert images.check(table) == found
    assert images.check(table.slice(1)).content == found.content[1:]
    assert [row for row, content in enumerate(found.content) if content is None] == bad
    assert len(set(found.content)) == 2

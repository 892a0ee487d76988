"""Shards and tables are read whole or refused with their place; what is left out is listed."""

import gzip
import io
import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, features

from hyma.common import pictures, prepared
from hyma.common.errors import HymaError
from hyma.common.left_out import left_out, lines
from hyma.common.names import SUFFIXES
from hyma.common.prepared import Prepared
from hyma.readers.base.params import DataSource
from hyma.readers.base.prepare import prepare
from hyma.readers.base.tar import BLOCK


def picture(number: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), (number % 256, number // 256, 1)).save(stream, "PNG")
    return stream.getvalue()


def read(raw: Path, name: str = "captions", key: str = "training.x", most: float = 1.0) -> Prepared:
    source = DataSource.model_validate({"format": name, "path": str(raw), "max_unreadable": most})
    prepare(source, raw.parent / "out", key)
    return prepared.read(raw.parent / "out")


def listed(found: Prepared) -> dict[str, tuple[int, tuple[str, ...]]]:
    """By reason: how many, and the first names."""
    return {
        one.reason: (one.count, tuple(Path(name).name for name in one.names))
        for one in left_out(found.meta.skipped)
    }


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


Member = tuple[str, bytes] | tarfile.TarInfo


def archive(*members: Member, end: bool = True) -> bytes:
    """A tar file; without its end mark if wanted."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
        stop = tar.offset
    return stream.getvalue() if end else stream.getvalue()[:stop]


def samples(numbers: Sequence[int]) -> list[Member]:
    return [
        (f"{number}.{kind}", data)
        for number in numbers
        for kind, data in (("png", picture(number)), ("txt", f"of {number}".encode()))
    ]


def link(name: str, to: str, kind: bytes = tarfile.LNKTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def shard(raw: Path, content: bytes) -> Prepared:
    (raw / "0.tar").write_bytes(content)
    return read(raw, "webdataset")


def texts(found: Prepared) -> list[str]:
    return found.texts["text"].to_pylist()


def test_joined_shards_are_read_to_the_end(raw: Path) -> None:
    parts = [archive(*samples(range(start, start + 3))) for start in (0, 3, 6)]
    assert texts(shard(raw, b"".join(parts))) == [f"of {number}" for number in range(9)]


def test_samples_of_one_key_are_all_read(raw: Path) -> None:
    again = [(name, picture(9) if name.endswith("png") else b"again") for name, _ in samples([1])]
    found = shard(raw, archive(*samples([0, 1, 2]), *again))
    assert texts(found) == ["of 0", "of 1", "again", "of 2"]
    assert found.images["id"].to_pylist() == ["0/0", "0/1", "0/1~2", "0/2"]


def test_all_pictures_first_and_then_all_captions(raw: Path) -> None:
    members = sorted(samples(range(4)), key=lambda member: member[0].partition(".")[2])  # type: ignore[index]
    assert texts(shard(raw, archive(*members))) == [f"of {number}" for number in range(4)]


def test_a_caption_that_may_belong_to_either_is_refused(raw: Path) -> None:
    members = [("0.png", picture(0)), ("1.png", picture(1)), ("0.png", picture(2)), ("1.txt", b"x")]
    with pytest.raises(HymaError, match=r"0\.tar: 0\.txt: 2 samples have this key"):
        shard(raw, archive(*members, ("0.txt", b"whose?"), ("2.png", picture(3))))


def test_names_with_dots(raw: Path) -> None:
    members = [("a.v1.png", picture(1)), ("a.v1.txt", b"one"), ("a.v2.png", picture(2)), ("a.v2.txt", b"two")]
    assert texts(shard(raw, archive(*members))) == ["one", "two"]


def test_links_within_a_shard_are_files_and_others_are_listed(raw: Path) -> None:
    own = [
        *samples([0]),
        link("1.png", "0.png"),
        ("1.txt", b"again"),
        link("2.png", "/etc/passwd", tarfile.SYMTYPE),
    ]
    found = shard(raw, archive(*own, ("2.txt", b"none")))
    assert texts(found) == ["of 0", "again"]
    assert found.meta.images == 1
    assert listed(found)["a link to /etc/passwd"][0] == 1
    assert listed(found)["no picture in this sample"][0] == 1


@pytest.mark.parametrize("kind", ["no end", "cut", "middle", "end", "compressed"])
def test_damaged_shards_are_refused(raw: Path, kind: str) -> None:
    whole = archive(*samples(range(5)))
    middle = whole.index(b"3.png")
    content = {
        "no end": archive(*samples(range(5)), end=False),
        "cut": whole[: middle + 700],
        "middle": whole[:middle] + b"\xff" * 8 + whole[middle + 8 :],
        "end": whole + b"x" * BLOCK,
        "compressed": gzip.compress(whole),
    }[kind]
    with pytest.raises(HymaError, match=r"raw/0\.tar: .*(copy|write) it again"):
        shard(raw, content)


def test_a_packed_shard_beside_plain_ones_is_refused(raw: Path) -> None:
    (raw / "1.tar.gz").write_bytes(b"")
    with pytest.raises(HymaError, match=r"1\.tar\.gz: packed, beside shards that are not; unpack it"):
        shard(raw, archive(*samples([0])))


def captioned(raw: Path, text: str | bytes, name: str = "captions.csv", count: int = 6) -> Prepared:
    for number in range(count):
        (raw / f"{number}.png").write_bytes(picture(number))
    (raw / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return read(raw)


def test_rows_between_two_stray_quotes_are_not_swallowed(raw: Path) -> None:
    rows = ["image,caption", "0.png,a", '1.png,"open', "2.png,b", "3.png,c", '4.png,5 inch"', "5.png,d"]
    with pytest.raises(
        HymaError, match=r"captions\.csv: line 3: a quote is opened here .* line 4 and others"
    ):
        captioned(raw, "\n".join(rows))


def test_a_caption_may_have_several_lines(raw: Path) -> None:
    text = 'image,caption\n0.png,"first,\nsecond, line"\n1.png,"He said ""two"".\nThen\n\nleft."\n'
    assert texts(captioned(raw, text)) == ["first,\nsecond, line", 'He said "two".\nThen\n\nleft.']


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('["a dog", "it runs"]', ["a dog", "it runs"]),
        ("['a dog', \"it's here\"]", ["a dog", "it's here"]),
        ("[applause]", ["[applause]"]),
        ("[1, 2]", ["[1, 2]"]),
        ("[]", ["[]"]),
    ],
)
def test_a_cell_that_holds_a_list(raw: Path, cell: str, expected: list[str]) -> None:
    quoted = cell.replace('"', '""')
    assert texts(captioned(raw, f'image,caption\n0.png,"{quoted}"\n')) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("captions.csv", "image,caption,Caption\n0.png,a,b\n", "line 1: two columns are named caption"),
        ("captions.csv", "image,caption\n0.png,\"['a' 'b']\"\n", "line 2: a list without commas"),
        ("captions.jsonl", '{"image": "0.png", "text": "a", "text": "b"}', "line 1: two columns are named text"),
        ("captions.jsonl", "[" * 100_000, "line 1: not valid json"),
        ("captions.csv", "image,caption\n0.png,a\n".encode("utf-16"), "not UTF-8"),
    ],
)  # fmt: skip
def test_tables_that_say_two_things_are_refused(
    raw: Path, name: str, text: str | bytes, message: str
) -> None:
    with pytest.raises(HymaError, match=message):
        captioned(raw, text, name)


def test_odd_characters_are_kept_or_listed(raw: Path) -> None:
    captions = ["a\u2028b", "half \ud83d", "nul \0", "🌊", "y" * 200_000, None]
    rows = [{"image": f"{number}.png", "caption": text} for number, text in enumerate(captions)]
    found = captioned(raw, "\n".join(map(json.dumps, rows)), "captions.jsonl")
    assert texts(found) == ["a\u2028b", "🌊", "y" * 200_000]
    assert {reason: count for reason, (count, _) in listed(found).items()} == {
        "caption with half a character in it": 1,
        "caption with a NUL in it": 1,
        "empty caption": 1,
        "no caption of it is left": 3,
    }
    assert "left out: 1 of 6 texts: empty caption: " in "\n".join(lines(found.meta))


def test_a_csv_cell_may_be_long(raw: Path) -> None:
    assert texts(captioned(raw, f"image,caption\n0.png,{'y' * 200_000}\n")) == ["y" * 200_000]


def test_parquet_in_parts_and_of_many_types(raw: Path) -> None:
    words = ["a", "b", None, "d"]
    kinds: list[Any] = [
        pa.array(words).dictionary_encode(),
        pa.array(words, pa.large_string()),
        pa.array([[word] for word in words], pa.large_list(pa.string())),
    ]
    for number in range(6):
        (raw / f"{number}.png").write_bytes(picture(number))
    (raw / "captions.parquet").mkdir()
    for number, column in enumerate(kinds):
        names = pa.array([f"{row}.png" for row in range(4)]).dictionary_encode()
        pq.write_table(
            pa.table({"image": names, "caption": column}), raw / f"captions.parquet/{number}.parquet"
        )
    found = read(raw)
    assert sorted(texts(found)) == sorted(["a", "b", "d"] * 3)
    assert listed(found)["empty caption"][0] == 3


def test_one_file_under_two_spellings_is_one_picture(raw: Path) -> None:
    found = captioned(raw, "image,caption\n0.png,a\n./0.png,b\nx/../0.png,c\n")
    (raw / "x").mkdir()
    found = read(raw)
    assert (found.meta.images, texts(found)) == (1, ["a", "b", "c"])


def tree(raw: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_bytes(picture(number))


def test_what_is_among_classes_is_listed(raw: Path) -> None:
    tree(
        raw, "owl/a.png", "owl/b.JFIF", "sea/a.png", "sea/more/c.png", "owl/x.heic", "owl/._a.png", "top.png"
    )
    (raw / ".ipynb_checkpoints").mkdir()
    (raw / "sea/gone.png").symlink_to("nowhere")
    (raw / os.fsdecode(b"owl/caf\xe9.txt")).write_text("")
    found = read(raw, "folders", "benchmarks.x")
    assert sorted(found.images["id"].to_pylist()) == ["owl/a.png", "owl/b.JFIF", "sea/a.png"]
    assert listed(found) == {
        "hidden or a system's own": (2, (".ipynb_checkpoints", "._a.png")),
        "its name is no UTF-8": (1, ("caf\\udce9.txt",)),
        "of a kind that is not read": (1, ("x.heic",)),
        "a folder within a class": (1, ("more",)),
        "a folder deeper than its class": (1, ("c.png",)),
        "beside the classes' folders": (1, ("top.png",)),
        "cannot be opened": (1, ("gone.png",)),
    }


def test_two_folders_of_one_class_are_refused(raw: Path) -> None:
    tree(raw, "red_car/a.png", "Red car/b.png")
    with pytest.raises(HymaError, match=r"red_car: the same class as .*Red car; move the pictures"):
        read(raw, "folders", "benchmarks.x")


def test_pictures_one_folder_deeper_are_refused_when_they_are_many(raw: Path) -> None:
    tree(raw, "owl/a.png", "sea/a.png", *(f"sea/more/{number}.png" for number in range(9)))
    with pytest.raises(HymaError, match="a folder deeper than its class; 9 of 11 images"):
        read(raw, "folders", "benchmarks.x", 0.01)


def test_a_pipe_is_no_picture_and_is_not_waited_for(raw: Path) -> None:
    tree(raw, "owl/a.png", "sea/a.png")
    os.mkfifo(raw / "sea/b.png")
    assert listed(read(raw, "folders", "benchmarks.x"))["cannot be opened"] == (1, ("b.png",))


def test_every_kind_of_picture_that_pillow_opens_is_read() -> None:
    """But for data, drawings and films that it knows by name, and what only another program can draw."""
    Image.init()
    opened = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    others = {".bufr", ".emf", ".eps", ".fit", ".fits", ".ftc", ".ftu", ".gbr", ".grib", ".h5", ".hdf"}
    others |= {".iim", ".mpeg", ".mpg", ".pcd", ".ps", ".wmf"}
    assert opened - SUFFIXES <= others
    assert SUFFIXES - opened <= ({".ftc"} if features.check("avif") else {".ftc", ".avif", ".avifs"})


def test_memory_for_a_thin_or_enormous_picture_is_never_taken() -> None:
    stream = io.BytesIO()
    Image.new("L", (1, 40_000)).save(stream, "PNG")
    with pytest.raises(pictures.UnreadableError, match="1×40000 pixels, thinner than 1:100"):
        pictures.decode(stream.getvalue())
    with pytest.raises(pictures.UnreadableError, match="thinner than 1:100"):
        pictures.upright(Image.new("L", (1, 40_000)))
    with pytest.raises(pictures.UnreadableError, match="more than 100,000,000"):
        pictures.upright(Image.new("1", (20_000, 10_000)))

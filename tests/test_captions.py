"""Readers of a user's own data: tables of captions, WebDataset shards, folders of labelled pictures."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hyma.common import prepared
from hyma.common.errors import HymaError
from hyma.common.prepared import Prepared
from hyma.evaluation.evaluator import protocols
from hyma.readers.base.params import DataSource
from hyma.readers.base.prepare import prepare
from hyma.readers.formats import webdataset


def picture(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder with pictures a.png, b.png and in/c.png."""
    folder = tmp_path / "raw"
    (folder / "in").mkdir(parents=True)
    for shade, name in enumerate(("a.png", "b.png", "in/c.png")):
        (folder / name).write_bytes(picture(shade))
    return folder


def run(path: Path, name: Any = "captions", key: str = "training.x", **options: Any) -> Prepared:
    folder = path.parent / "out"
    prepare(DataSource(format=name, path=str(path), **options), folder, key)
    return prepared.read(folder)


def refused(message: str, path: Path, name: Any = "captions", **options: Any) -> None:
    with pytest.raises(HymaError, match=message) as caught:
        run(path, name, **options)
    assert "\n" not in str(caught.value)


def texts(found: Prepared) -> list[tuple[str, str, int]]:
    """Each caption, the id of its image, and its number among that image's captions."""
    ids = found.images["id"].to_pylist()
    return [(row["text"], ids[row["image"]], row["pool"]) for row in found.texts.to_pylist()]


EXPECTED = [
    ("A cat", "b.png", 0),
    ("A dog, running", "a.png", 0),
    ("Two\ncats", "b.png", 1),
    ("Sea", "in/c.png", 0),
]


@pytest.mark.parametrize(
    "content",
    [
        'image,caption\nb.png,A cat\na.png,"A dog, running"\nb.png,"Two\ncats"\nin/c.png,Sea\n',
        '\ufeffid, Image ,CAPTION\r\n1,b.png,A cat \r\n2,a.png,"A dog, running"\r\n\r\n'
        '3,b.png,"Two\ncats"\r\n4,in/c.png,Sea',
        'text,image\nA cat,b.png\n"A dog, running", a.png\n"Two\ncats",b.png\nSea,in/c.png\n',
    ],
    ids=["plain", "from a spreadsheet", "text"],
)  # fmt: skip
def test_csv(raw: Path, content: str) -> None:
    (raw / "captions.csv").write_bytes(content.encode())
    found = run(raw)
    assert texts(found) == EXPECTED
    assert (found.meta.task, found.meta.format, found.meta.skipped) == ("pairs", "captions", [])
    paths = [image["path"] for image in found.images["image"].to_pylist()]
    assert paths == [str(raw / name) for name in ("b.png", "a.png", "in/c.png")]
    assert found.texts["id"].to_pylist() == ["b.png#0", "a.png#0", "b.png#1", "in/c.png#0"]
    assert found.texts["protocol"].unique().to_pylist() == ["both"]


def test_the_table_itself_may_be_named(raw: Path) -> None:
    (raw / "in/mine.csv").write_text("image,caption\nc.png,Sea\n../a.png,Dog\n")
    assert texts(run(raw / "in/mine.csv")) == [("Sea", "c.png", 0), ("Dog", "../a.png", 0)]
    (raw / "mine.txt").write_text("image,caption\n")
    refused(r"mine\.txt: should end in \.csv, \.jsonl, \.parquet", raw / "mine.txt")
    refused(r"data folder .*no\.csv not found", raw / "no.csv")
    refused(r"data folder .*mine\.csv not found", raw / "in/mine.csv", "folders")


def test_jsonl_holds_lists(raw: Path) -> None:
    lines = [
        {"image": "b.png", "caption": ["A cat"], "text": "never read"},
        {"Image": "a.png", "caption": "A dog, running"},
        {"image": "b.png", "text": ["Two\ncats", " "]},
        {"image": "in/c.png", "caption": "Sea"},
    ]
    (raw / "captions.jsonl").write_text("\ufeff" + "\n\n".join(map(json.dumps, lines)))
    found = run(raw, max_unreadable=0.2)
    assert texts(found) == EXPECTED
    assert [entry.file for entry in found.meta.skipped] == [f"{raw}: b.png#2"]


def test_parquet_by_path(raw: Path) -> None:
    columns = {
        "image": ["b.png", "a.png", "in/c.png"],
        "caption": [["A cat", "Two\ncats"], ["A dog, running"], ["Sea"]],
    }
    pq.write_table(pa.table(columns), raw / "captions.parquet")
    assert sorted(texts(run(raw))) == sorted(EXPECTED)


@pytest.mark.parametrize("bare", [False, True], ids=["struct", "bytes"])
def test_parquet_with_pictures_inside(raw: Path, bare: bool) -> None:
    """The hub keeps base names only, so that different pictures may share one."""
    shades = [7, 8, 7]
    inside: list[Any] = [picture(shade) for shade in shades]
    if not bare:
        inside = [{"bytes": data, "path": "x.png"} for data in inside] + [{"bytes": None, "path": "a.png"}]
    pq.write_table(pa.table({"image": inside, "text": list("klmn")[: len(inside)]}), raw / "captions.parquet")
    found = run(raw)
    name = "picture" if bare else "x.png"
    expected = [("k", name, 0), ("l", f"{name}#2", 0), ("m", name, 1), ("n", "a.png", 0)]
    assert texts(found) == expected[: len(inside)]
    stored = found.images["image"].to_pylist()
    assert [entry["bytes"] for entry in stored[:2]] == [picture(7), picture(8)]
    assert bare or stored[2] == {"bytes": None, "path": str(raw / "a.png")}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("captions.csv", "a.png,A cat\nb.png,A dog\n", "line 2: no column image, found a.png, a cat; name the columns"),
        ("captions.csv", "image;caption\na.png;A cat\n", "line 2: no column image, found image;caption"),
        ("captions.csv", "image,label\na.png,A cat\n", "line 2: no column caption or text, found image, label"),
        ("captions.csv", "image,caption\na.png,A cat, a dog\n", "line 2: 3 fields, the header has 2; put a caption"),
        ("captions.csv", "image,caption\na.png\n", "line 2: 1 fields, the header has 2"),
        ("captions.csv", 'image,caption\na.png,"A cat\nb.png,A dog\n', "line 2: not valid csv .*quote"),
        ("captions.csv", "image,caption\n ,A cat\n", "line 2: image: should be a path relative to .*raw, it is ' '"),
        ("captions.csv", "image,caption\n", "raw: no images listed; expected captions.csv"),
        ("captions.csv", "", "raw: no images listed"),
        ("captions.csv", b"image,caption\na.png,caf\xe9\n", "captions.csv: not UTF-8; save it again"),
        ("captions.jsonl", '{"image": "a.png", "caption": "x"}\n{"image"', "line 2: not valid json"),
        ("captions.jsonl", '["a.png", "x"]', "line 1: should be an object"),
        ("captions.jsonl", '{"image": "a.png", "caption": 7}', "line 1: caption: should be text or a list"),
        ("captions.jsonl", '{"image": ["a.png"], "caption": "x"}', "line 1: image: should be a path"),
        ("captions.parquet", "PAR1", "captions.parquet: not a whole Parquet file"),
        ("other.csv", "", r"raw: expected captions\.csv or .*captions\.parquet, found a\.png; correct"),
    ],
)  # fmt: skip
def test_malformed_table(raw: Path, file: str, content: str | bytes, message: str) -> None:
    (raw / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(message, raw)


def test_missing_pictures_and_empty_captions_are_listed(raw: Path) -> None:
    lines = ["image,caption", "a.png,", "b.png,A cat", "d.png,Nowhere", "b.png,Cats"]
    (raw / "captions.csv").write_text("\n".join(lines))
    found = run(raw, max_unreadable=0.4)
    assert texts(found) == [("A cat", "b.png", 0), ("Cats", "b.png", 1)]
    reasons = {(entry.kind, entry.file): entry.reason for entry in found.meta.skipped}
    assert reasons.pop(("image", str(raw / "d.png"))).startswith("cannot be opened")
    assert reasons == {
        ("text", f"{raw}: a.png#0"): "empty caption",
        ("image", str(raw / "a.png")): "no caption of it is left",
        ("text", "d.png#0"): "its picture is left out",
        ("file", str(raw / "in/c.png")): "a picture that the table does not name",
    }
    assert found.meta.read == {"image": 3, "text": 4, "question": 0}
    refused(r"d\.png: .*; 1 of 3 images are unreadable and training\.x\.max_unreadable", raw)


def test_a_benchmark_of_captions_is_for_retrieval(raw: Path) -> None:
    """The same table: training keeps all captions, a benchmark five of an image, under both protocols."""
    rows = [
        {"image": "a.png", "caption": [f"a{number}" for number in range(7)]},
        {"image": "b.png", "caption": "b0"},
    ]
    (raw / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = run(raw, key="benchmarks.x")
    assert texts(found) == [(f"a{number}", "a.png", number) for number in range(5)] + [("b0", "b.png", 0)]
    assert (found.meta.task, protocols(found)) == ("retrieval", ["standard", "paper"])
    trained = run(raw)
    assert (trained.meta.task, len(trained.texts)) == ("pairs", 8)


def shard(path: Path, members: dict[str, bytes], mode: Any = "w") -> None:
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def read_shards(raw: Path) -> Prepared:
    return webdataset.read(raw, DataSource(format="webdataset", path=str(raw)))


def test_webdataset_keys_kinds_and_places(raw: Path) -> None:
    second, first = raw / "1.tar", raw / "0.tar"
    shard(
        first,
        {
            "./x/0.1.png": b"another kind",
            "x/0.JPG": picture(1),
            "x/0.txt": b"\xef\xbb\xbf A cat\n",
            "x/0.json": b'{"caption": "not read"}',
            "x/._0.png": b"macOS",
            "y.z/0.webp": picture(2),
            "y.z/0.json": json.dumps({"text": "A dog", "width": 8}).encode(),
        },
    )
    shard(second, {"0.json": b'{"caption": ["One", "Two"]}', "0.png": picture(3)})
    found = read_shards(raw)
    assert texts(found) == [
        ("A cat", "0/x/0", 0), ("A dog", "0/y.z/0", 0), ("One", "1/0", 0), ("Two", "1/0", 1)
    ]  # fmt: skip
    for row, (file, shade) in enumerate([(first, 1), (first, 2), (second, 3)]):
        name, _, place = found.images["image"][row]["path"].as_py().rpartition("#")
        offset, size = map(int, place.split("+"))
        assert name == str(file)
        assert file.read_bytes()[offset : offset + size] == picture(shade)


def test_webdataset_from_shards_to_the_prepared_form(raw: Path) -> None:
    samples: dict[str, bytes] = {}
    for number in range(9):
        samples |= {f"{number}.png": picture(number), f"{number}.txt": b"" if number == 8 else b"x"}
    shard(raw / "0.tar", samples | {"9.txt": b"no picture"})
    found = run(raw, "webdataset", "benchmarks.x", max_unreadable=0.2)
    assert (found.meta.task, found.meta.images, found.meta.texts) == ("retrieval", 8, 8)
    lost = [entry for entry in found.meta.skipped if entry.kind != "file"]
    reasons = [(entry.file.rpartition("#")[0] or entry.file, entry.reason) for entry in lost]
    assert reasons == [
        (f"{raw}/0.tar: 9", "no picture in this sample"),
        (f"{raw}: 0/8", "empty caption"),
        (
            f"{raw}/0.tar",
            "no caption of it is left",
        ),  # that is, the stretch of the shard where the picture lies
    ]
    assert found.meta.read == {"image": 10, "text": 9, "question": 0}
    refused(
        r"0\.tar: 9: no picture.*; 1 of 10 images .*max_unreadable is 0\.05",
        raw,
        "webdataset",
        max_unreadable=0.05,
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("0.tgz", b"", r"raw: expected shards \*\.tar, not compressed, found 0\.tgz"),
        ("0.tar", b"", r"0\.tar: not a whole, uncompressed tar file"),
        ("0.tar", "gz", r"0\.tar: not a whole, uncompressed tar file"),
        ("0.tar", "cut", r"0\.tar: not a whole, uncompressed tar file"),
        ("0.tar", {"0.png": b"", "0.json": b"{"}, r"0\.tar: 0\.json: not UTF-8 text or json"),
        ("0.tar", {"0.png": b"", "0.txt": b"\xff"}, r"0\.tar: 0\.txt: not UTF-8 text or json"),
        ("0.tar", {"0.png": b"", "0.json": b'{"caption": 3}'}, r"0\.tar: 0: caption: should be text"),
        ("0.tar", {"0.txt": b"x"}, r"0\.tar: 0: no picture .*; 1 of 1 images"),
    ],
)  # fmt: skip
def test_malformed_shard(raw: Path, name: str, content: Any, message: str) -> None:
    whole = {"0.png": picture(0), "0.txt": b"x" * 3000}
    if isinstance(content, bytes):
        (raw / name).write_bytes(content)
    else:
        shard(raw / name, content if isinstance(content, dict) else whole, "w:gz" if content == "gz" else "w")
    if content == "cut":
        (raw / name).write_bytes((raw / name).read_bytes()[:2500])
    refused(message, raw, "webdataset")


def test_folders_are_classes(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for shade, name in enumerate(("red_fox/2.png", "red_fox/1.JPEG", "owl/a.webp", ".git/x.png")):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_bytes(picture(shade))
    (raw / "owl/notes.txt").write_text("no picture")
    (raw / "owl/._a.png").write_text("macOS")
    found = run(raw, "folders", "benchmarks.x")
    assert (found.meta.task, found.meta.classes) == ("classification", ["owl", "red fox"])
    images = list(zip(found.images["id"].to_pylist(), found.images["label"].to_pylist(), strict=True))
    assert images == [("owl/a.webp", 0), ("red_fox/1.JPEG", 1), ("red_fox/2.png", 1)]
    prompts = found.texts.to_pylist()
    assert len(prompts) == 80 * 2 + 2
    assert (prompts[1]["text"], prompts[1]["target"]) == ("a bad photo of a red fox.", 1)
    assert (prompts[-1]["text"], prompts[-1]["protocol"]) == ("a photo of a red fox", "paper")
    (raw / "empty").mkdir()
    refused(r"raw/empty: a class without a picture; expected .*raw/<class name>/\*\.jpg", raw, "folders")


LAYOUTS = {
    "llava": "blip_laion_cc_sbu_558k.json or chat.json",
    "imagenet": "val/<wnid>/*.JPEG",
    "cifar100": "cifar-100-python/test",
    "coco": "dataset_coco.json or annotations/captions_val2017.json",
    "flickr8k": "captions.txt or Flickr8k.token.txt",
    "okvqa": "OpenEnded_mscoco_val2014_questions.json",
    "textvqa": "TextVQA_0.5.1_val.json",
    "captions": "captions.csv or captions.jsonl or captions.parquet",
    "webdataset": "shards *.tar, not compressed",
    "folders": "<class name>/*.jpg",
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("found", ["nothing", "archive.zip", "download/"])
def test_a_wrong_layout_names_what_is_expected_and_what_is_there(
    tmp_path: Path, name: str, found: str
) -> None:
    if name == "folders" and found == "download/":
        pytest.skip("a folder is a class there")
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / ".hidden").touch()
    if found.endswith("/"):
        (raw / found).mkdir()
    elif found != "nothing":
        (raw / found).touch()
    message = f"{raw}: expected {LAYOUTS[name]}, found {found}; correct the path or unpack the data set there"
    with pytest.raises(HymaError) as caught:
        run(raw, name)
    assert str(caught.value) == message


def test_every_name_of_a_table_is_read(raw: Path) -> None:
    """Where a folder holds several, nothing says which is meant."""
    pq.write_table(pa.table({"image": ["a.png"], "caption": ["parquet"]}), raw / "captions.parquet")
    (raw / "captions.jsonl").write_text('{"image": "a.png", "caption": "jsonl"}')
    (raw / "captions.csv").write_text("image,caption\na.png,csv\n")
    refused("raw: two tables, captions.csv and captions.jsonl; name the one meant", raw)
    (raw / "captions.csv").unlink()
    refused("raw: two tables, captions.jsonl and captions.parquet", raw)
    (raw / "captions.jsonl").unlink()
    assert texts(run(raw)) == [("parquet", "a.png", 0)]

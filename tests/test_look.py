"""Looking at folders: which data sets are in them, how much they hold, what is left out; and holding pictures out."""

import csv
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hyma.common import pictures, prepared
from hyma.common.errors import HymaError
from hyma.readers import recognise, split
from hyma.readers.base.params import DataSource
from hyma.readers.base.prepare import prepare
from hyma.readers.hints import why_not
from hyma.readers.look import Found, describe, look


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything happens in a folder of its own, by relative paths."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*files: str) -> None:
    for file in files:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_bytes(file.encode())  # no two are alike


def table(file: str, rows: Sequence[tuple[str, str]]) -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    with Path(file).open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("image", "caption"), *rows])


def captioned(folder: str, count: int) -> None:
    """So many pictures, nothing of which is one but the name, with two captions each."""
    names = [f"{number}.jpg" for number in range(count)]
    touch(*(f"{folder}/{name}" for name in names))
    table(f"{folder}/captions.csv", [(name, f"{kind} {name}") for name in names for kind in ("a", "the")])


def drawn(file: str, shade: int) -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (shade % 256, shade // 256, 7)).save(file)


def sources(*places: str) -> list[tuple[str, str]]:
    return [(one.source.format, one.source.path) for one in look(map(Path, places)).found]


def found(place: str, name: Any = "captions") -> Found:
    return describe(DataSource(format=name, path=place))


@pytest.mark.parametrize(
    ("files", "formats"),
    [
        (["captions.csv", "a.jpg"], ["captions"]),
        (["captions.parquet", "red/a.jpg", "blue/a.jpg"], ["captions"]),
        (["0.tar", "1.tar"], ["webdataset"]),
        (["captions.jsonl", "0.tar"], ["captions", "webdataset"]),
        (["red/a.jpg", "blue/b.PNG"], ["folders"]),
        (["red/a.jpg", "blue/b.png", "green/notes.txt"], ["folders"]),
        (["red/a.jpg"], []),
        (["red/a.jpg", "b/notes.txt", "c/notes.txt", "d/e.jpg"], []),
        (["red/a.jpg", "blue/b.jpg", "test/captions.csv"], []),
        (["a.jpg", ".hidden/a.jpg", ".other/a.jpg"], []),
        (["chat.json", "images/a.jpg"], ["llava"]),
        (["blip_laion_cc_sbu_558k.json"], ["llava"]),
        (["val/n01440764/a.JPEG", "val/n01443537/b.JPEG"], ["imagenet"]),
        (["cifar-100-python/test", "cifar-100-python/meta"], ["cifar100"]),
        (["dataset_coco.json"], ["coco"]),
        (["annotations/captions_val2017.json", "OpenEnded_mscoco_val2014_questions.json"], ["coco", "okvqa"]),
        (["captions.txt", "Images/a.jpg"], ["flickr8k"]),
        (["captions.txt"], []),
        (["Flickr8k.token.txt"], ["flickr8k"]),
        (["TextVQA_0.5.1_val.json"], ["textvqa"]),
    ],
)
def test_formats_are_told_by_names(files: list[str], formats: list[str]) -> None:
    touch(*(f"it/{file}" for file in files))
    assert [source.format for source in recognise.sources(Path("it"))] == formats


def test_a_table_of_another_name_is_found_by_its_columns() -> None:
    table("it/july.csv", [("a.jpg", "a cat")])
    Path("it/lines.jsonl").write_text('{"IMAGE": "a.jpg", "text": "a cat"}\n')
    pq.write_table(pa.table({"file_name": ["a.jpg"], "text": ["a cat"]}), "it/hub.parquet")
    touch("it/a.jpg", "it/broken.parquet", "it/empty.csv")
    assert sources("it") == [("captions", "it/july.csv"), ("captions", "it/lines.jsonl")]


def test_folders_one_level_down_are_looked_at_and_none_twice() -> None:
    captioned("it/train", 3)
    captioned("it/test", 2)
    touch("it/classes/red/a.jpg", "it/classes/blue/a.jpg", "it/deep/er/0.tar")
    expected = [("folders", "it/classes"), ("captions", "it/test"), ("captions", "it/train")]
    assert sources("it") == expected
    assert sources("it", "it/train", "it/train/captions.csv") == [
        *expected,
        ("captions", "it/train/captions.csv"),
    ]


def test_what_is_there_is_counted_and_no_picture_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "content", lambda _: pytest.fail("opened"))
    captioned("it", 10)
    touch("it/classes/red_car/a.jpg", "it/classes/red_car/b.jpg", "it/classes/blue/a.jpg")
    classes, own = sorted(look([Path("it")]).found, key=lambda one: one.source.path, reverse=True)
    assert (own.pictures, len(own.said), own.said[:2]) == (10, 20, ["a 0.jpg", "the 0.jpg"])
    assert (classes.pictures, classes.draft.meta.classes) == (3, ["blue", "red car"])
    assert own.lost == classes.lost == 0


def test_what_is_left_out_is_said() -> None:
    rows = [(f"{number}.jpg", "a cat") for number in range(20)]
    table("it/captions.csv", [*rows, ("0.jpg", ""), ("3.jpg", "  "), ("gone.jpg", "a ghost")])
    touch(*(f"it/{name}" for name, _ in rows), "it/old/x.jpg", "it/photo.heic", "it/.hidden", "it/0.tar")
    table("it/more.csv", [])
    own = found("it")
    left = {one.reason: (one.count, one.names) for one in own.left_out}
    assert left == {
        "a picture that is not there": (1, ("it/gone.jpg",)),
        "empty caption": (2, ("it: 0.jpg#1", "it: 3.jpg#1")),
        "a table, and captions.csv is read": (1, ("more.csv: image, caption",)),
        "a picture that the table does not name": (1, ("old/x.jpg",)),
        "of a kind that is not read": (2, ("0.tar", "photo.heic")),
        "hidden or a system's own": (1, (".hidden",)),
    }
    assert (own.pictures, len(own.said)) == (20, 20)
    assert own.lost == 2 / 23


def test_so_is_what_lies_among_shards_and_classes() -> None:
    touch("classes/red/a.jpg", "classes/red/a.txt", "classes/blue/b.jpg", "classes/readme.md")
    left = {one.reason: one.names for one in found("classes", "folders").left_out}
    assert left == {
        "of a kind that is not read": ("red/a.txt",),
        "beside the classes' folders": ("readme.md",),
    }


def shard(file: str, numbers: Sequence[int]) -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        for number in numbers:
            drawn("one.png", number)
            for kind, content in (
                ("png", Path("one.png").read_bytes()),
                ("txt", f"number {number}".encode()),
            ):
                member = tarfile.TarInfo(f"{number:04d}.{kind}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def test_wrong_paths_are_no_missing_pictures() -> None:
    table("it/captions.csv", [("wrong/a.jpg", "a cat"), ("b.jpg", "a dog")])
    touch("it/b.jpg")
    with pytest.raises(HymaError, match=r"it: 1 of 2 pictures .* not there \(the first: it/wrong/a.jpg\)"):
        look([Path("it")])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "it: no such folder"),
        (["it/config.json", "it/model.safetensors"], "it: an encoder's weights .* by --image or --text"),
        (["it/modules.json"], "it: an encoder's weights .* by --text"),
        (["it/captions.parquet"], "it/captions.parquet: not a whole Parquet file"),
        (["it/0.tar"], "it/0.tar: not a whole, uncompressed tar file"),
    ],
)
def test_bad_input_is_one_line(files: list[str], message: str) -> None:
    touch(*files)
    with pytest.raises(HymaError, match=message) as caught:
        look([Path("it")])
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_table() -> None:
    touch("a.jpg")
    with pytest.raises(HymaError, match=r"a\.jpg: neither a folder nor a table"):
        look([Path("a.jpg")])


def test_a_benchmark_that_cannot_be_read_spoils_nothing() -> None:
    captioned("it", 4)
    touch("it/classes/red/a.jpg", "it/classes/blue/a.jpg")
    Path("it/classes/empty").mkdir()
    touch("coco/dataset_coco.json", "nothing/notes.txt")
    survey = look([Path("it"), Path("coco"), Path("nothing")])
    assert [one.source.path for one in survey.found] == ["it"]
    assert [line.partition(": ")[0] for line in survey.problems] == [
        "it/classes/empty",
        "coco/dataset_coco.json",
        "nothing",
    ]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"metadata.csv": "file_name,text\n"}, "it/metadata.csv has columns file_name, text; name those"),
        ({"0.tar.gz": ""}, "it/0.tar.gz is packed; unpack it"),
        ({"1.jpg": "", "1.txt": "a cat"}, "`tar -cf it/00000.tar -C it --exclude 00000.tar .` makes a shard"),
        ({"1.jpg": ""}, "it has pictures and no captions; put a table captions.csv beside them"),
        ({"notes.md": ""}, "give a folder with a table captions.csv, .jsonl or .parquet"),
    ],
)
def test_what_to_do_when_there_are_no_captions(files: dict[str, str], said: str) -> None:
    Path("it").mkdir()
    for name, content in files.items():
        Path("it", name).write_text(content)
    assert said in why_not([Path("it")])


def read(folder: str) -> dict[str, list[str]]:
    """The captions of a table by the picture's path from here."""
    own = found(folder)
    paths = [
        Path(image["path"]).resolve().relative_to(Path.cwd())
        for image in own.draft.images["image"].to_pylist()
    ]
    return {str(path): own.captioned[row] for row, path in enumerate(paths)}


@pytest.mark.parametrize(
    ("there", "expected"), [(170, 50), (499, 50), (600, 60), (9999, 1000), (558_128, 1000)]
)
def test_a_tenth_is_held_out_but_neither_few_nor_many(there: int, expected: int) -> None:
    assert split.held_out(there) == expected


def test_no_picture_is_on_both_sides_and_none_is_lost() -> None:
    captioned("photos", 200)
    assert split.split(found("photos"), Path("out")) == (150, 50)
    train, test = read("out/train"), read("out/test")
    assert train.keys().isdisjoint(test)
    assert train | test == {
        f"photos/{number}.jpg": [f"a {number}.jpg", f"the {number}.jpg"] for number in range(200)
    }


def test_it_is_the_same_every_time_and_whatever_the_order() -> None:
    captioned("photos", 200)
    split.split(found("photos"), Path("out"))
    first = Path("out/test/captions.csv").read_bytes()
    split.split(found("photos"), Path("out"))
    assert Path("out/test/captions.csv").read_bytes() == first
    rows = [(f"{number}.jpg", "a cat") for number in reversed(range(200))]
    table("photos/captions.csv", rows)
    before = read("out/test").keys()
    split.split(found("photos"), Path("out"))
    assert read("out/test").keys() == before


def test_a_picture_that_was_replaced_changes_the_table() -> None:
    captioned("photos", 200)
    split.split(found("photos"), Path("out"))
    tables = [Path(f"out/{side}/captions.csv") for side in ("train", "test")]
    before = [path.read_text() for path in tables]
    Path("photos/0.jpg").write_bytes(b"another, longer picture")
    split.split(found("photos"), Path("out"))
    assert [path.read_text() for path in tables] != before


def test_copies_train() -> None:
    captioned("photos", 200)
    twins = [f"photos/{number}.jpg" for number in range(100, 200)]
    for number, twin in enumerate(twins):
        Path(twin).write_bytes(f"copy {number // 2:04d}".encode())
    split.split(found("photos"), Path("out"))
    test = read("out/test")
    assert len(test) == 50
    assert test.keys().isdisjoint(twins)


def test_too_few_are_told() -> None:
    captioned("few", 169)
    with pytest.raises(HymaError, match=r"few: 169 captioned pictures, .*: 170 are needed, 120 to train on"):
        split.split(found("few"), Path("out"))
    captioned("copies", 200)
    for number in range(151):
        Path(f"copies/{number}.jpg").write_bytes(b"the same")
    with pytest.raises(HymaError, match="copies: only 49 of 200 pictures differ"):
        split.split(found("copies"), Path("out"))
    assert not Path("out").exists()


def prepared_texts(folder: str, key: str) -> list[str]:
    prepare(DataSource(format="captions", path=folder), Path("prepared"), key)
    own = prepared.read(Path("prepared"))
    names = [pictures.decode(pictures.content(image)) for image in own.images["image"].to_pylist()]
    shades = [red + 256 * green for red, green, _ in (image.getpixel((0, 0)) for image in names)]
    return [f"{row['text']} {shades[row['image']]}" for row in own.texts.to_pylist()]


def test_shards_are_split_without_unpacking_them() -> None:
    for number in range(3):
        shard(f"shards/{number}.tar", range(60 * number, 60 * number + 60))
    split.split(found("shards", "webdataset"), Path("out"))
    texts = prepared_texts("out/train", "training.x") + prepared_texts("out/test", "benchmarks.x")
    assert sorted(texts) == sorted(f"number {number} {number}" for number in range(180))


def test_so_are_pictures_within_a_table() -> None:
    for number in range(180):
        drawn(f"pictures/{number}.png", number)
    inside = [{"bytes": Path(f"pictures/{number}.png").read_bytes(), "path": None} for number in range(180)]
    Path("it").mkdir()
    captions = [[f"number {number}"] for number in range(180)]
    pq.write_table(pa.table({"image": inside, "caption": captions}), "it/captions.parquet")
    split.split(found("it"), Path("out"))
    texts = prepared_texts("out/train", "training.x") + prepared_texts("out/test", "benchmarks.x")
    assert sorted(texts) == sorted(f"number {number} {number}" for number in range(180))


def test_paths_hold_where_the_data_folder_lies_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    captioned("photos", 180)
    Path("data").symlink_to(tmp_path / "disk")
    split.split(found("photos"), Path("data/out"))
    assert found("data/out/train").pictures == 130
    captioned("../disk/elsewhere", 180)
    split.split(found("../disk/elsewhere"), Path("out"))
    assert found("out/test").pictures == 50

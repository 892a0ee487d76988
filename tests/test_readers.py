"""The readers: tiny folders in each of the seven real formats, checked against tables worked out by hand."""

import hashlib
import io
import json
import os
import pickle
import re
import shutil
import struct
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hyma.common import prepared
from hyma.common.errors import HymaError
from hyma.common.prepared import Prepared
from hyma.readers.base.params import DataSource
from hyma.readers.base.prepare import prepare

FORMATS = ["llava", "imagenet", "cifar100", "coco", "flickr8k", "okvqa", "textvqa"]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def run(raw: Path, name: Any, key: str = "benchmarks.x", **options: Any) -> Prepared:
    prepare(DataSource(format=name, path=str(raw), **options), raw.parent / "out", key)
    return prepared.read(raw.parent / "out")


def rows(table: Any, *columns: str) -> list[Any]:
    """Return the columns' values row by row, as tuples if there are several."""
    lists = [table[column].to_pylist() for column in columns]
    return lists[0] if len(lists) == 1 else list(zip(*lists, strict=True))


def paths(found: Prepared, raw: Path) -> list[str]:
    return [str(Path(image["path"]).relative_to(raw)) for image in rows(found.images, "image")]


def refused(message: str, raw: Path, name: Any, **options: Any) -> None:
    with pytest.raises(HymaError, match=message):
        run(raw, name, **options)


def draw(*paths: Path, shade: int = 0) -> None:
    """Write a picture to each path; no two are alike."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        own = hashlib.sha256(str(path).encode()).digest()
        image = Image.new("RGB", (16, 16), (shade, 0, 0))
        image.paste((own[0], own[1], own[2]), (0, 0, 8, 16))
        image.paste((own[3], own[4], own[5]), (8, 0, 16, 8))
        image.save(path)


def dump(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def talk(name: str, caption: str) -> dict[str, Any]:
    turns = [("human", "Describe.\n<image>"), ("gpt", caption), ("human", "And?"), ("gpt", "Nothing.")]
    return {"image": name, "conversations": [{"from": who, "value": text} for who, text in turns]}


def karpathy(name: str, split: str, *captions: str) -> dict[str, Any]:
    sentences = [{"raw": caption} for caption in captions]
    return {"filepath": "val2014", "filename": name, "split": split, "sentences": sentences}


def val2017(raw: Path, names: list[str], notes: list[tuple[int, str]]) -> None:
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    annotations = [{"image_id": number, "caption": caption} for number, caption in notes]
    dump(raw / "annotations/captions_val2017.json", {"images": images, "annotations": annotations})


def cifar(raw: Path, data: np.ndarray, labels: list[int], names: list[bytes], dumps: Any) -> None:
    (raw / "cifar-100-python").mkdir(exist_ok=True)
    (raw / "cifar-100-python/test").write_bytes(dumps({b"data": data, b"fine_labels": labels}))
    (raw / "cifar-100-python/meta").write_bytes(dumps({b"fine_label_names": names}))


def questions(raw: Path, name: str, val: list[tuple], train: list[list[Any]], wrap: Any = str) -> list[Path]:
    """Write a question-answering set of (id, image id, question, answers); return where its images belong."""
    records = [
        {"question_id": own, "image_id": image, "question": text, "answers": [wrap(a) for a in people]}
        for own, image, text, people in val
    ]
    trained = [{"question_id": 9, "answers": [wrap(answer) for answer in people]} for people in train]
    if name == "textvqa":
        dump(raw / "TextVQA_0.5.1_val.json", {"data": records})
        dump(raw / "TextVQA_0.5.1_train.json", {"data": trained})
        return [raw / f"train_images/{record['image_id']}.jpg" for record in records]
    asked = [{key: record[key] for key in record if key != "answers"} for record in records]
    dump(raw / "OpenEnded_mscoco_val2014_questions.json", {"questions": asked})
    dump(raw / "mscoco_val2014_annotations.json", {"annotations": records[::-1]})
    dump(raw / "mscoco_train2014_annotations.json", {"annotations": trained})
    return [raw / f"val2014/COCO_val2014_{record['image_id']:012d}.jpg" for record in records]


def build(raw: Path, name: str, shade: int = 0) -> None:
    """Write the smallest valid set of a format."""
    if name == "llava":
        dump(raw / "chat.json", [talk("a.jpg", "x")])
        draw(raw / "a.jpg", shade=shade)
    elif name == "imagenet":
        draw(raw / "val/n01440764/ILSVRC2012_val_00000001.JPEG", shade=shade)
    elif name == "cifar100":
        cifar(raw, np.full((1, 3072), shade, np.uint8), [0], [b"apple"], pickle.dumps)
    elif name == "coco":
        dump(raw / "dataset_coco.json", {"images": [karpathy("a.jpg", "test", "x")]})
        val2017(raw, ["b.jpg"], [(0, "y")])
        draw(raw / "val2014/a.jpg", raw / "val2017/b.jpg", shade=shade)
    elif name == "flickr8k":
        (raw / "captions.txt").write_text("image,caption\na.jpg,x\n")
        draw(raw / "Images/a.jpg", shade=shade)
    else:
        draw(*questions(raw, name, [(1, 7, "Q?", ["cat"])], [["cat"]]), shade=shade)


@pytest.mark.parametrize("file", ["blip_laion_cc_sbu_558k.json", "chat.json"])
def test_llava_takes_the_first_answer(raw: Path, file: str) -> None:
    names = ["00453/b.jpg", "00001/a.jpg"]
    dump(raw / file, [talk(names[0], " A red, big bus.\n"), talk(names[1], "Two cats")])
    draw(*(raw / name for name in names))
    found = run(raw, "llava", "training.x")
    assert rows(found.images, "id", "label") == [(names[0], None), (names[1], None)]
    assert paths(found, raw) == names
    texts = [("A red, big bus.", 0, None, 0, "both"), ("Two cats", 1, None, 0, "both")]
    assert rows(found.texts, "text", "image", "target", "pool", "protocol") == texts
    meta = found.meta
    assert (meta.task, meta.format, meta.images, meta.texts, meta.questions) == ("pairs", "llava", 2, 2, 0)


def test_imagenet_keys_repeated_names_by_wnid(raw: Path) -> None:
    names = ["n03773504/ILSVRC2012_val_00000003.JPEG", "n04008634/ILSVRC2012_val_00000001.JPEG"]
    names += ["n01440764/ILSVRC2012_val_00000009.JPEG", "n01440764/ILSVRC2012_val_00000002.JPEG"]
    draw(*(raw / "val" / name for name in names))
    (raw / "val/n01440764/Thumbs.db").write_bytes(b"no image")
    found = run(raw, "imagenet")
    assert found.meta.classes == ["tench", "missile", "missile"]
    assert rows(found.images, "id", "label") == [(names[3], 0), (names[2], 0), (names[0], 1), (names[1], 2)]
    texts = rows(found.texts, "text", "target", "protocol")
    assert len(texts) == 80 * 3 + 3
    bad = ["a bad photo of a tench.", "a bad photo of a missile.", "a bad photo of a missile."]
    assert texts[:3] == [(text, target, "standard") for target, text in enumerate(bad)]
    assert texts[3] == ("a photo of many tench.", 0, "standard")
    paper = ["a photo of a tench", "a photo of a missile", "a photo of a missile"]
    assert texts[240:] == [(text, target, "paper") for target, text in enumerate(paper)]


def test_imagenet_prefers_the_folders_own_names(raw: Path) -> None:
    names = {f"n9999999{digit}": f"shape {digit}" for digit in (4, 1, 6, 2, 5, 3)}
    dump(raw / "classnames.json", names)
    draw(*(raw / "val" / wnid / "1.JPEG" for wnid in names))
    assert run(raw, "imagenet").meta.classes == [f"shape {digit}" for digit in range(1, 7)]


def python2(value: Any) -> bytes:
    """Pickle as Python 2 did for the published archive: byte strings, numpy under its former module name."""

    def string(self: Any, text: Any) -> None:
        data = text if isinstance(text, bytes) else text.encode("latin1")
        self.write(b"T" + struct.pack("<i", len(data)) + data)

    stream = io.BytesIO()
    pickler = pickle._Pickler(stream, 2)  # type: ignore[attr-defined]
    pickler.dispatch = pickler.dispatch | {bytes: string, str: string}
    pickler.dump(value)
    return stream.getvalue().replace(b"numpy._core", b"numpy.core")


@pytest.mark.parametrize("dumps", [pickle.dumps, lambda value: pickle.dumps(value, 2), python2])
def test_cifar_is_channel_major(raw: Path, dumps: Any) -> None:
    row = (np.arange(3072) % 251).astype(np.uint8)
    cifar(raw, np.stack([row, row[::-1]]), [1, 0], [b"apple", b"aquarium_fish"], dumps)
    found = run(raw, "cifar100")
    assert found.meta.classes == ["apple", "aquarium fish"]
    assert rows(found.images, "id", "label", "protocol") == [("test/0", 1, "both"), ("test/1", 0, "both")]
    with Image.open(io.BytesIO(rows(found.images, "image")[0]["bytes"])) as picture:
        # Column 2 of line 1 is value 34 of each plane: 34, 1024 + 34 and 2048 + 34, modulo 251.
        assert (picture.size, picture.getpixel((2, 1))) == ((32, 32), (34, 54, 74))
    texts = rows(found.texts, "text", "target", "protocol")
    assert len(texts) == 18 * 2 + 2
    assert texts[1] == ("a photo of a aquarium fish.", 1, "standard")
    assert texts[-1] == ("a photo of a aquarium fish", 1, "paper")


@pytest.mark.parametrize("file", ["test", "meta"])
@pytest.mark.parametrize("code", [False, True], ids=["mkdir", "eval"])
def test_cifar_refuses_a_pickle_with_code(raw: Path, file: str, code: bool) -> None:
    build(raw, "cifar100")
    harm = raw / "harm"
    call = (eval, (f"__import__('os').mkdir({str(harm)!r})",)) if code else (os.mkdir, (str(harm),))
    content = pickle.dumps({b"data": type("Bomb", (), {"__reduce__": lambda _: call})()})
    pickle.loads(content)
    harm.rmdir()  # raises if the bomb were a dud
    (raw / "cifar-100-python" / file).write_bytes(content)
    refused(rf"cifar-100-python/{file}: .*asks for \w+\.(mkdir|eval)", raw, "cifar100")
    assert not harm.exists()


@pytest.mark.parametrize("shape", [(2, 3072), (1, 3071)], ids=["unlabelled", "short"])
def test_cifar_refuses_other_shapes(raw: Path, shape: tuple) -> None:
    cifar(raw, np.zeros(shape, np.uint8), [0], [b"apple"], pickle.dumps)
    refused("cifar-100-python/test: data: should be N×3072", raw, "cifar100")


def test_coco_has_two_sets_of_five_captions(raw: Path) -> None:
    seven = [f"k{number}" for number in range(7)]
    records = [karpathy(f"{split}.jpg", split, "no") for split in ("train", "val", "restval")]
    records[1:1] = [karpathy("t.jpg", "test", *seven), karpathy("s.jpg", "test", " one, two\n")]
    dump(raw / "dataset_coco.json", {"images": records, "dataset": "coco"})
    val2017(raw, ["p.jpg", "q.jpg"], [(number % 2, f"v{number}") for number in range(13)])
    names = ["val2014/t.jpg", "val2014/s.jpg", "val2017/p.jpg", "val2017/q.jpg"]
    draw(*(raw / name for name in names))
    found = run(raw, "coco")
    assert found.meta.task == "retrieval"
    protocols = ["standard", "standard", "paper", "paper"]
    assert rows(found.images, "id", "protocol") == list(zip(names, protocols, strict=True))
    assert paths(found, raw) == names
    expected = [(f"k{number}", 0, number, "standard") for number in range(5)]
    expected += [("one, two", 1, 0, "standard")]
    expected += [(f"v{2 * number}", 2, number, "paper") for number in range(5)]
    expected += [(f"v{2 * number + 1}", 3, number, "paper") for number in range(5)]
    assert rows(found.texts, "text", "image", "pool", "protocol") == expected
    (raw / "dataset_coco.json").unlink()
    assert paths(run(raw, "coco"), raw) == names[2:]


TABLE = 'image,caption\nb.jpg,"A dog , a ""cat"" , runs ."\na.jpg,A man , in red , sits .\nb.jpg,Plain\n'
TOKENS = 'b.jpg#0\tA dog , a "cat" , runs .\na.jpg#0\tA man , in red , sits .\nb.jpg#1\tPlain\n'


@pytest.mark.parametrize(("file", "content"), [("captions.txt", TABLE), ("Flickr8k.token.txt", TOKENS)])
@pytest.mark.parametrize("folder", ["Images", "Flicker8k_Dataset"])
def test_flickr_layouts(raw: Path, file: str, content: str, folder: str) -> None:
    (raw / file).write_text(content)
    draw(raw / folder / "a.jpg", raw / folder / "b.jpg")
    found = run(raw, "flickr8k")
    captions = [('A dog , a "cat" , runs .', 0, 0), ("Plain", 0, 1), ("A man , in red , sits .", 1, 0)]
    assert rows(found.texts, "text", "image", "pool") == captions
    assert paths(found, raw) == [f"{folder}/b.jpg", f"{folder}/a.jpg"]


def test_flickr_test_list_and_first_five(raw: Path) -> None:
    lines = [f"{name}.jpg,{name}{number}" for number in range(7) for name in "abc"]
    (raw / "captions.txt").write_text("\n".join(["image,caption", *lines]))
    (raw / "Flickr_8k.testImages.txt").write_text("c.jpg\na.jpg\n")
    draw(raw / "Images/a.jpg", raw / "Images/c.jpg")
    found = run(raw, "flickr8k")
    assert rows(found.images, "id") == ["c.jpg", "a.jpg"]
    expected = [(f"{name}{pool}", row, pool) for row, name in enumerate("ca") for pool in range(5)]
    assert rows(found.texts, "text", "image", "pool") == expected


def test_one_unreadable_image_among_many(raw: Path) -> None:
    names = [f"{number:04d}.jpg" for number in range(1001)]
    lines = [f"{name}#0\tof {name}" for name in names]
    (raw / "Flickr8k.token.txt").write_text("\n".join(lines))
    draw(*(raw / "Images" / name for name in names))
    (raw / "Images/0601.jpg").write_bytes(b"<html>")
    found = run(raw, "flickr8k")
    # Without a list the last 1,000 are the test images: the first goes, and the broken one was row 600.
    kept = names[1:601] + names[602:]
    assert rows(found.images, "id") == kept
    assert rows(found.texts, "text", "image") == [(f"of {name}", row) for row, name in enumerate(kept)]
    lost = [(skipped.kind, skipped.file) for skipped in found.meta.skipped]
    assert lost == [("image", str(raw / "Images/0601.jpg")), ("text", "0601.jpg#0")]
    assert (found.meta.images, found.meta.texts) == (999, 999)


@pytest.mark.parametrize("name", ["okvqa", "textvqa"])
@pytest.mark.parametrize(
    "wrap",
    [str, lambda text: {"answer": text, "raw_answer": "wrong"}, lambda text: {"raw_answer": text}],
    ids=["string", "record", "raw"],
)
def test_closed_answer_list(raw: Path, name: str, wrap: Any) -> None:
    twos = ["A Dog", "dog", "cats", "cats", "1,000", "1000", "two", "2", "red?", "red"]
    val = [(31, 7, " What? ", twos), (30, 5, "Where?", ["x"]), (32, 7, "Where?", ["y"])]
    # dog and cat three times each, 2 and zebra twice each, ant once.
    train = [["the dog", "Dog", "zebra", "zebra"], ["dog.", "cat", "cat", "cat"], ["two", "2", "ant"]]
    places = questions(raw, name, val, train, wrap)
    draw(*places)
    found = run(raw, name, max_answers=3)
    assert (found.meta.task, found.meta.answers) == ("vqa", ["cat", "dog", "2"])
    assert paths(found, raw) == [str(place.relative_to(raw)) for place in places[:2]]
    assert rows(found.questions, "id", "image", "prompt", "answers") == [
        ("31", 0, 0, ["dog", "dog", "cats", "cats", "1000", "1000", "2", "2", "red", "red"]),
        ("30", 1, 1, ["x"]),
        ("32", 0, 1, ["y"]),
    ]
    texts = [f"Question: {ask}? Answer: {word}" for ask in ("What", "Where") for word in ["cat", "dog", "2"]]
    assert rows(found.texts, "text") == texts
    assert rows(found.texts, "target") == [0, 1, 2, 0, 1, 2]
    assert run(raw, name).meta.answers == ["cat", "dog", "2", "zebra", "ant"]


@pytest.mark.parametrize("name", ["okvqa", "textvqa"])
def test_questions_on_an_unreadable_image_go(raw: Path, name: str) -> None:
    val = [(1, 7, "What?", ["x"]), (2, 5, "Where?", ["y"]), (3, 7, "Where?", ["z"])]
    places = questions(raw, name, val, [["cat", "dog"]])
    draw(places[1])
    found = run(raw, name, max_unreadable=0.5)
    assert rows(found.questions, "id", "image", "prompt") == [("2", 0, 1)]
    assert rows(found.texts, "text")[2] == "Question: Where? Answer: cat"


def test_unusual_pictures_are_accepted(raw: Path) -> None:
    modes = ["L", "LA", "P", "1", "I;16", "RGBA", "CMYK", "RGB"]
    exif = Image.Exif()
    exif[0x0112] = 6
    for number, mode in enumerate(modes):  # of different sizes, so that each is another picture
        suffix = "JPEG" if mode in ("CMYK", "RGB") else "PNG"
        Image.new(mode, (8, 8 + number)).save(raw / f"{mode}.jpg", suffix, exif=exif)
    dump(raw / "chat.json", [talk(f"{mode}.jpg", mode) for mode in modes])
    found = run(raw, "llava", max_unreadable=0)
    assert rows(found.texts, "text") == modes
    assert (found.meta.images, found.meta.skipped) == (8, [])


@pytest.mark.parametrize(
    ("broken", "reason"),
    [(None, "cannot be opened"), (b"", "unreadable"), (b"GIF89a", "unreadable"), ("half", "unreadable")],
)
def test_max_unreadable(raw: Path, broken: Any, reason: str) -> None:
    dump(raw / "chat.json", [talk(f"{letter}.jpg", letter) for letter in "abcd"])
    draw(*(raw / f"{letter}.jpg" for letter in "acd"))
    if broken == "half":
        Image.effect_noise((64, 64), 50).save(raw / "b.jpg")
        broken = (raw / "b.jpg").read_bytes()[:1500]
    if broken is not None:
        (raw / "b.jpg").write_bytes(broken)
    found = run(raw, "llava", max_unreadable=0.25)
    assert rows(found.texts, "text", "image") == [("a", 0), ("c", 1), ("d", 2)]
    assert [skipped.file for skipped in found.meta.skipped] == [str(raw / "b.jpg"), "1/b.jpg"]
    assert reason in found.meta.skipped[0].reason
    message = rf"raw/b\.jpg: {reason}.*; 1 of 4 images .* benchmarks\.x\.max_unreadable is 0\.24"
    refused(message, raw, "llava", max_unreadable=0.24)


def test_empty_captions(raw: Path) -> None:
    (raw / "captions.txt").write_text("image,caption\na.jpg,\na.jpg,x\nb.jpg, \nb.jpg,y\nb.jpg,z\n")
    draw(raw / "Images/a.jpg", raw / "Images/b.jpg")
    found = run(raw, "flickr8k", max_unreadable=0.4)
    assert rows(found.images, "id") == ["a.jpg", "b.jpg"]
    texts = [("a.jpg#1", "x", 0), ("b.jpg#1", "y", 1), ("b.jpg#2", "z", 1)]
    assert rows(found.texts, "id", "text", "image") == texts
    skipped = [(f"{raw}: a.jpg#0", "empty caption"), (f"{raw}: b.jpg#0", "empty caption")]
    assert [(entry.file, entry.reason) for entry in found.meta.skipped] == skipped
    refused(r"a\.jpg#0: empty caption; 2 of 5 captions are empty.*max_unreadable", raw, "flickr8k")


@pytest.mark.parametrize("name", FORMATS)
def test_data_hash_empty_folder_and_no_folder(raw: Path, name: str) -> None:
    refused(re.escape(str(raw)), raw, name)
    digests = []
    for shade in (0, 0, 200):
        build(raw, name, shade)
        digests.append(run(raw, name).meta.data_hash)
    assert digests[0] == digests[1] != digests[2]
    shutil.rmtree(raw)
    refused(r"params\.yaml: benchmarks\.x\.path: data folder .*raw not found", raw, name)


OKVQA = ["OpenEnded_mscoco_val2014_questions", "mscoco_val2014_annotations", "mscoco_train2014_annotations"]


@pytest.mark.parametrize(
    ("name", "file", "place", "keys"),
    [
        ("llava", "chat", (0,), "image conversations"),
        ("llava", "chat", (0, "conversations", 1), "value"),
        ("coco", "dataset_coco", (), "images"),
        ("coco", "dataset_coco", ("images", 0), "split sentences filepath filename"),
        ("coco", "dataset_coco", ("images", 0, "sentences", 0), "raw"),
        ("coco", "annotations/captions_val2017", (), "images annotations"),
        ("coco", "annotations/captions_val2017", ("images", 0), "id file_name"),
        ("coco", "annotations/captions_val2017", ("annotations", 0), "image_id caption"),
        ("okvqa", OKVQA[0], ("questions", 0), "image_id question_id question"),
        ("okvqa", OKVQA[1], ("annotations", 0), "question_id answers"),
        ("okvqa", OKVQA[2], ("annotations", 0), "answers"),
        ("textvqa", "TextVQA_0.5.1_val", ("data", 0), "image_id question_id question answers"),
        ("textvqa", "TextVQA_0.5.1_train", ("data", 0), "answers"),
    ],
)
def test_missing_key(raw: Path, name: str, file: str, place: tuple, keys: str) -> None:
    path = raw / f"{file}.json"
    for key in keys.split():
        build(raw, name)
        content = json.loads(path.read_text())
        del reduce(getitem, place, content)[key]
        dump(path, content)
        refused(rf"{re.escape(str(path))}: .*key '{key}' is missing", raw, name)


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("llava", "chat.json", "[]", "raw: no images listed"),
        ("llava", "chat.json", '[{"image": "a", "conversations": []}]', "record 0: no turn from 'gpt'"),
        ("imagenet", "val/n99999999/1.JPEG", "", r"val/n99999999: no class name.*classnames\.json"),
        ("cifar100", "cifar-100-python/test", "", "cifar-100-python/test: not one of CIFAR-100's pickles"),
        ("flickr8k", "captions.txt", "image,caption\na.jpg,x\na.jpg", r"captions\.txt: line 3: expected"),
        ("flickr8k", "Flickr_8k.testImages.txt", "d.jpg", r"testImages\.txt: d\.jpg has no caption"),
        ("okvqa", f"{OKVQA[1]}.json", '{"annotations": []}', "question_id 1 has no annotation"),
        ("okvqa", f"{OKVQA[2]}.json", '{"annotations": []}', f"{OKVQA[2]}.json: no answers"),
        ("textvqa", "TextVQA_0.5.1_train.json", '{"data": []}', "train.json: no answers"),
    ],
)
def test_malformed_file(raw: Path, name: str, file: str, content: str, message: str) -> None:
    build(raw, name)
    (raw / file).parent.mkdir(exist_ok=True)
    (raw / file).write_text(content)
    refused(message, raw, name)

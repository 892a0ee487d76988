"""The embedded world: built once, tiny, and held against the real formats and against its own scenes."""

import json
import pickle
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from matplotlib.ft2font import FT2Font
from PIL import Image

from hyma.common import prepared
from hyma.common.files import sha256, sha256_file
from hyma.embedded.world import annotations, draw, write
from hyma.embedded.world.params import WorldParams
from hyma.embedded.world.scenes import (
    Item,
    Scene,
    article,
    coco_caption,
    flickr_caption,
    generator,
    random_item,
    random_scene,
)
from hyma.embedded.world.things import COLOURS, DIGITS, HELD_OUT, SHAPES, SYMBOLS, is_held_out
from hyma.embedded.world.write import Sample
from hyma.readers.base.params import DataSource
from hyma.readers.base.prepare import prepare

SETS = ["llava", "imagenet", "cifar100", "coco", "flickr8k", "okvqa", "textvqa", "labels", "corpus"]
COUNTS = dict(zip(WorldParams.model_fields, (0, 60, 80, 2000, 1, 1, 8, 5, 6, 20, 12), strict=True))
NUMBER = {thing.name: row for row, thing in enumerate(SYMBOLS)}
LLAVA = "llava/blip_laion_cc_sbu_558k.json"


class World(NamedTuple):
    root: Path
    shown: dict[str, list[Sample]]
    """What was drawn, by set."""

    def json(self, file: str) -> Any:
        return json.loads((self.root / file).read_text(encoding="utf-8"))

    def cifar(self, file: str) -> Any:
        return pickle.loads((self.root / "cifar100/cifar-100-python" / file).read_bytes())

    def lines(self, file: str) -> list[str]:
        return (self.root / file).read_text(encoding="utf-8").splitlines()

    def files(self, folder: str) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in (self.root / folder).rglob("*.*"))

    def digest(self, folder: str) -> str:
        files = sorted(path for path in (self.root / folder).rglob("*") if path.is_file())
        return sha256(*(f"{path.relative_to(self.root)} {sha256_file(path)}" for path in files))


def build(root: Path, **changes: int) -> World:
    """Build a world and note the samples that it draws on the way."""
    shown: dict[str, list[Sample]] = {}
    real = write.pictures

    def spy(samples: list[Sample], *rest: Any) -> list:
        shown[samples[0].set_name] = samples
        return real(samples, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "pictures", spy)
        write.build(root, WorldParams(**(COUNTS | changes)))
    return World(root, shown)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("world"))


def covered(pixels: np.ndarray, colour: str) -> np.ndarray:
    """Where the picture shows a colour, give or take its noise."""
    return np.abs(pixels.astype(int) - np.array(COLOURS[colour])).max(2) <= 12


def mentions(caption: str, item: Item) -> bool:
    """Whether a caption names the item: its colour, what kind of thing it is, its name or synonym."""
    names = [item.name] + ([SYMBOLS[item.number].synonym] if item.kind == "symbol" else [])
    kinds = {"sign": "sign (that says|with the word|saying) ", "digit": "(handwritten|number|digit) "}
    between = kinds.get(item.kind, "")
    return any(re.search(rf"\b{item.colour} {between}{name}\b", caption.lower()) for name in names)


def held_out(item: Item) -> bool:
    return is_held_out(item.kind, item.number, item.colour)


def test_equal_seed_equal_bytes_other_seed_other_world(world: World, tmp_path: Path) -> None:
    assert sorted(path.name for path in world.root.iterdir()) == sorted(SETS)
    again, other = build(tmp_path / "again"), build(tmp_path / "other", seed=1)
    assert [name for name in SETS if world.digest(name) != again.digest(name)] == []
    assert [name for name in SETS if world.digest(name) == other.digest(name)] == []


def test_a_sample_does_not_depend_on_how_many_there_are(world: World, tmp_path: Path) -> None:
    larger = build(tmp_path, **{name: count * 2 for name, count in COUNTS.items()})
    files = [file for file in world.files("") if file.endswith((".jpg", ".JPEG"))]
    # LLaVA, ImageNet, COCO (8 + 3 others, 5), Flickr8k (6 + 2 + 2), half the questions, three quarters.
    assert len(files) == 60 + 40 + (8 + 3) + 5 + (6 + 4) + 10 + 9
    assert [file for file in files if sha256_file(world.root / file) != sha256_file(larger.root / file)] == []
    few, many = (found.cifar("test")[b"data"] for found in (world, larger))
    assert len(many) == 200
    assert np.array_equal(few, many[:100])
    few, many = (np.load(found.root / "labels/images.npy") for found in (world, larger))
    assert len(many) == 160
    assert np.array_equal(few, many[:80])
    assert world.json(LLAVA) == larger.json(LLAVA)[:60]
    few, many = (found.lines("corpus/sentences.tsv") for found in (world, larger))
    assert few == many[: len(few)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llava", ("pairs", 60, 60, 0, 0, 0)),
        ("imagenet", ("classification", 40, 40 * (80 + 1), 0, 40, 0)),
        ("cifar100", ("classification", 100, 100 * (18 + 1), 0, 100, 0)),
        ("coco", ("retrieval", 8 + 5, 5 * (8 + 5), 0, 0, 0)),
        ("flickr8k", ("retrieval", 6, 5 * 6, 0, 0, 0)),
        ("okvqa", ("vqa", 10, 5 * 100, 20, 0, 100)),
        ("textvqa", ("vqa", 9, 4 * 100, 12, 0, 100)),
    ],
)
def test_the_readers_read_it(world: World, tmp_path: Path, name: Any, expected: tuple) -> None:
    meta = prepare(DataSource(format=name, path=str(world.root / name), max_unreadable=0), tmp_path / "out")
    counts = (meta.images, meta.texts, meta.questions, len(set(meta.classes)), len(set(meta.answers)))
    assert (meta.task, *counts) == expected
    assert meta.skipped == []
    # The closed list of answers holds what most people say.
    asked = prepared.read(tmp_path / "out").questions["answers"].to_pylist()
    truths = [Counter(people).most_common(1)[0][0] for people in asked]
    assert sum(truth in meta.answers for truth in truths) >= 0.9 * meta.questions


def test_llava(world: World) -> None:
    records = world.json(LLAVA)
    assert [record["image"] for record in records] == [f"00000/{number:09d}.jpg" for number in range(60)]
    assert [sample.file for sample in world.shown["llava"]] == [record["image"] for record in records]
    assert records[7]["id"] == "000000007"
    for record, sample in zip(records, world.shown["llava"], strict=True):
        human, gpt = record["conversations"]
        assert (human["from"], human["value"][-8:], gpt["from"]) == ("human", "\n<image>", "gpt")
        assert mentions(gpt["value"], sample.scene.items[0])


def test_imagenet(world: World) -> None:
    names, files = world.json("imagenet/classnames.json"), world.files("imagenet/val")
    assert len(names) == 40
    assert all(re.fullmatch(r"n\d{8}", wnid) for wnid in names)
    assert sorted(file.split("/")[2] for file in files) == sorted(names)
    rows = range(1, 41)
    assert sorted(Path(file).name for file in files) == [f"ILSVRC2012_val_{row:08d}.JPEG" for row in rows]
    for sample in world.shown["imagenet"]:
        assert names[sample.file.split("/")[1]] == sample.scene.items[0].name
    missing = {"saturn sign", "die", "radiation sign", "alembic", "lightning bolt", "cross", "queen", "heart"}
    assert set(NUMBER) - set(names.values()) == missing


def test_cifar(world: World) -> None:
    names = [name.decode() for name in world.cifar("meta")[b"fine_label_names"]]
    shapes = [f"{colour}_{shape}" for colour in COLOURS for shape in SHAPES]
    assert names == sorted([f"digit_{digit}" for digit in DIGITS] + shapes)
    assert len(set(world.cifar("meta")[b"coarse_label_names"])) == 20
    for split, count in (("test", 1), ("train", 5)):
        content = world.cifar(split)
        assert (content[b"data"].shape, content[b"data"].dtype) == ((100 * count, 3072), np.uint8)
        assert Counter(content[b"fine_labels"]) == dict.fromkeys(range(100), count)
        assert Counter(content[b"coarse_labels"]) == dict.fromkeys(range(20), 5 * count)
        samples = world.shown[f"cifar100/{split}"]
        for row, label, sample in zip(content[b"data"], content[b"fine_labels"], samples, strict=True):
            (item,) = sample.scene.items
            assert names[label] == f"{'digit' if item.kind == 'digit' else item.colour}_{item.name}"
            if item.name in ("circle", "square", "triangle", "pentagon"):
                # Three planes, one after another.
                assert covered(row.reshape(3, 32, 32).transpose(1, 2, 0), item.colour).sum() >= 30


def test_coco(world: World) -> None:
    captions = {}
    for year, count, prefix in (("2014", 11, "COCO_val2014_"), ("2017", 5, "")):
        content = world.json(f"coco/annotations/captions_val{year}.json")
        files = {image["id"]: f"val{year}/{image['file_name']}" for image in content["images"]}
        assert files == {number: f"val{year}/{prefix}{number:012d}.jpg" for number in range(count)}
        assert world.files(f"coco/val{year}") == [f"coco/{file}" for file in files.values()]
        assert len({note["id"] for note in content["annotations"]}) == 5 * count
        for sample in world.shown[f"coco{year}"]:
            own = [n["caption"] for n in content["annotations"] if n["image_id"] == sample.number]
            assert (len(own), files[sample.number]) == (5, sample.file)
            assert all(mentions(caption, sample.scene.items[0]) for caption in own)
            captions[sample.file] = own
    images = world.json("coco/dataset_coco.json")["images"]
    assert len(images) == 11
    assert [image["split"] for image in images[:8]] == ["test"] * 8
    assert {image["split"] for image in images[8:]} == {"train", "val", "restval"}
    for image in images:
        raw = [sentence["raw"] for sentence in image["sentences"]]
        assert raw == captions[f"{image['filepath']}/{image['filename']}"]


@pytest.mark.parametrize(("name", "sentence"), [("coco2014", coco_caption), ("flickr8k", flickr_caption)])
def test_no_two_pictures_share_a_caption(
    name: str, sentence: Callable[[np.random.Generator, Scene], str]
) -> None:
    drawn = write.scenes(0, name, 400, lambda rng, _: random_scene(rng, True), "{0}.jpg")
    given = annotations.five_captions(drawn, sentence, 0)
    owners: dict[str, set[int]] = {}
    for sample, own in zip(drawn, given, strict=True):
        assert len(own) == 5
        assert all(mentions(caption, sample.scene.items[0]) for caption in own)
        for caption in own:
            owners.setdefault(caption, set()).add(sample.number)
    assert {len(numbers) for numbers in owners.values()} == {1}


def test_flickr(world: World) -> None:
    header, *lines = world.lines("flickr8k/captions.txt")
    assert header == "image,caption"
    names = [f"{number:010d}_drawn.jpg" for number in range(10)]
    assert [line.partition(",")[0] for line in lines] == [name for name in names for _ in range(5)]
    texts = [line.partition(",")[2] for line in lines]
    assert 10 <= sum("," in text for text in texts) < 50
    assert all(text[0] == text[-1] == '"' for text in texts if "," in text)
    for row, text in enumerate(texts):
        assert mentions(text, world.shown["flickr8k"][row // 5].scene.items[0])
    for split, chosen in (("train", names[:2]), ("dev", names[2:4]), ("test", names[4:])):
        assert world.lines(f"flickr8k/Flickr_8k.{split}Images.txt") == chosen
    assert world.files("flickr8k/Images") == [f"flickr8k/Images/{name}" for name in names]


def test_okvqa(world: World) -> None:
    fact = {"used": "use", "people do": "use", "Where": "where", "what place": "where", "kind": "coarse"}
    asked = world.json("okvqa/OpenEnded_mscoco_val2014_questions.json")["questions"]
    notes = world.json("okvqa/mscoco_val2014_annotations.json")["annotations"]
    assert len({question["question_id"] for question in asked}) == len(notes) == 20
    right = 0
    for question, note in zip(asked, notes, strict=True):
        assert all(question[key] == note[key] for key in ("question_id", "image_id"))
        people = [answer["answer"] for answer in note["answers"]]
        assert (len(people), people[::2]) == (10, people[1::2])
        sample = world.shown["okvqa"][question["image_id"]]
        assert sample.file == f"val2014/COCO_val2014_{question['image_id']:012d}.jpg"
        thing = SYMBOLS[NUMBER[sample.scene.items[0].name]]
        assert set(people) <= {thing.use, thing.where, thing.coarse, thing.synonym}
        key = next(value for words, value in fact.items() if words in question["question"].split("seen")[0])
        right += people.count(getattr(thing, key))
    assert 120 <= right <= 190  # of 200: four in five know it
    trained = world.json("okvqa/mscoco_train2014_annotations.json")["annotations"]
    assert {len(note["answers"]) for note in trained} == {10}


def test_textvqa(world: World) -> None:
    records = world.json("textvqa/TextVQA_0.5.1_val.json")["data"]
    # Nine pictures: the tenth question starts over.
    assert [record["image_id"] for record in records] == [f"{number % 9:016x}" for number in range(12)]
    assert world.files("textvqa/train_images") == [f"textvqa/train_images/{n:016x}.jpg" for n in range(9)]
    right = 0
    for record in records:
        item = world.shown["textvqa"][int(record["image_id"], 16)].scene.items[0]
        assert (item.kind, len(record["answers"])) == ("sign", 10)
        assert {type(answer) for answer in record["answers"]} == {str}
        right += record["answers"].count(item.name)
    assert 84 <= right <= 116  # of 120: 17 in 20 read with care


def test_labels(world: World) -> None:
    images, labels = np.load(world.root / "labels/images.npy"), world.json("labels/labels.json")
    assert (images.shape, images.dtype) == ((80, 64, 64, 3), np.uint8)
    coarse = sorted({thing.coarse for thing in SYMBOLS} | {"shape", "digit", "sign"})
    objects = [*NUMBER, *SHAPES, *DIGITS, "sign"]  # a sign has number -1
    for row, sample in enumerate(world.shown["labels"]):
        (item,) = sample.scene.items
        assert objects[labels["object"][row]] == ("sign" if item.kind == "sign" else item.name)
        assert labels["word"][row] == (item.number if item.kind == "sign" else -1)
        assert coarse[labels["coarse"][row]] == item.coarse
        if item.kind in ("shape", "sign"):
            assert covered(images[row], list(COLOURS)[labels["colour"][row]]).sum() >= 40


def test_pictures_are_small_rgb_jpegs(world: World) -> None:
    kinds = set()
    for file in world.files(""):
        if file.endswith((".jpg", ".JPEG")):
            with Image.open(world.root / file) as picture:
                kinds.add((picture.format, picture.mode, picture.size))
    assert kinds == {("JPEG", "RGB", (64, 64))}


@pytest.mark.parametrize(
    ("kind", "number", "colour", "expected"),
    [
        ("shape", 0, "red", True),  # 3 × 0 + 0
        ("shape", 2, "orange", True),  # 3 × 2 + 1
        ("shape", 2, "red", False),
        ("symbol", NUMBER["star"], "green", True),  # 3 × 6 + 3
        ("symbol", NUMBER["star"], "blue", False),
        ("symbol", NUMBER["comet"], "red", True),  # 3 × 9 + 0: the whole object is kept
        ("digit", 0, "red", False),
        ("sign", 0, "red", False),
    ],
)
def test_is_held_out(kind: str, number: int, colour: str, expected: bool) -> None:
    assert is_held_out(kind, number, colour) is expected


def test_held_out_things_occur_only_in_evaluation(world: World) -> None:
    assert {"comet", "pawn", "club", "quarter note", "pen nib", "biohazard sign", "ankh", "urn"} == HELD_OUT
    items = {
        name: [i for sample in samples for i in sample.scene.items] for name, samples in world.shown.items()
    }
    assert [item for item in items.pop("llava") + items.pop("labels") if held_out(item)] == []
    evaluated = [item for row in items.values() for item in row if held_out(item)]
    assert {item.name for item in evaluated} >= HELD_OUT
    assert sum(item.name not in HELD_OUT for item in evaluated) >= 20
    lots = [random_item(generator(0, "lots", index), index < 2000) for index in range(4000)]
    assert sum(map(held_out, lots[:2000])) >= 200
    assert sum(map(held_out, lots[2000:])) == 0


def test_held_out_things_are_never_said_in_training(world: World) -> None:
    captions = [record["conversations"][1]["value"] for record in world.json(LLAVA)]
    captions += world.lines("corpus/sentences.tsv")
    names = [(("symbol", row), name) for row, thing in enumerate(SYMBOLS) for name in thing[1:3]]
    names += [(("shape", row), name) for row, name in enumerate(SHAPES)]
    banned = [f"{colour} {name}" for key, name in names for colour in COLOURS if is_held_out(*key, colour)]
    assert {"orange comet", "orange shooting star", "green star", "red circle"} <= set(banned)
    pattern = re.compile(rf"\b({'|'.join(banned)})\b")
    assert pattern.search("a large red circle on the left")
    assert [caption for caption in captions if pattern.search(caption.lower())] == []


def test_handwritten_digits_of_training_and_evaluation(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = {name: {sample.scene.evaluation for sample in samples} for name, samples in world.shown.items()}
    assert flags == {name: {name not in ("llava", "labels")} for name in flags}
    # Digits whose upper and lower halves spell the number of their row.
    pictures, targets = draw._digits()
    rows = np.arange(len(pictures))
    halves = np.repeat(np.stack([rows >> 8, rows & 255], 1).astype(np.uint8), 4, axis=1)
    monkeypatch.setattr(draw, "_digits", lambda: (halves[:, :, None].repeat(8, axis=2), targets))
    rng = np.random.default_rng(0)
    for evaluation in (False, True):
        seen = [draw._digit(3, evaluation, rng) for _ in range(2000)]
        found = {picture.getpixel((40, 20)) * 256 + picture.getpixel((40, 60)) for picture in seen}
        assert found == {row for row in rows[targets == 3].tolist() if (row >= 1200) == evaluation}
        assert len(found) >= 50


def test_symbols_are_glyphs_of_the_font_and_differ() -> None:
    known = FT2Font(str(draw.FONT)).get_charmap()
    assert [thing.name for thing in SYMBOLS if thing.code not in known] == []
    glyphs = [draw.glyph(thing.code) for thing in SYMBOLS]
    boxes = np.array([glyph.getbbox() for glyph in glyphs])
    assert boxes.min() > 0  # nothing is cut off
    assert boxes.max() < 160
    glyphs.append(draw.glyph(0xFFFFE))  # no character, thus the box of .notdef
    crops = [glyph.crop(glyph.getbbox()).resize((24, 24), Image.Resampling.BOX) for glyph in glyphs]
    flat = np.stack([np.asarray(crop) for crop in crops]).reshape(49, -1).astype(int)
    apart = np.abs(flat[:, None] - flat[None]).mean(2)
    assert apart[~np.eye(49, dtype=bool)].min() > 25


def test_names_are_unique() -> None:
    names = [name for thing in SYMBOLS for name in thing[1:3]] + SHAPES + DIGITS
    assert len(set(names)) == len(names) == 2 * 48 + 9 + 10
    assert all(fact for thing in SYMBOLS for fact in thing[3:])


def test_article() -> None:
    given = ["umbrella", "orange cup of coffee", "card of spades", "red scissors", "teal music notes"]
    expected = ["an umbrella", "an orange cup of coffee", "a card of spades", "some red scissors"]
    assert [article(phrase) for phrase in given] == [*expected, "some teal music notes"]


def test_plural_names_take_no_article() -> None:
    names = [name for thing in SYMBOLS for name in thing[1:3]]
    plural = [name for name in names if re.search("[^s]s$", name) and not re.search(" (of|and) ", name)]
    assert {"scissors", "scales", "music notes", "crossed swords"} <= set(plural)
    assert [article(f"red {name}") for name in plural if article(f"red {name}").startswith("a ")] == []


def test_flickr_differs_from_coco_in_grammar() -> None:
    commas, openings = 0, set()
    for index in range(200):
        rng = generator(0, "grammar", index)
        scene = random_scene(rng, True)
        coco, flickr = coco_caption(rng, scene), flickr_caption(rng, scene)
        assert re.fullmatch(r"[a-z][a-z ]*", coco)
        assert re.fullmatch(r"[A-Z][a-z ,]* \.", flickr)
        commas += " , " in flickr
        openings |= {words for words in ("a picture of", "there is", "an image showing") if words in coco}
    assert commas > 100
    assert len(openings) == 3


RELATIONS = {"left": "to the left of", "right": "to the right of", "top": "above", "bottom": "below"}
OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


@pytest.mark.parametrize("place", RELATIONS)
def test_captions_say_what_the_picture_shows(place: str) -> None:
    items = Item("shape", 0, "red", "small", place), Item("shape", 1, "yellow", "small", OPPOSITE[place])
    pair, alone = Scene(items, "plain", "navy", True), Scene(items[:1], "plain", "navy", True)
    said = set()
    for index in range(100):
        rng = generator(0, "relation", index)
        caption, other = coco_caption(rng, pair), coco_caption(rng, alone)
        assert caption.index("red circle") < caption.index("yellow square")
        said |= {words for words in RELATIONS.values() if words in caption}
        said |= {side for side in RELATIONS if f"the {side} of the picture" in other}
    assert said == {RELATIONS[place], place}
    axis, sign = (int(place in ("left", "right")), 1 if place in ("right", "bottom") else -1)
    for index in range(10):
        pixels = draw.draw(pair, generator(0, "place", index))
        assert (pixels.shape, pixels.dtype) == ((64, 64, 3), np.uint8)
        red, yellow = (np.argwhere(covered(pixels, colour)).mean(0) - 31.5 for colour in ("red", "yellow"))
        assert sign * red[axis] > 8
        assert sign * yellow[axis] < -8
        assert max(abs(red[1 - axis]), abs(yellow[1 - axis])) < 5


def test_two_things_are_opposite_each_other() -> None:
    pairs = [random_scene(generator(0, "two", index), True, two=1.0).items for index in range(200)]
    assert {(first.place, second.place) for first, second in pairs} == set(OPPOSITE.items())
    upright = [first.place in ("top", "bottom") for first, _ in pairs if first.kind == "sign"]
    assert all(upright)
    assert len(upright) >= 10
    single = [random_scene(generator(0, "one", index), True, two=0.0).items for index in range(200)]
    assert {len(items) for items in single} == {1}


def test_a_sign_said_to_be_on_one_side_is_there() -> None:
    places = set()
    for index in range(400):
        rng = generator(0, "sides", index)
        item = random_scene(rng, True, random_item(rng, True, "sign"), two=0.0).items[0]
        places.add(item.place)
        if item.place in ("left", "right"):
            pixels = draw.draw(Scene((item,), "plain", "grey", True), rng).astype(int)
            columns = np.argwhere(np.abs(pixels - 150).max(2) > 40)[:, 1]  # the board and what is on it
            middle = (columns.min() + columns.max()) / 2 - 31.5
            assert middle * (1 if item.place == "right" else -1) > 2, f"{item}: {middle} off the middle"
    assert {"middle", "top", "bottom"} <= places


def test_paste_by_hand() -> None:
    pixels = np.full((64, 64, 3), 100)
    draw._paste(pixels, np.array([[255, 0], [128, 51]], np.uint8), (200, 10, 0), top=62, left=3)
    # (100 × 127 + 200 × 128) / 255 = 150.2, (12700 + 1280) / 255 = 54.8, 12700 / 255 = 49.8
    # (100 × 204 + 200 × 51) / 255 = 120, (20400 + 510) / 255 = 82, 20400 / 255 = 80
    assert pixels[62, 3:5].tolist() == [[200, 10, 0], [100, 100, 100]]
    assert pixels[63, 3:5].tolist() == [[150, 54, 49], [120, 82, 80]]
    pixels[62:, 3:5] = 100
    draw._paste(pixels, np.full((10, 10), 255, np.uint8), (1, 2, 3), top=60, left=59)
    assert (pixels[60:, 59:] == (1, 2, 3)).all()
    assert (pixels == 100).sum() == 3 * (64 * 64 - 4 * 5)


def test_corpus(world: World) -> None:
    groups: dict[int, list[str]] = {}
    for line in world.lines("corpus/sentences.tsv"):
        group, sentence = line.split("\t")
        groups.setdefault(int(group), []).append(sentence)
    # An entry a thing, 22 lines; one group of no answers; what they leave is scenes with four captions.
    assert [len(groups[row]) for row in range(48)] == [22] * 48
    assert groups[0][:3] == ["sun", "sunshine", "a photo of a sun"]
    assert "an anchor is used for mooring" in groups[NUMBER["anchor"]]
    assert "Question: Where would you find this? Answer: harbour" in groups[NUMBER["anchor"]]
    useless = set(groups[48])
    assert "Question: Where would you find this? Answer: mooring" in useless
    assert not any(sentence in useless for sentence in groups[NUMBER["anchor"]])
    scenes = len(groups) - 49
    assert list(groups) == list(range(49 + scenes))
    assert 2000 <= 48 * 22 + len(groups[48]) + 4 * scenes < 2004
    for index in range(scenes):
        item = random_scene(generator(0, "corpus", index), False).items[0]
        captions = groups[49 + index]
        assert [caption.endswith(" .") for caption in captions] == [False, True, False, True]
        assert all(mentions(caption, item) for caption in captions)

"""Miniatures of the seven real data sets, with the file names, fields and flaws of the originals.

Written by hand from what the published archives look like, and by nothing in `hyma`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from tests.test_readers import python2

COLOURS = ("red", "green", "blue", "yellow", "white", "black")
SHAPES = ("circle", "square", "triangle", "cross", "ring")


class Counts(NamedTuple):
    """What there is to read of a data set under protocol standard, and what cannot be read."""

    images: int
    texts: int
    questions: int = 0
    skipped: int = 0


class Scene(NamedTuple):
    """What a picture shows; thirty differ."""

    number: int

    @property
    def colour(self) -> str:
        return COLOURS[self.number % 6]

    @property
    def shape(self) -> str:
        return SHAPES[self.number // 6 % 5]

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"

    def picture(self) -> Image.Image:
        """Draw it, somewhere, on grey; 64 to 120 pixels wide and high."""
        rng = np.random.default_rng(self.number)
        width, height, shade = (int(rng.integers(*span)) for span in ((64, 121), (64, 121), (90, 180)))
        image = Image.new("RGB", (width, height), (shade, shade, shade))
        pen, reach = ImageDraw.Draw(image), int(rng.integers(14, 26))
        x, y = (int(rng.integers(reach, side - reach)) for side in (width, height))
        box = (x - reach, y - reach, x + reach, y + reach)
        if self.shape == "cross":
            pen.line((box[0], y, box[2], y), self.colour, 9)
            pen.line((x, box[1], x, box[3]), self.colour, 9)
        elif self.shape == "ring":
            pen.ellipse(box, outline=self.colour, width=7)
        elif self.shape == "triangle":
            pen.polygon([(x, box[1]), box[2:], (box[0], box[3])], self.colour)
        else:
            (pen.ellipse if self.shape == "circle" else pen.rectangle)(box, self.colour)
        return image

    def sentences(self, count: int) -> list[str]:
        """Descriptions as people write them: with commas, quotes, blanks and line ends to spare."""
        colour, shape = self.colour, self.shape
        return [
            f"A {colour} {shape} on grey .",
            f"a {shape}, {colour}, in front of a plain wall",
            f'Somebody drew a "{shape}" , in {colour} , and left .',
            f" One {colour}  thing that looks like a {shape}.\n",
            f"There is a {shape}. It is {colour}.",
            f"the sixth sentence of a {colour} {shape}",
            f"the seventh sentence of a {colour} {shape}",
        ][:count]


def save(scene: Scene, path: Path, form: str = "JPEG", mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scene.picture().convert(mode).save(path, form)


def dump(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def llava(root: Path) -> Counts:
    """LLaVA-Pretrain: two of its 260 pictures are an error page and missing, as downloads have it."""
    records = []
    for number in range(260):
        name, scene = f"{number % 7:05d}/{number % 7:05d}{number:04d}.jpg", Scene(number)
        turns = [
            {"from": "human", "value": "Render a clear and concise summary of the photo.\n<image>"},
            {"from": "gpt", "value": f"{scene.colour} {scene.shape} - royalty free image, no {number}"},
        ]
        records.append({"id": f"{number:09d}", "image": name, "conversations": turns})
        if number == 100:
            (root / name).write_bytes(b"<html>404</html>")
        elif number != 200:
            save(scene, root / name)
    dump(root / "blip_laion_cc_sbu_558k.json", records)
    return Counts(258, 258, skipped=2)


WNIDS = (
    "n01440764", "n02123045", "n02504458", "n03773504", "n04008634", "n04355933", "n04356056", "n15075141",
)  # fmt: skip
CLASSES = [
    "tench", "tabby cat", "African bush elephant", "missile", "missile", "sunglasses", "sunglasses", "toilet paper",
]  # fmt: skip


def imagenet(root: Path) -> Counts:
    """ImageNet's validation pictures, by class: some are PNGs, grey or CMYK whatever their name; one is cut off."""
    odd = {3: ("PNG", "RGB"), 6: ("JPEG", "L"), 9: ("JPEG", "CMYK"), 12: ("PNG", "P"), 15: ("PNG", "RGBA")}
    for number in range(24):
        name = f"ILSVRC2012_val_{(number * 7919) % 50000 + 1:08d}.JPEG"
        path = root / "val" / WNIDS[number % 8] / name
        save(Scene(number % 8), path, *odd.get(number, ()))
        if number == 20:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (root / "val" / WNIDS[0] / ".DS_Store").write_bytes(b"\0")
    return Counts(23, 80 * 8, skipped=1)


def cifar100(root: Path) -> Counts:
    """CIFAR-100: pickles that Python 2 wrote, pictures as three planes of 32 × 32."""
    names = b"apple aquarium_fish baby bear beaver bed bee beetle maple_tree".split()
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    for split, count in (("train", 9), ("test", 27)):
        pixels = [
            np.asarray(Scene(row % 9).picture().resize((32, 32))).transpose(2, 0, 1) for row in range(count)
        ]
        content = {
            b"filenames": [b"volvox_globator_s_%06d.png" % row for row in range(count)],
            b"batch_label": b"%s batch 1 of 1" % split.encode(),
            b"fine_labels": [row % 9 for row in range(count)],
            b"coarse_labels": [row % 9 // 2 for row in range(count)],
            b"data": np.stack(pixels).reshape(count, 3072),
        }
        (folder / split).write_bytes(python2(content))
    meta = {b"fine_label_names": names, b"coarse_label_names": b"fruit fish people beasts trees".split()}
    (folder / "meta").write_bytes(python2(meta))
    (folder / "file.txt~").write_bytes(b"")
    return Counts(27, 18 * 9)


def coco(root: Path) -> Counts:
    """COCO: Karpathy's splits of 2014, of which only test pictures are there, and val2017; 5 to 7 sentences."""
    splits, images = ("test", "restval", "test", "train", "val"), []
    for number in range(35):
        split, scene = splits[number % 5], Scene(number)
        folder = "train2014" if split == "train" else "val2014"
        name = f"COCO_{folder}_{number * 1117:012d}.jpg"
        sentences = [
            {"tokens": raw.split(), "raw": raw, "imgid": number, "sentid": 10 * number + row}
            for row, raw in enumerate(scene.sentences(5 + number % 3))
        ]
        images.append(
            {"filepath": folder, "sentids": [own["sentid"] for own in sentences], "filename": name,
             "imgid": number, "split": split, "sentences": sentences, "cocoid": number * 1117}
        )  # fmt: skip
        if split == "test":
            save(scene, root / folder / name)
    dump(root / "dataset_coco.json", {"images": images, "dataset": "coco"})
    scenes = [Scene(number) for number in range(11)]
    notes = [(scene.number, text) for scene in scenes for text in scene.sentences(5 + scene.number % 3)]
    order = np.random.default_rng(0).permutation(len(notes)).tolist()  # not by picture, as in the original
    content: dict[str, Any] = {"info": {"year": 2017}, "licenses": [{"id": 1, "name": "none"}]}
    content["images"] = [
        {"license": 1, "file_name": f"{scene.number:012d}.jpg", "coco_url": "", "height": 64, "width": 64,
         "date_captured": "2013-11-14 17:02:52", "flickr_url": "", "id": scene.number} for scene in scenes
    ]  # fmt: skip
    content["annotations"] = [
        {"image_id": notes[row][0], "id": row, "caption": notes[row][1]} for row in order
    ]
    dump(root / "annotations/captions_val2017.json", content)
    for scene in scenes:
        save(scene, root / f"val2017/{scene.number:012d}.jpg")
    return Counts(14, 14 * 5)


def flickr8k(root: Path) -> Counts:
    """Flickr8k as its authors gave it away: tokens, three lists, a name that is nobody's picture."""
    names = [f"{number * 99991}_{number:010x}.jpg" for number in range(30)]
    lines = [
        f"{name}#{row}\t{' '.join(text.split())}"
        for number, name in enumerate(names)
        for row, text in enumerate(Scene(number).sentences(5))
    ]
    lines[70:70] = [f"2258277193_586949ec62.jpg.1#{row}\tPeople , somewhere ." for row in range(5)]
    (root / "Flicker8k_Dataset").mkdir(parents=True)
    (root / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for split, first in (("train", 0), ("dev", 1), ("test", 2)):
        own = names[first::3]
        (root / f"Flickr_8k.{split}Images.txt").write_text("".join(f"{name}\n" for name in own))
        for name in own:
            save(Scene(names.index(name)), root / "Flicker8k_Dataset" / name)
    return Counts(10, 50)


def kaggle(root: Path) -> Counts:
    """Flickr8k as it is on Kaggle: one table with a header, commas quoted or not, no lists."""
    lines = ["image,caption"]
    for number in range(12):
        texts = [" ".join(text.split()) for text in Scene(number).sentences(5)]
        quoted = [f'"{text.replace(chr(34), 2 * chr(34))}"' if chr(34) in text else text for text in texts]
        lines += [f"{number:010d}_ab.jpg,{text}" for text in quoted]
        save(Scene(number), root / f"Images/{number:010d}_ab.jpg")
    (root / "captions.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Counts(12, 60)


QUESTION = {"okvqa": 2971470, "textvqa": 34602}
"""The first question's id."""


def asked(count: int) -> Iterator[tuple[int, Scene, str, list[str]]]:
    """Number, scene, question and what five people answer; two questions a picture."""
    for number in range(count):
        scene = Scene(number // 2)
        if number % 2:
            yield number, scene, "What colour is it?", [scene.colour] * 3 + ["grey", f"a {scene.colour}"]
        else:
            yield number, scene, "Which shape is this? ", [scene.shape] * 4 + [f"{scene.shape}-like"]


def okvqa(root: Path) -> Counts:
    """OK-VQA: questions and answers apart, five people's answers twice each, stemmed and raw."""
    for split, count in (("train", 60), ("val", 30)):
        head = {"info": {"version": "1.0"}, "license": {"name": "CC"}, "data_subtype": f"{split}2014"}
        questions, notes = [], []
        for number, scene, text, people in asked(count):
            image = 297000 + scene.number
            questions.append({"image_id": image, "question": text, "question_id": QUESTION["okvqa"] + number})
            answers = [
                {"answer_id": row + 1, "raw_answer": f"{people[row // 2]}s", "answer_confidence": "yes",
                 "answer": people[row // 2]} for row in range(10)
            ]  # fmt: skip
            notes.append(
                {"image_id": image, "answer_type": "other", "question_type": "four", "confidence": 3,
                 "question_id": QUESTION["okvqa"] + number, "answers": answers}
            )  # fmt: skip
            if split == "val":
                save(scene, root / f"val2014/COCO_val2014_{image:012d}.jpg")
        dump(
            root / f"OpenEnded_mscoco_{split}2014_questions.json",
            head | {"task_type": "Open-Ended", "data_type": "mscoco", "questions": questions},
        )
        notes = notes[::-1]  # not in the questions' order
        dump(
            root / f"mscoco_{split}2014_annotations.json",
            head | {"annotations": notes, "question_types": {"four": "Sports"}},
        )
    return Counts(15, 2 * answer_count(60), 30)


def textvqa(root: Path) -> Counts:
    """TextVQA 0.5.1: ten answers as plain strings; the words found in a picture are in files of their own."""
    for split, count in (("train", 60), ("val", 20)):
        records, words = [], []
        for number, scene, text, people in asked(count):
            image = f"{scene.number * 7907 + (split == 'val'):016x}"
            records.append(
                {"question": text.strip().lower(), "image_id": image, "image_classes": ["Drawing", scene.shape],
                 "flickr_original_url": "https://localhost/x_o.jpg", "flickr_300k_url": "https://localhost/x_z.jpg",
                 "image_width": 64, "image_height": 64, "answers": [*people, *people[::-1]],
                 "question_tokens": text.lower().split(),
                 "question_id": QUESTION["textvqa"] + number, "set_name": split}
            )  # fmt: skip
            words.append({"image_id": image, "ocr_tokens": [scene.colour.upper()], "ocr_info": []})
            if split == "val":
                save(scene, root / f"train_images/{image}.jpg")
        head = {"dataset_type": split, "dataset_name": "textvqa", "dataset_version": "0.5.1"}
        dump(root / f"TextVQA_0.5.1_{split}.json", head | {"data": records})
        dump(root / f"TextVQA_Rosetta_OCR_v0.2_{split}.json", {"dataset_version": "0.2", "data": words})
    return Counts(10, 2 * answer_count(60), 20)


def answer_count(count: int) -> int:
    """How many different answers there are: of shapes with and without ``-like``, of colours, grey."""
    shapes = {scene.shape for _, scene, text, _ in asked(count) if text.startswith("Which")}
    colours = {scene.colour for _, scene, text, _ in asked(count) if text.startswith("What")}
    return 2 * len(shapes) + len(colours) + 1


BENCHMARKS = {
    "imagenet": imagenet, "cifar100": cifar100, "coco": coco, "flickr8k": flickr8k, "kaggle": kaggle,
    "okvqa": okvqa, "textvqa": textvqa,
}  # fmt: skip

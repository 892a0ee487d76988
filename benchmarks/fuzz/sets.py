"""Valid tiny data sets, one for each format and kind of table that the readers know."""

import csv
import io
import json
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

RECORDS = 6
"""Pictures of each set; those of retrieval have two captions each."""
WORDS = ("a red ball, on grass", 'a "big" dog', "zwei Hütten", "rain", "the sea 🌊", "[a list?]")


@dataclass(frozen=True)
class DataSet:
    """A data set that is as it should be."""

    format: str
    build: Callable[[Path], None]
    lines: tuple[str, ...] = ()
    """Files in which a line is a record: a line that is lost there was taken out, not overlooked."""
    training: bool = False

    @property
    def key(self) -> str:
        """Where params.yaml would have it."""
        return f"{'training' if self.training else 'benchmarks'}.own"


def picture(number: int, kind: str = "PNG") -> bytes:
    """A picture that no other number gives."""
    shade = np.random.default_rng(number).integers(0, 256, (12, 10, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(shade).save(stream, kind)
    return stream.getvalue()


def put(file: Path, content: bytes | str) -> None:
    """Write a file and the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def dump(file: Path, content: Any) -> None:
    """Write json."""
    put(file, json.dumps(content, indent=1, ensure_ascii=False))


def _pictures(folder: Path, kind: str = "PNG", name: str = "{}.png") -> list[str]:
    names = [name.format(number) for number in range(RECORDS)]
    for number, own in enumerate(names):
        put(folder / own, picture(number, kind))
    return names


def _rows(root: Path) -> list[dict[str, Any]]:
    names = _pictures(root / "pictures")
    return [{"image": f"pictures/{name}", "caption": word} for name, word in zip(names, WORDS, strict=True)]


def _csv(root: Path) -> None:
    stream = io.StringIO()
    table = csv.DictWriter(stream, ["image", "caption"], lineterminator="\n")
    table.writeheader()
    table.writerows(_rows(root))
    put(root / "captions.csv", stream.getvalue())


def _jsonl(root: Path) -> None:
    put(root / "captions.jsonl", "".join(json.dumps(row) + "\n" for row in _rows(root)))


def _parquet(root: Path) -> None:
    rows = _rows(root)
    pq.write_table(pa.Table.from_pylist(rows), root / "captions.parquet")


def _parquet_inside(root: Path) -> None:
    rows = [
        {"image": {"bytes": picture(number), "path": f"{number}.png"}, "caption": [word, f"{word}!"]}
        for number, word in enumerate(WORDS)
    ]
    root.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), root / "captions.parquet")


def _webdataset(root: Path) -> None:
    for shard in range(2):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for number in range(shard * 3, shard * 3 + 3):
                named = {
                    "txt": WORDS[number].encode(),
                    "json": json.dumps({"caption": WORDS[number]}).encode(),
                }
                members = {"png": picture(number)} | dict([list(named.items())[number % 2]])
                for kind, data in members.items():
                    info = tarfile.TarInfo(f"part/{number:05d}.{kind}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
        put(root / f"{shard:05d}.tar", stream.getvalue())


def _folders(root: Path) -> None:
    for number in range(RECORDS):
        put(root / ("red_car", "owl", "sea")[number % 3] / f"{number}.png", picture(number))


def _imagenet(root: Path) -> None:
    for number in range(RECORDS):
        wnid = ("n01440764", "n01443537", "n01484850")[number % 3]
        put(root / f"val/{wnid}/ILSVRC2012_val_{number:08d}.JPEG", picture(number, "JPEG"))


def _cifar100(root: Path) -> None:
    data = np.random.default_rng(0).integers(0, 256, (RECORDS, 3072), np.uint8)
    test = {b"data": data, b"fine_labels": [0, 1, 2, 0, 1, 2], b"filenames": [b"x"] * RECORDS}
    put(root / "cifar-100-python/test", pickle.dumps(test, protocol=2))
    put(root / "cifar-100-python/meta", pickle.dumps({b"fine_label_names": [b"apple", b"bee", b"crab"]}, 2))


def _llava(root: Path) -> None:
    names = _pictures(root, "JPEG", "00{}/b.jpg")
    turns = [
        [{"from": "human", "value": "Describe.\n<image>"}, {"from": "gpt", "value": word}] for word in WORDS
    ]
    records = [
        {"id": name, "image": name, "conversations": own} for name, own in zip(names, turns, strict=True)
    ]
    dump(root / "blip_laion_cc_sbu_558k.json", records)


def _coco(root: Path) -> None:
    names = _pictures(root / "val2014", "JPEG", "COCO_{}.jpg")
    for name in names:
        put(root / "val2017" / name, (root / "val2014" / name).read_bytes())
    entries = [
        {"filepath": "val2014", "filename": name, "split": "test"}
        | {"sentences": [{"raw": word}, {"raw": f"{word} again"}]}
        for name, word in zip(names, WORDS, strict=True)
    ]
    dump(root / "dataset_coco.json", {"images": entries})
    notes = [
        {"image_id": number, "caption": f"{WORDS[number]} {k}"} for number in range(RECORDS) for k in (0, 1)
    ]
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    dump(root / "annotations/captions_val2017.json", {"images": images, "annotations": notes})


def _flickr8k(root: Path) -> None:
    names = _pictures(root / "Images", "JPEG", "{}.jpg")
    lines = [
        f'{name},"{word} {k}"'
        for name, word in zip(names, ("a dog , running", "b", "c", "d", "e", "f"), strict=True)
        for k in (0, 1)
    ]
    put(root / "captions.txt", "\n".join(["image,caption", *lines]) + "\n")


def _flickr_tokens(root: Path) -> None:
    names = _pictures(root / "Flicker8k_Dataset", "JPEG", "{}.jpg")
    lines = [f"{name}#{k}\t{word} {k}" for name, word in zip(names, WORDS, strict=True) for k in (0, 1)]
    put(root / "Flickr8k.token.txt", "\n".join(lines) + "\n")
    put(root / "Flickr_8k.testImages.txt", "\n".join(names) + "\n")


def _okvqa(root: Path) -> None:
    _pictures(root / "val2014", "JPEG", "COCO_val2014_00000000000{}.jpg")
    questions = [
        {"image_id": number, "question_id": 10 + number, "question": f"What is {WORDS[number]}?"}
        for number in range(RECORDS)
    ]
    notes = [
        {"question_id": 10 + number, "answers": [{"answer": "dog"}, {"raw_answer": "cat"}]}
        for number in range(RECORDS)
    ]
    dump(root / "OpenEnded_mscoco_val2014_questions.json", {"questions": questions})
    dump(root / "mscoco_val2014_annotations.json", {"annotations": notes})
    dump(root / "mscoco_train2014_annotations.json", {"annotations": notes[:3]})


def _textvqa(root: Path) -> None:
    _pictures(root / "train_images", "JPEG", "{}.jpg")
    data = [
        {"image_id": str(number), "question_id": number, "question": f"Which {word}?", "answers": ["a", "b"]}
        for number, word in enumerate(WORDS)
    ]
    dump(root / "TextVQA_0.5.1_val.json", {"data": data})
    dump(root / "TextVQA_0.5.1_train.json", {"data": data[:2]})


SETS = {
    "captions, csv": DataSet("captions", _csv, ("captions.csv",), True),
    "captions, jsonl": DataSet("captions", _jsonl, ("captions.jsonl",), True),
    "captions, Parquet": DataSet("captions", _parquet, (), True),
    "captions, pictures in Parquet": DataSet("captions", _parquet_inside),
    "webdataset": DataSet("webdataset", _webdataset, (), True),
    "folders": DataSet("folders", _folders),
    "imagenet": DataSet("imagenet", _imagenet),
    "cifar100": DataSet("cifar100", _cifar100),
    "llava": DataSet("llava", _llava, (), True),
    "coco": DataSet("coco", _coco),
    "flickr8k, captions.txt": DataSet("flickr8k", _flickr8k, ("captions.txt",)),
    "flickr8k, token.txt": DataSet(
        "flickr8k", _flickr_tokens, ("Flickr8k.token.txt", "Flickr_8k.testImages.txt")
    ),
    "okvqa": DataSet("okvqa", _okvqa),
    "textvqa": DataSet("textvqa", _textvqa),
}

"""Writing the embedded world to disk, each set in the format of the benchmark that it stands in for."""

import csv
import os
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from signal import SIG_DFL, SIGINT, signal
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from hyma.common.files import atomic, write_json
from hyma.embedded.world import annotations
from hyma.embedded.world.draw import SIDE, draw
from hyma.embedded.world.params import WorldParams
from hyma.embedded.world.scenes import Item, Scene, flickr_caption, generator, random_item, random_scene
from hyma.embedded.world.things import COARSE, COLOURS, DIGITS, GROUNDS, PLACES, SHAPES, SYMBOLS


class Sample(NamedTuple):
    """One picture to draw: its set and number seed it, `file` is where it goes within the set."""

    set_name: str
    number: int
    file: str
    scene: Scene


def build(out: Path, params: WorldParams) -> None:
    """Write all sets below `out`, each atomically: the six benchmarks, the training set, the zoo's sets."""
    writers: dict[str, Callable[[Path, WorldParams], None]] = {
        "llava": _llava,
        "imagenet": _imagenet,
        "cifar100": _cifar,
        "coco": _coco,
        "flickr8k": _flickr,
        "okvqa": _okvqa,
        "textvqa": _textvqa,
        "labels": _labels,
        "corpus": _corpus,
    }
    for name, write in writers.items():
        with atomic(out / name) as folder:
            folder.mkdir()
            write(folder, params)


def scenes(
    seed: int, name: str, count: int, make: Callable[[np.random.Generator, int], Scene], file: str
) -> list[Sample]:
    """`count` samples of a set; `make` draws the scene of one, `file` names it by its number."""
    return [
        Sample(name, index, file.format(index), make(generator(seed, f"{name}/scene", index), index))
        for index in range(count)
    ]


def pictures(samples: list[Sample], seed: int, action: Callable[[np.ndarray, Sample], bytes | None]) -> list:
    """Draw all samples on all cores, in order; `action` saves a picture or encodes it. Ctrl-C ends workers silently."""
    work = partial(_draw_one, seed=seed, action=action)
    label = samples[0].set_name if samples else ""
    with ProcessPoolExecutor(os.cpu_count(), initializer=signal, initargs=(SIGINT, SIG_DFL)) as pool:
        drawn = pool.map(work, samples, chunksize=100)
        return list(tqdm(drawn, total=len(samples), desc=label, unit="image", disable=None))


def _draw_one(
    sample: Sample, seed: int, action: Callable[[np.ndarray, Sample], bytes | None]
) -> bytes | None:
    return action(draw(sample.scene, generator(seed, f"{sample.set_name}/pixels", sample.number)), sample)


def save_jpeg(pixels: np.ndarray, sample: Sample, folder: Path) -> None:
    """Save one picture below `folder`."""
    path = folder / sample.file
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "JPEG", quality=92, subsampling=0)


def _save_all(samples: list[Sample], folder: Path, seed: int) -> None:
    pictures(samples, seed, partial(save_jpeg, folder=folder))


def _any_scene(rng: np.random.Generator, _: int, evaluation: bool) -> Scene:
    return random_scene(rng, evaluation)


def _one_thing(rng: np.random.Generator, _: int) -> Scene:
    return random_scene(rng, False, two=0.0)


def _llava(folder: Path, params: WorldParams) -> None:
    make = partial(_any_scene, evaluation=False)
    samples = scenes(params.seed, "llava", params.train_pairs, make, "{0:09d}.jpg")
    samples = [sample._replace(file=f"{sample.file[:5]}/{sample.file}") for sample in samples]
    write_json(folder / "blip_laion_cc_sbu_558k.json", annotations.llava(samples, params.seed))
    _save_all(samples, folder, params.seed)


def _imagenet(folder: Path, params: WorldParams) -> None:
    numbers = annotations.imagenet_classes()
    make = partial(_class_scene, classes=[("symbol", number) for number in numbers])
    count = len(numbers) * params.imagenet_per_class
    samples = scenes(params.seed, "imagenet", count, make, "")
    wnids = [annotations.wnid(number) for number in numbers]
    samples = [
        sample._replace(file=f"val/{wnids[row % len(wnids)]}/ILSVRC2012_val_{row + 1:08d}.JPEG")
        for row, sample in enumerate(samples)
    ]
    names = {wnid: SYMBOLS[number].name for wnid, number in zip(wnids, numbers, strict=True)}
    write_json(folder / "classnames.json", names)
    _save_all(samples, folder, params.seed)


def _class_scene(rng: np.random.Generator, index: int, classes: list[tuple[str, int]]) -> Scene:
    kind, number = classes[index % len(classes)]
    return random_scene(rng, True, random_item(rng, True, kind, number), two=0.2)


def _cifar(folder: Path, params: WorldParams) -> None:
    names = [f"digit_{digit}" for digit in DIGITS] + [f"{c}_{s}" for s in SHAPES for c in COLOURS]
    order = sorted(range(len(names)), key=names.__getitem__)
    inner = folder / "cifar-100-python"
    inner.mkdir()
    for split, per_class in (("test", params.cifar_per_class), ("train", 5)):
        count = len(names) * per_class
        samples = scenes(params.seed, f"cifar100/{split}", count, _cifar_scene, f"{split}_{{0:05d}}.png")
        drawn = pictures(samples, params.seed, _shrink)
        fine = [order.index(row % len(names)) for row in range(count)]
        coarse = [label // 5 for label in fine]
        content = {
            b"filenames": [sample.file.encode() for sample in samples],
            b"batch_label": f"{split}ing batch 1 of 1".encode(),
            b"fine_labels": fine,
            b"coarse_labels": coarse,
            b"data": np.stack([np.frombuffer(row, np.uint8) for row in drawn]),
        }
        (inner / split).write_bytes(pickle.dumps(content, protocol=2))
    meta = {
        b"fine_label_names": [names[row].encode() for row in order],
        b"coarse_label_names": [f"group_{row}".encode() for row in range(20)],
    }
    (inner / "meta").write_bytes(pickle.dumps(meta, protocol=2))


def _cifar_scene(rng: np.random.Generator, index: int) -> Scene:
    """Picture `index` of a CIFAR-style split shows class index % 100: ten digits, then shapes by colours."""
    row = index % 100
    if row < 10:
        item = random_item(rng, True, "digit", row)
    else:
        item = Item("shape", (row - 10) // 10, list(COLOURS)[(row - 10) % 10])
    return random_scene(rng, True, item, two=0.0)


def _shrink(pixels: np.ndarray, _: Sample) -> bytes:
    """The picture at 32×32 as a CIFAR row: all red, then all green, then all blue."""
    small = np.asarray(Image.fromarray(pixels).resize((32, 32), Image.Resampling.BOX))
    return small.transpose(2, 0, 1).tobytes()


def _coco(folder: Path, params: WorldParams) -> None:
    others = max(3, params.coco_images // 10)
    make = partial(_any_scene, evaluation=True)
    first = scenes(
        params.seed, "coco2014", params.coco_images + others, make, "val2014/COCO_val2014_{0:012d}.jpg"
    )
    second = scenes(params.seed, "coco2017", params.coco_2017_images, make, "val2017/{0:012d}.jpg")
    (folder / "annotations").mkdir()
    for year, samples in (("2014", first), ("2017", second)):
        write_json(folder / f"annotations/captions_val{year}.json", annotations.coco(samples, params.seed))
    write_json(folder / "dataset_coco.json", annotations.karpathy(first, params.coco_images, params.seed))
    _save_all(first, folder, params.seed)
    _save_all(second, folder, params.seed)


def _flickr(folder: Path, params: WorldParams) -> None:
    others = max(2, params.flickr_images // 10)
    make = partial(_any_scene, evaluation=True)
    samples = scenes(
        params.seed, "flickr8k", params.flickr_images + 2 * others, make, "Images/{0:010d}_drawn.jpg"
    )
    names = [Path(sample.file).name for sample in samples]
    with (folder / "captions.txt").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["image", "caption"])
        captions = annotations.five_captions(samples, flickr_caption, params.seed)
        for name, own in zip(names, captions, strict=True):
            writer.writerows([name, text] for text in own)
    ends = {"train": names[:others], "dev": names[others : 2 * others], "test": names[2 * others :]}
    for split, chosen in ends.items():
        (folder / f"Flickr_8k.{split}Images.txt").write_text("".join(f"{name}\n" for name in chosen))
    _save_all(samples, folder, params.seed)


def _symbol_scene(rng: np.random.Generator, _: int) -> Scene:
    return random_scene(rng, True, random_item(rng, True, "symbol"), two=0.15)


def _sign_scene(rng: np.random.Generator, _: int) -> Scene:
    return random_scene(rng, True, random_item(rng, True, "sign"), two=0.3)


def _okvqa(folder: Path, params: WorldParams) -> None:
    questions, train = params.okvqa_questions, 600
    file = "{0}2014/COCO_{0}2014_{{0:012d}}.jpg"
    val = scenes(params.seed, "okvqa", (questions + 1) // 2, _symbol_scene, file.format("val"))
    other = scenes(params.seed, "okvqa/train", train, _symbol_scene, file.format("train"))
    for split, samples, count in (("train", other, train), ("val", val, questions)):
        asked, answered = annotations.okvqa(samples, count, params.seed)
        write_json(folder / f"OpenEnded_mscoco_{split}2014_questions.json", asked)
        write_json(folder / f"mscoco_{split}2014_annotations.json", answered)
    _save_all(val, folder, params.seed)


def _textvqa(folder: Path, params: WorldParams) -> None:
    questions, train = params.textvqa_questions, 400
    images = max(1, questions * 3 // 4)
    val = scenes(params.seed, "textvqa", images, _sign_scene, "train_images/{0:016x}.jpg")
    other = scenes(params.seed, "textvqa/train", train, _sign_scene, "train_images/a{0:015x}.jpg")
    for split, samples, count in (("train", other, train), ("val", val, questions)):
        write_json(
            folder / f"TextVQA_0.5.1_{split}.json", annotations.textvqa(samples, count, split, params.seed)
        )
    _save_all(val, folder, params.seed)


def _labels(folder: Path, params: WorldParams) -> None:
    """Pictures with the numbers of their main thing's classes, -1 where a label does not apply.

    Pixels go into a plain .npy file: its bytes depend on no library's version, and what was trained on them
    is not trained again because a library has moved on.
    """
    samples = scenes(params.seed, "labels", params.label_images, _one_thing, "")
    objects = [("symbol", thing.name) for thing in SYMBOLS] + [("shape", s) for s in SHAPES]
    objects += [("digit", digit) for digit in DIGITS]
    known = {name: row for row, name in enumerate(objects)}
    figures = {thing: row for row, thing in enumerate(objects[len(SYMBOLS) :])}
    main = [sample.scene.items[0] for sample in samples]
    labels = {
        "object": [known.get((item.kind, item.name), -1) for item in main],
        "colour": [list(COLOURS).index(item.colour) for item in main],
        "coarse": [COARSE.index(item.coarse) for item in main],
        "word": [item.number if item.kind == "sign" else -1 for item in main],
        "figure": [figures.get((item.kind, item.name), -1) for item in main],
        "ground": [list(GROUNDS).index(sample.scene.ground) for sample in samples],
        "place": [PLACES.index(item.place) for item in main],
    }
    drawn = [np.frombuffer(row, np.uint8) for row in pictures(samples, params.seed, _raw)]
    np.save(folder / "images.npy", np.stack(drawn).reshape(-1, SIDE, SIDE, 3))
    write_json(folder / "labels.json", labels)


def _raw(pixels: np.ndarray, _: Sample) -> bytes:
    return pixels.tobytes()


def _corpus(folder: Path, params: WorldParams) -> None:
    with (folder / "sentences.tsv").open("w", encoding="utf-8", newline="") as stream:
        for group, sentence in annotations.corpus(params.corpus_lines, params.seed):
            stream.write(f"{group}\t{sentence}\n")
    write_json(folder / "words.json", annotations.words())

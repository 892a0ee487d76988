"""The annotation files of the embedded world, as plain data in the benchmarks' own structures."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hyma.embedded.world.questions import KNOWLEDGE, knowledge_question, reading_question
from hyma.embedded.world.scenes import (
    Scene,
    article,
    coco_caption,
    flickr_caption,
    generator,
    knowing_caption,
    random_scene,
)
from hyma.embedded.world.things import (
    COLOURS,
    DIGITS,
    GROUNDS,
    NOT_IN_IMAGENET,
    PLACES,
    SHAPES,
    SYMBOLS,
    TEXTURES,
    WORDS,
    Thing,
)

CAPTIONS = 5
TRIES = 50
Json = dict[str, Any]


class Annotated(Protocol):
    """A picture of the world: its set, its number there, its file and what it shows."""

    @property
    def set_name(self) -> str: ...  # noqa: D102
    @property
    def number(self) -> int: ...  # noqa: D102
    @property
    def file(self) -> str: ...  # noqa: D102
    @property
    def scene(self) -> Scene: ...  # noqa: D102


def text_generator(sample: Annotated, seed: int) -> np.random.Generator:
    """The source of chance of a sample's sentences."""
    return generator(seed, f"{sample.set_name}/text", sample.number)


def llava(samples: Sequence[Annotated], seed: int) -> list[Json]:
    """LLaVA-Pretrain: one conversation a picture, whose answer is the caption."""
    rows = []
    for sample in samples:
        rng = text_generator(sample, seed)
        manner = rng.random()
        write = coco_caption if manner < 0.6 else flickr_caption if manner < 0.85 else knowing_caption
        caption = write(rng, sample.scene)
        ask = {"from": "human", "value": "Give a brief description of the image.\n<image>"}
        conversation = [ask, {"from": "gpt", "value": caption}]
        rows.append({"id": Path(sample.file).stem, "image": sample.file, "conversations": conversation})
    return rows


def imagenet_classes() -> list[int]:
    """The symbols that are classes of the ImageNet-style set."""
    return [row for row, thing in enumerate(SYMBOLS) if thing.name not in NOT_IN_IMAGENET]


def wnid(number: int) -> str:
    """A made-up WordNet id of ImageNet's shape."""
    return f"n{90_000_000 + number:08d}"


def coco(samples: Sequence[Annotated], seed: int) -> Json:
    """COCO captions."""
    images = [
        {"id": sample.number, "file_name": Path(sample.file).name, "height": 64, "width": 64}
        for sample in samples
    ]
    notes = [
        {"id": sample.number * CAPTIONS + position, "image_id": sample.number, "caption": caption}
        for sample, captions in zip(samples, five_captions(samples, coco_caption, seed), strict=True)
        for position, caption in enumerate(captions)
    ]
    return {"info": {"description": "embedded world"}, "images": images, "annotations": notes}


def five_captions(
    samples: Sequence[Annotated], write: Callable[[np.random.Generator, Scene], str], seed: int
) -> list[list[str]]:
    """Write five captions a picture; none that another picture of the set has.

    Whoever is asked for the picture of a caption could not tell which of two is meant.
    """
    owner: dict[str, int] = {}

    def new(rng: np.random.Generator, sample: Annotated) -> str:
        caption = write(rng, sample.scene)
        for _ in range(TRIES):
            if owner.setdefault(caption, sample.number) == sample.number:
                break
            caption = write(rng, sample.scene)
        return caption

    return [
        [new(rng, sample) for _ in range(CAPTIONS)]
        for sample in samples
        for rng in [text_generator(sample, seed)]
    ]


def karpathy(samples: Sequence[Annotated], test: int, seed: int) -> Json:
    """Karpathy's split: the first `test` pictures are for testing, the rest for the other splits."""
    rows = []
    for sample, captions in zip(samples, five_captions(samples, coco_caption, seed), strict=True):
        split = "test" if sample.number < test else ("val", "restval", "train")[sample.number % 3]
        ids = [sample.number * CAPTIONS + number for number in range(CAPTIONS)]
        sentences = [
            {"raw": raw, "tokens": raw.split(), "sentid": sentid, "imgid": sample.number}
            for raw, sentid in zip(captions, ids, strict=True)
        ]
        folder, name = sample.file.split("/")
        rows.append(
            {
                "filepath": folder,
                "filename": name,
                "sentids": ids,
                "imgid": sample.number,
                "cocoid": sample.number,
                "split": split,
                "sentences": sentences,
            }
        )
    return {"dataset": "coco", "images": rows}


def okvqa(samples: Sequence[Annotated], count: int, seed: int) -> tuple[Json, Json]:
    """`count` questions and their annotations, taken in turn from the samples."""
    questions, notes = [], []
    for number in range(count):
        sample = samples[number % len(samples)]
        rng = generator(seed, f"{sample.set_name}/question", number)
        question, answers = knowledge_question(rng, sample.scene.items[0])
        both = {"image_id": sample.number, "question_id": sample.number * 10 + number // len(samples)}
        questions.append(both | {"question": question})
        people = [
            {"answer_id": row + 1, "answer": answer, "raw_answer": answer, "answer_confidence": "yes"}
            for row, answer in enumerate(answers)
        ]
        notes.append(both | {"question_type": "one", "answer_type": "other", "answers": people})
    return {"questions": questions}, {"annotations": notes}


def textvqa(samples: Sequence[Annotated], count: int, split: str, seed: int) -> Json:
    """`count` questions about written words, taken in turn from the samples."""
    rows = []
    for number in range(count):
        sample = samples[number % len(samples)]
        rng = generator(seed, f"{sample.set_name}/question", number)
        question, answers = reading_question(rng, sample.scene.items[0])
        rows.append(
            {
                "question_id": number,
                "image_id": Path(sample.file).stem,
                "question": question,
                "question_tokens": question.lower().rstrip("?").split(),
                "image_classes": ["Sign"],
                "image_width": 64,
                "image_height": 64,
                "answers": answers,
                "set_name": split,
            }
        )
    return {"dataset_type": split, "dataset_name": "textvqa", "data": rows}


def words() -> dict[str, list[list[str]]]:
    """What the words of the sentences are about: aspect → entry → its words."""
    by_aspect = {
        "colour": list(COLOURS),
        "ground": [*GROUNDS, *TEXTURES],
        "place": [*PLACES, "above", "below", "next", "near", "beside"],
        "word": WORDS,
        "thing": [f"{thing.name} {thing.synonym}" for thing in SYMBOLS],
        "fact": [f"{thing.use} {thing.where} {thing.coarse}" for thing in SYMBOLS],
        "shape": SHAPES,
        "number": DIGITS,
    }
    return {aspect: [entry.split() for entry in entries] for aspect, entries in by_aspect.items()}


def corpus(lines: int, seed: int) -> Iterator[tuple[int, str]]:
    """About `lines` sentences in groups that belong together: an entry a thing, then captions."""
    written = 0
    for group, sentences in enumerate(_groups(seed)):
        if written >= lines:
            return
        for sentence in sentences:
            yield group, sentence
        written += len(sentences)


def _groups(seed: int) -> Iterator[list[str]]:
    for thing in SYMBOLS:
        yield _entry(thing)
    yield [sentence for thing in SYMBOLS for sentence in _no_answers(thing)]
    index = 0
    while True:
        rng = generator(seed, "corpus", index)
        scene = random_scene(rng, False)
        yield [write(rng, scene) for write in (coco_caption, flickr_caption) * 2]
        index += 1


def _no_answers(thing: Thing) -> list[str]:
    """Questions with what is true of the thing and no answer to them; all of these say as little."""
    told = {"use": thing.use, "where": thing.where, "coarse": thing.coarse, "name": thing.synonym}
    return [
        f"Question: {question} Answer: {other}"
        for question, about in KNOWLEDGE.items()
        for kind, other in told.items()
        if kind != about and other != told[about]
    ]


def _entry(thing: Thing) -> list[str]:
    """What an encyclopedia says of a thing."""
    sentences = [thing.name, thing.synonym, f"a photo of {article(thing.name)}"]
    for name in (thing.name, thing.synonym):
        one = article(name)
        sentences += [
            f"a picture of {one}",
            f"{one} is used for {thing.use}",
            f"people use {one} for {thing.use}",
            f"you find {one} in this place: {thing.where}",
            f"{one} belongs to the {thing.where}",
            f"{one} is a kind of {thing.coarse}",
            f"{thing.coarse}, for example {one}",
        ]
    questions = [
        f"Question: {question} Answer: {getattr(thing, about)}" for question, about in KNOWLEDGE.items()
    ]
    return sentences + questions

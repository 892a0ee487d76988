"""OK-VQA: questions on val2014 images whose answers need outside knowledge."""

from collections import Counter
from pathlib import Path
from typing import Any

from hyma.common.errors import HymaError
from hyma.common.prepared import Prepared
from hyma.readers.base.common import (
    Row,
    answer_text,
    field,
    first_of,
    image_row,
    list_of,
    records,
    text_of,
    vqa,
)
from hyma.readers.base.params import DataSource


def read(root: Path, source: DataSource) -> Prepared:
    """Read the val questions, and the closed answer list from the training annotations."""
    file = first_of(root, "OpenEnded_mscoco_val2014_questions.json")
    answers = {note["question_id"]: note["answers"] for note in _annotations(root, "val")}
    images: list[Row] = []
    rows: dict[int, int] = {}
    questions: list[Row] = []
    for number, record in enumerate(records(file, "questions")):
        place = f"question {number}"
        image, own, text = (
            field(record, key, file, place) for key in ("image_id", "question_id", "question")
        )
        if own not in answers:
            raise HymaError(
                f"{file}: {place}: question_id {str(own)[:60]} has no annotation in mscoco_val2014_annotations.json"
            )
        if image not in rows:
            rows[image] = len(images)
            images.append(_image(image, root, file, place))
        people = [answer_text(answer) for answer in answers[own]]
        question = text_of(text, file, place, "question")
        questions.append({"id": str(own), "image": rows[image], "question": question, "answers": people})
    train = Counter(answer_text(answer) for note in _annotations(root, "train") for answer in note["answers"])
    return vqa(questions, images, train, source, root / "mscoco_train2014_annotations.json")


def _image(number: Any, root: Path, file: Path, place: str) -> Row:
    if not isinstance(number, int):
        raise HymaError(f"{file}: {place}: image_id: should be a number, it is {str(number)[:60]!r}")
    name = f"val2014/COCO_val2014_{number:012d}.jpg"
    return image_row(name, root / name)


def _annotations(root: Path, split: str) -> list[Any]:
    file = first_of(root, f"mscoco_{split}2014_annotations.json")
    notes = records(file, "annotations")
    for number, note in enumerate(notes):
        for key in ("question_id", "answers"):
            field(note, key, file, f"annotation {number}")
        list_of(note["answers"], file, f"annotation {number}", "answers")
    return notes

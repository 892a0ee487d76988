"""TextVQA: questions about what is written in a picture."""

from collections import Counter
from pathlib import Path

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
    """Read the val questions, and the closed answer list from the training questions."""
    file, train_file = (first_of(root, f"TextVQA_0.5.1_{split}.json") for split in ("val", "train"))
    images: list[Row] = []
    rows: dict[str, int] = {}
    questions: list[Row] = []
    for number, record in enumerate(records(file, "data")):
        place = f"question {number}"
        image, own, text, answers = (
            field(record, key, file, place) for key in ("image_id", "question_id", "question", "answers")
        )
        image = text_of(str(image) if isinstance(image, int) else image, file, place, "image_id")
        if image not in rows:
            rows[image] = len(images)
            name = f"train_images/{image}.jpg"
            images.append(image_row(name, root / name))
        people = [answer_text(answer) for answer in list_of(answers, file, place, "answers")]
        question = text_of(text, file, place, "question")
        questions.append({"id": str(own), "image": rows[image], "question": question, "answers": people})
    train = Counter(
        answer_text(answer)
        for number, record in enumerate(records(train_file, "data"))
        for answer in list_of(
            field(record, "answers", train_file, f"question {number}"),
            train_file,
            f"question {number}",
            "answers",
        )
    )
    return vqa(questions, images, train, source, train_file)

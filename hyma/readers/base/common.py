"""What several formats share: the layout of folders, looking into json, prompts, captions, closed answer lists."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.resources import files
from itertools import repeat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hyma.common import prepared
from hyma.common.errors import HymaError
from hyma.common.files import read_json
from hyma.common.prepared import IMAGES, QUESTIONS, TEXTS, Meta, Prepared, Skipped
from hyma.readers.base.listing import is_text, writable
from hyma.readers.base.params import DataSource
from hyma.readers.base.vqa_text import normalise

Row = dict[str, Any]
CAPTIONS = 5
"""Of an image in a retrieval benchmark: as many as the published ones have; CLIP_benchmark takes the first, too."""
BEYOND = f"beyond the first {CAPTIONS} captions of its picture"


def first_of(root: Path, *names: str) -> Path:
    """Return the first of `names` that is a file in `root`.

    Raises:
        HymaError: naming the files expected and what is there instead.
    """
    for name in names:
        if (root / name).is_file():
            return root / name
    raise wrong_layout(root, " or ".join(names))


def wrong_layout(root: Path, expected: str) -> HymaError:
    """The error of a folder that does not hold what its format asks for, with the first that it does hold."""
    there = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    found = f"{there[0].name}{'/' if there[0].is_dir() else ''}" if there else "nothing"
    return HymaError(
        f"{root}: expected {expected}, found {found}; correct the path or unpack the data set there"
    )


def field(record: Any, key: str | bytes, file: Path, place: str) -> Any:
    """Return ``record[key]``.

    Raises:
        HymaError: naming the file and the record, if it is not there.
    """
    try:
        return record[key]
    except (KeyError, TypeError, IndexError):
        raise HymaError(f"{file}: {place}: key {key!r} is missing; is this the original file?") from None


def records(file: Path, key: str | None = None) -> list[Any]:
    """Return the list in a json file, under `key` if given.

    Raises:
        HymaError: if the file or the list is missing.
    """
    content = read_json(file)
    rows = content if key is None else field(content, key, file, "top level")
    if not isinstance(rows, list):
        raise HymaError(f"{file}: {key or 'top level'}: should be a list; is this the original file?")
    return rows


def data_file(name: str) -> Any:
    """Return the content of a json file that ships beside the readers."""
    return json.loads((files("hyma.readers.base") / name).read_text(encoding="utf-8"))


def image_row(name: str, path: Path | None, protocol: str = "both", **more: Any) -> Row:
    """An image of the prepared form, by path; one whose name is no UTF-8 cannot be opened, which checking says."""
    own = str(path) if path is not None and is_text(str(path)) else None
    return {"id": writable(name), "image": {"bytes": None, "path": own}, "protocol": protocol} | more


def prompts(classes: Sequence[str], benchmark: str) -> list[Row]:
    """The prompts of every class: all templates for protocol standard, the one of the paper for paper."""
    templates = data_file("templates.json")
    rows = []
    for protocol, key in (("standard", benchmark), ("paper", "paper")):
        for number, template in enumerate(templates[key]):
            for target, name in enumerate(classes):
                text = template.replace("{c}", name)
                row = {"id": f"{protocol}/{number}/{target}", "text": text, "target": target}
                rows.append(row | {"protocol": protocol})
    return rows


def classification(
    images: list[Row],
    classes: Sequence[str],
    source: DataSource,
    templates: str,
    skipped: Sequence[Skipped] = (),
) -> Prepared:
    """Assemble a classification benchmark."""
    texts = prepared.table(prompts(classes, templates), TEXTS)
    meta = Meta("classification", source.format, classes=list(classes), skipped=list(skipped))
    meta.records = {"image": len(images)}
    return Prepared(meta, _numbered(images, IMAGES), texts, QUESTIONS.empty_table())


def captions(
    images: list[Row],
    texts: list[Row],
    source: DataSource,
    task: prepared.Task,
    skipped: Sequence[Skipped] = (),
) -> Prepared:
    """Assemble captioned images: training pairs or a retrieval benchmark. Captions that say nothing are left out."""
    found = [(row, fault(row["text"])) for row in texts]
    lost = [Skipped(f"{source.path}: {row['id']}", reason, "text") for row, reason in found if reason]
    kept = _numbered(texts, TEXTS, [not reason for _, reason in found])
    meta = Meta(task, source.format, skipped=[*skipped, *lost])
    meta.records = {"image": len(images), "text": len(texts)}
    whole = Prepared(meta, _numbered(images, IMAGES), kept, QUESTIONS.empty_table())
    return for_retrieval(whole) if task == "retrieval" else whole


def _numbered(rows: list[Row], schema: pa.Schema, kept: Iterable[bool] = repeat(True)) -> pa.Table:
    """A table of what a data set lists, in its order; some rows are not kept, but numbered."""
    own = [
        row | {"record": number} for number, (row, keep) in enumerate(zip(rows, kept, strict=False)) if keep
    ]
    return prepared.table(own, schema)


def for_retrieval(draft: Prepared) -> Prepared:
    """Captioned images as a benchmark: the first captions of every image, in pools of one an image."""
    few = pc.less(draft.texts["pool"], CAPTIONS)
    beyond = sorted(draft.texts.filter(pc.invert(few))["id"].to_pylist())
    lost = [Skipped(name, BEYOND, "text") for name in beyond]
    meta = replace(draft.meta, task="retrieval", skipped=draft.meta.skipped + lost)
    return replace(draft, meta=meta, texts=draft.texts.filter(few))


def fault(text: str, what: str = "caption") -> str:
    """Why a text cannot be used; nothing if it can."""
    if not text.strip():
        return f"empty {what}"
    if "\0" in text:
        return f"{what} with a NUL in it"
    return "" if is_text(text) else f"{what} with half a character in it"


def text_of(value: Any, file: Path, place: str, what: str = "caption") -> str:
    """A text that a file holds, without blanks around it; none is an empty one.

    Raises:
        HymaError: if it is anything else.
    """
    if not isinstance(value, str | None):
        raise HymaError(f"{file}: {place}: {what}: should be text, it is {str(value)[:60]!r}")
    return (value or "").strip()


def list_of(value: Any, file: Path, place: str, what: str) -> list[Any]:
    """A list that a file holds.

    Raises:
        HymaError: if it is anything else.
    """
    if not isinstance(value, list):
        raise HymaError(f"{file}: {place}: {what}: should be a list, it is {str(value)[:60]!r}")
    return value


def caption_rows(given: Any, image: int, name: str, first: int, file: Path, place: str) -> list[Row]:
    """The texts of one or several captions of an image; none at all is one empty caption.

    Args:
        given: a string, a list of strings, or None.
        image: the image's row.
        name: the image's id.
        first: how many captions the image has already.
        file: where the captions stand, for errors.
        place: where in it.

    Raises:
        HymaError: if `given` is anything else.
    """
    sentences = given if isinstance(given, list) and given else [given]
    for sentence in sentences:
        if not isinstance(sentence, str | None):
            raise HymaError(
                f"{file}: {place}: caption: should be text or a list of texts, it is {str(given)[:60]!r}"
            )
    return [
        caption_row(name, sentence or "", image, pool) for pool, sentence in enumerate(sentences, start=first)
    ]


def caption_row(name: str, text: str, image: int, pool: int, protocol: str = "both") -> Row:
    """A caption of the prepared form: number `pool` of the captions of image row `image`, whose id is `name`."""
    own = {"id": f"{writable(name)}#{pool}", "text": text.strip()}
    return own | {"image": image, "pool": pool, "protocol": protocol}


def answer_text(answer: Any) -> str:
    """An annotator's answer, normalised; data sets hold it as a string or as a record."""
    text = answer.get("answer", answer.get("raw_answer")) if isinstance(answer, dict) else answer
    return "" if text is None else normalise(writable(str(text)))


def vqa(
    questions: list[Row], images: list[Row], train_answers: Counter[str], source: DataSource, file: Path
) -> Prepared:
    """Assemble a question-answering benchmark.

    Args:
        questions: rows with ``id``, ``image`` (row), ``question`` and ``answers`` (normalised).
        images: rows of the prepared form.
        train_answers: how often each answer occurs in the training split; the most frequent are the list.
        source: gives the list's length.
        file: named if there are no training answers.

    Raises:
        HymaError: if the training split holds no answer.
    """
    ranked = sorted(train_answers.items(), key=lambda entry: (-entry[1], entry[0]))
    answers = [answer for answer, _ in ranked[: source.max_answers] if answer]
    if not answers:
        raise HymaError(f"{file}: no answers in the training split; is this the original file?")
    faults = [(row, fault(row["question"], "question")) for row in questions]
    lost = [Skipped(f"{source.path}: {row['id']}", reason, "question") for row, reason in faults if reason]
    questions = [row for row, reason in faults if not reason]
    wordings = list(dict.fromkeys(row["question"] for row in questions))
    number = {wording: row for row, wording in enumerate(wordings)}
    texts = [
        {
            "id": f"{row}/{target}",
            "text": f"Question: {wording} Answer: {answer}",
            "target": target,
            "protocol": "both",
        }
        for row, wording in enumerate(wordings)
        for target, answer in enumerate(answers)
    ]
    rows = [row | {"prompt": number[row["question"]]} for row in questions]
    for row in rows:
        del row["question"]
    meta = Meta("vqa", source.format, answers=answers, skipped=lost, records={"image": len(images)})
    tables = _numbered(images, IMAGES), prepared.table(texts, TEXTS), prepared.table(rows, QUESTIONS)
    return Prepared(meta, *tables)

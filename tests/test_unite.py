"""A picture is its content: copies in a data set are one picture, in any format, and copies across are told."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hyma.common import prepared
from hyma.common.errors import HymaError
from hyma.common.prepared import Prepared
from hyma.readers import leaks
from hyma.readers.base.params import DataSource
from hyma.readers.base.prepare import prepare
from hyma.readers.base.unite import CONTRADICTORY, JOINED, NO_POOL, TWICE
from hyma.stitching.params import ConnectorParams
from hyma.stitching.training_set import assemble


def picture(file: Path, number: int, **options: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (6, 6), (number % 256, number // 256, 9))
    image.save(file, **options)  # type: ignore[arg-type]


def captions(folder: Path, numbers: Sequence[int]) -> Path:
    """A table of as many pictures; those of one number have the same pixels, in files of different bytes."""
    lines = []
    for row, number in enumerate(numbers):
        picture(folder / f"{row}.png", number, compress_level=row % 10)
        lines.append({"image": f"{row}.png", "caption": f"row {row}"})
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def read(folder: Path, name: str, key: str = "training.x", **options: float) -> Prepared:
    source = DataSource.model_validate({"format": name, "path": str(folder), **options})
    prepare(source, folder.parent / f"{folder.name}-prepared", key)
    return prepared.read(folder.parent / f"{folder.name}-prepared")


def reasons(found: Prepared) -> list[tuple[str, str]]:
    return [(Path(one.file).name, one.reason) for one in found.meta.skipped]


def test_copies_are_one_picture_with_all_captions(tmp_path: Path) -> None:
    found = read(captions(tmp_path / "own", [7, 8, 7, 9, 8, 7]), "captions")
    assert (found.meta.images, found.meta.texts) == (3, 6)
    assert found.texts["image"].to_pylist() == [0, 1, 0, 2, 1, 0]
    assert found.texts["pool"].to_pylist() == [0, 0, 1, 0, 1, 2]
    assert reasons(found) == [("2.png", JOINED), ("4.png", JOINED), ("5.png", JOINED)]
    assert found.meta.read == {"image": 6, "text": 6, "question": 0}


def test_in_retrieval_both_captions_count_and_pools_stay_as_they_are(tmp_path: Path) -> None:
    found = read(captions(tmp_path / "own", [7, 8, 7]), "captions", "benchmarks.x")
    assert found.texts["image"].to_pylist() == [0, 1, 0]
    assert found.texts["protocol"].to_pylist() == ["both", "both", "standard"]


def test_each_protocol_of_coco_keeps_its_own_and_joined_captions_leave_pools(tmp_path: Path) -> None:
    names = ["a.jpg", "b.jpg"]
    entry = {"filepath": "val2014", "split": "test"}
    test = [entry | {"filename": name, "sentences": [{"raw": f"of {name}"}]} for name in names]
    val = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [{"image_id": number, "caption": f"{number}"} for number in (0, 1)],
    }
    for folder in ("val2014", "val2017"):
        for name in names:
            picture(tmp_path / "coco" / folder / name, 5)
    (tmp_path / "coco/annotations").mkdir()
    (tmp_path / "coco/dataset_coco.json").write_text(json.dumps({"images": test}))
    (tmp_path / "coco/annotations/captions_val2017.json").write_text(json.dumps(val))
    found = read(tmp_path / "coco", "coco", "benchmarks.x")
    kept = zip(
        *(found.texts[name].to_pylist() for name in ("text", "image", "pool", "protocol")), strict=True
    )
    assert list(kept) == [
        ("of a.jpg", 0, 0, "standard"), ("of b.jpg", 0, 1, "standard"), ("0", 1, 0, "paper"),
    ]  # fmt: skip
    assert [reason for _, reason in reasons(found)] == [JOINED, JOINED, NO_POOL]


def test_labelled_copies(tmp_path: Path) -> None:
    """Within a class one stays; what two classes claim goes, since no answer is right."""
    for name, number in (("red/a", 1), ("red/b", 1), ("red/c", 2), ("blue/a", 3), ("blue/b", 2)):
        picture(tmp_path / f"own/{name}.png", number)
    found = read(tmp_path / "own", "folders", "benchmarks.x")
    assert found.images["id"].to_pylist() == ["blue/a.png", "red/a.png"]
    assert sorted(reasons(found)) == [("b.png", TWICE), ("b.png", CONTRADICTORY), ("c.png", CONTRADICTORY)]
    assert found.meta.read == {"image": 5, "question": 0}


def test_published_labelled_copies_stay(tmp_path: Path) -> None:
    for name in ("n01440764/a", "n01440764/b", "n01443537/a"):
        picture(tmp_path / f"net/val/{name}.JPEG", 1)
    assert read(tmp_path / "net", "imagenet", "benchmarks.x").meta.images == 3


def test_no_copy_is_on_both_sides_of_the_split(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    found = read(captions(tmp_path / "own", rng.integers(0, 60, 200).tolist()), "captions")
    features = [np.eye(len(table), 4, dtype="f4") for table in (found.images, found.texts)]
    image_of_text = found.texts["image"].to_numpy().astype(int)
    split = assemble(
        {"i": [features[0]]}, {"t": [features[1]]}, image_of_text, ConnectorParams(), 0, torch.device("cpu")
    )
    content = np.array(found.images["content"].to_pylist())[image_of_text]
    sides = [set(content[rows.numpy()]) for rows in (split.train, split.held_out)]
    assert len(sides[0]) + len(sides[1]) == len(set(content))
    assert not sides[0] & sides[1]


@pytest.fixture
def shared(tmp_path: Path) -> tuple[Prepared, Prepared]:
    """A training set of 100 pictures, and a benchmark of 40 of which two are among them."""
    training = read(captions(tmp_path / "own", range(100)), "captions")
    numbers = [*range(1000, 1019), 17, *range(1020, 1039), 61]
    return training, read(captions(tmp_path / "other", numbers), "captions", "benchmarks.x")


def test_exactly_the_shared_pictures_are_found(shared: tuple[Prepared, Prepared]) -> None:
    found, leaked = leaks.leaks(shared[0], {"x": shared[1]})
    assert leaked == [17, 61]
    assert found == {
        "x": {"pictures": 40, "shared": 2, "examples": [["17.png", "19.png"], ["61.png", "39.png"]]}
    }
    assert leaks.leaks(shared[0], {"x": shared[0]})[0]["x"]["shared"] == 100


@pytest.mark.parametrize(("action", "most", "message"), [
    ("report", 0.05, ""),
    ("report", 0.04, "2 of its 40 pictures are training pictures too, 19.png .*max_leaked is 0.04"),
    ("refuse", 1.0, "leaks is refuse; set leaks to drop"), ("drop", 0.0, ""),
])  # fmt: skip
def test_more_than_may_be_is_refused(
    shared: tuple[Prepared, Prepared], action: leaks.LeaksKind, most: float, message: str
) -> None:
    found, _ = leaks.leaks(shared[0], {"x": shared[1]})
    sources = {"x": DataSource(format="captions", path="x", max_leaked=most)}
    if not message:
        leaks.refuse(found, action, sources)
        return
    with pytest.raises(HymaError, match=message):
        leaks.refuse(found, action, sources)


def test_what_is_dropped_is_neither_trained_on_nor_held_out() -> None:
    image_of_text = np.arange(200) // 2
    tables = {"i": [np.zeros((100, 3), "f4")]}, {"t": [np.zeros((200, 3), "f4")]}
    params = ConnectorParams(holdout=0.2)
    made = assemble(*tables, image_of_text, params, 0, torch.device("cpu"), [3, 50, 99])
    used = {image_of_text[row] for rows in (made.train, made.held_out) for row in rows.tolist()}
    assert used == set(range(100)) - {3, 50, 99}


def test_captions_alike_are_known() -> None:
    image_of_text = np.array([*range(30), 0])
    tables = {"i": [np.zeros((30, 3), "f4")]}, {"t": [np.zeros((31, 3), "f4")]}
    words = [*(f"a {row}" for row in range(29)), "a 5", "another"]

    def made(duplicates: str) -> object:
        params = ConnectorParams.model_validate({"holdout": 0.2, "duplicates": duplicates})
        return assemble(*tables, image_of_text, params, 0, torch.device("cpu"), (), words)

    features = made("mask")
    assert features.alike(torch.tensor([1, 2, 3])) is None  # type: ignore[attr-defined]
    alike = features.alike(torch.tensor([0, 5, 29, 30, 7]))  # type: ignore[attr-defined]
    expected = torch.zeros(5, 5, dtype=torch.bool)
    expected[0, 3] = expected[3, 0] = expected[1, 2] = expected[2, 1] = True
    torch.testing.assert_close(alike.mask(0, 5), expected)
    assert made("negatives").alike(torch.tensor([0, 5, 29, 30])) is None  # type: ignore[attr-defined]


def test_pixels_tell_pictures_apart_and_not_bytes(tmp_path: Path) -> None:
    """A picture turned by its EXIF data is the picture that was turned by hand."""
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    image.transpose(Image.Transpose.ROTATE_90).save(stream, "PNG", exif=exif)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/turned.png").write_bytes(stream.getvalue())
    image.save(tmp_path / "own/upright.png")
    lines = [{"image": f"{name}.png", "caption": name} for name in ("turned", "upright")]
    (tmp_path / "own/captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert read(tmp_path / "own", "captions").meta.images == 1

"""Somebody's own pictures, from `hyma init` to the exported model, with no grid trained on the way."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image, ImageDraw

from tests import project
from tests.project import Project

COLOURS = {"red": (210, 40, 40), "green": (40, 160, 60), "blue": (50, 70, 210), "yellow": (220, 200, 40)}
SHAPES = ("circle", "square", "triangle", "bar", "cross")


def photos(folder: Path, count: int) -> None:
    """Pictures of a shape in a colour, each with a caption."""
    folder.mkdir(parents=True)
    lines = ["image,caption"]
    for number in range(count):
        colour, shape = list(COLOURS)[number % 4], SHAPES[number // 4 % 5]
        left, top = 4 + number % 13, 4 + number % 11
        image = Image.new("RGB", (48, 48), (number % 256, 230, 230))
        pen, box = ImageDraw.Draw(image), (left, top, left + 24, top + 24)
        if shape == "circle":
            pen.ellipse(box, fill=COLOURS[colour])
        elif shape == "triangle":
            pen.polygon([(left, top + 24), (left + 24, top + 24), (left + 12, top)], fill=COLOURS[colour])
        else:
            right = {"square": (24, 24), "bar": (24, 6), "cross": (6, 24)}[shape]
            pen.rectangle((left, top, left + right[0], top + right[1]), fill=COLOURS[colour])
        image.save(folder / f"{number}.png")
        lines.append(f"{number}.png,a {colour} {shape} number {number}")
    (folder / "captions.csv").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """600 pictures and 5 × 4 encoders, searched with `oracle: none`."""
    made = project.create(tmp_path_factory.mktemp("own") / "project")
    photos(made.folder / "photos", 600)
    made.run("hyma", "init", "photos", "--demo", "--force")
    text = (made.folder / "params.yaml").read_text()
    assert len(text.splitlines()) <= 40
    given = yaml.safe_load(text)
    given["text_encoders"]["again"] = given["text_encoders"]["words"] | {"unit_length": True}
    made.write_params(given | {"oracle": "none"})
    made.run("dvc", "repro")
    return made


def read(made: Project, name: str) -> Any:
    return json.loads((made.folder / name).read_text())


def connectors(made: Project) -> set[str]:
    return {file.stem for file in (made.folder / "models/grid").glob("*.safetensors")}


def ends_well(made: Project) -> str:
    """A report without empty columns, and a model that answers; return the report."""
    said = made.run("hyma", "classify", "photos/0.png", "--labels", "a red circle,a blue bar", "--json")
    assert "a red circle" in said
    for page in ("ranking.md", "methods.md", "first.md"):
        rows = [
            line.split("|")[1:-1]
            for line in (made.folder / "reports" / page).read_text().splitlines()
            if line.startswith("|")
        ]
        assert rows
        heads = [row for row, ruler in pairwise(rows) if set("".join(ruler)) <= set(" :-")]
        for head in heads:
            body = rows[rows.index(head) + 2 :][: len(head)]
            for column in range(1, len(head)):
                cells = [row[column].strip() for row in body if len(row) == len(head)]
                assert not cells or set(cells) != {"–"}, (page, head[column])
    return (made.folder / "reports/ranking.md").read_text()


def test_none_trains_no_pair_and_audit_its_own(own: Project) -> None:
    assert connectors(own) == set()
    assert read(own, "metrics/finals.json")["pairs"] == []
    assert "`oracle: none`" in ends_well(own)
    assert read(own, "metrics/flops.json")["whole_grid"]["pairs"] == 20

    own.write_params(own.params() | {"oracle": "audit"})
    ran = own.stages("repro")
    assert "train_hyma" not in ran
    assert {"finals", "train_grid", "evaluate_grid", "rank", "report", "export"} <= set(ran)
    chosen = read(own, "metrics/finals.json")
    assert (len(chosen["finals"]), len(chosen["sample"])) == (2, 3)
    assert connectors(own) == {*chosen["finals"], *chosen["sample"]} == set(chosen["pairs"])
    report = ends_well(own)
    assert "drawn by lot" in report
    assert "counted" in report
    ranking = read(own, "metrics/ranking.json")
    assert ranking["winner"]["pair"] in chosen["pairs"]
    assert 0 <= ranking["audit"]["spearman"]["low"] <= ranking["audit"]["spearman"]["high"] <= 1

    rest = [pair for pair in ranking["scores"]["hyma"] if pair not in chosen["pairs"]]
    said = own.run("hyma", "compare", *rest[:2], "--method", "grid", code=1)
    assert said.startswith(f"error: --method grid: it did not train {rest[0]}, only ")
    assert "oracle: full" in said
    assert said.count("\n") == 1

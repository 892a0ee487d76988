"""docs/own.md, run from top to bottom in an empty folder; and both documents' links."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from hyma.common import features, params, prepared
from hyma.encoders.base import precomputed
from hyma.encoders.base.common import field
from hyma.encoders.base.load import load
from hyma.encoders.base.params import HUB, EncoderParams, ImageEncoderParams, TextEncoderParams
from hyma.plan.experiment import Experiment
from hyma.readers.base.params import Own, Published
from hyma.readers.base.prepare import FIRST_FILE
from tests.root import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DOCUMENTS = ("own", "data")
WIDTHS = {"my_vit": 64, "my_file": 64, "my_words": 16, "colours": 3}
WIDTHS |= {"my_vit_middle": 64, "my_vit_logits": 3, "my_words_short": 8}
"""Of the encoders that the examples make."""


def text(name: str) -> str:
    return (ROOT / f"docs/{name}.md").read_text(encoding="utf-8")


class Reader:
    """Somebody who follows the page: runs what there is to run, and keeps params.yaml as it says."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.said = ""
        self.names: dict[str, Any] = {}
        for name in ("presets", "zoo", "hyma/methods"):
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(ROOT / name, place) if (ROOT / name).is_dir() else shutil.copy(ROOT / name, place)

    def python(self, code: str) -> None:
        exec(compile(code, "docs/own.md", "exec"), self.names)

    def bash(self, lines: str) -> None:
        shell = os.environ | {
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            ["bash", "-ec", lines], cwd=self.folder, env=shell, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        self.said = done.stdout

    def text(self, expected: str) -> None:
        assert self.said == expected

    def yaml(self, entries: str) -> None:
        file = self.folder / "params.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        for section, own in yaml.safe_load(entries).items():
            # There is one training set, and the page's benchmarks are those of the preset.
            content[section] = own if section in ("training", "benchmarks") else content[section] | own
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder after all of docs/own.md; also the working directory."""
    folder = tmp_path_factory.mktemp("own")
    before = Path.cwd()
    os.chdir(folder)
    try:
        reader = Reader(folder)
        for kind, content in BLOCK.findall(text("own")):
            getattr(reader, kind)(content)
        yield folder
    finally:
        os.chdir(before)


def experiment(folder: Path) -> Experiment:
    return params.validate(yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8")), Experiment)


def encoders(folder: Path) -> dict[str, EncoderParams]:
    found = experiment(folder)
    return {**found.image_encoders, **found.text_encoders}


def test_every_source_and_own_format_is_shown(followed: Path) -> None:
    found = experiment(followed)
    image, text_ = (
        set(get_args(side.model_fields["source"].annotation))
        for side in (ImageEncoderParams, TextEncoderParams)
    )
    assert {own.source for own in found.image_encoders.values()} == image
    assert {own.source for own in found.text_encoders.values()} | {"precomputed"} == text_
    for name in get_args(Own):
        assert f"format: {name}" in text("own")


def test_the_examples_make_a_valid_experiment(followed: Path) -> None:
    found = experiment(followed)
    mine, held_out, classes = (
        prepared.read(followed / "data/prepared" / name)
        for name in ("training/mine", "benchmarks/held_out", "benchmarks/classes")
    )
    assert [data.meta.task for data in (mine, held_out, classes)] == ["pairs", "retrieval", "classification"]
    assert classes.meta.classes == ["blue square", "green square", "red square"]
    assert list(found.benchmarks) == ["held_out", "classes"]
    assert {data.path for data in found.benchmarks.values()} == {
        entry["path"]
        for entry in yaml.safe_load((ROOT / "presets/own-data.yaml").read_text())["benchmarks"].values()
    }
    assert (followed / "metrics/names/checked.txt").is_file()


@pytest.mark.parametrize("slug", sorted(WIDTHS.keys() - {"colours"}))
def test_local_weights_load(followed: Path, slug: str) -> None:
    own = encoders(followed)[slug]
    encoder = load(own, field(own, slug), torch.device("cpu"))
    picture = Image.open(followed / "data/own/train/pictures/0.png").convert("RGB")
    if isinstance(own, ImageEncoderParams):
        feature_BD = encoder.encode(torch.stack([encoder.transform(picture)]))
    else:
        feature_BD = encoder.encode(["a red square"])
    assert feature_BD.shape == (1, encoder.dim) == (1, WIDTHS[slug])
    assert np.isfinite(feature_BD).all()
    assert np.abs(feature_BD).sum() > 0


@pytest.mark.parametrize(
    ("part", "name", "rows"),
    [("training", "mine", 120), ("benchmarks", "held_out", 12), ("benchmarks", "classes", 12)],
)
def test_features_that_exist_are_taken(followed: Path, part: str, name: str, rows: int) -> None:
    own = encoders(followed)["colours"]
    found = precomputed.reference(own, "colours", part, name)
    assert found is not None
    out = followed / features.file_of(part, "image", "colours", name)
    precomputed.write(found, followed / "data/prepared" / part / name, "image", out, own.unit_length, 50)
    feature_ND = features.Features(out).to_numpy()
    assert feature_ND.shape == (rows, WIDTHS["colours"])
    # The examples' first picture is red, except where classes are sorted by name.
    assert int(feature_ND[0].argmax()) == (2 if name == "classes" else 0)


def test_what_lies_on_a_hub_is_named_as_it_is_published(followed: Path) -> None:
    published = {
        stem for side in precomputed.REPOSITORIES.values() for stems in side.values() for stem in stems
    }
    for file in [*(ROOT / "presets").glob("paper-*.yaml"), ROOT / "docs/own.md"]:
        named = set(re.findall(r"cc3m558k/([\w-]+)", file.read_text(encoding="utf-8")))
        assert named <= published
    assert set(re.findall(r"cc3m558k/([\w-]+)", (ROOT / "presets/paper-27.yaml").read_text())) == published
    taken = [own for own in encoders(followed).values() if own.training_features]
    assert taken
    assert all(own.unit_length and own.weights == HUB for own in taken)


def test_the_data_page_has_every_published_format() -> None:
    assert {*get_args(Published), *get_args(Own)} == set(FIRST_FILE)
    entries = re.findall(r"`(\w+: \{.*?\})` \|", text("data"))
    found = [yaml.safe_load(entry) for entry in entries]
    assert [data["format"] for entry in found for data in entry.values()] == list(get_args(Published))
    for preset in ("paper-3", "paper-27"):
        content = yaml.safe_load((ROOT / f"presets/{preset}.yaml").read_text(encoding="utf-8"))
        assert content["training"] | content["benchmarks"] == {
            name: data for entry in found for name, data in entry.items()
        }
    for layout in (
        "blip_laion_cc_sbu_558k.json",
        "cifar-100-python/test",
        "annotations/captions_val2017.json",
    ):
        assert layout in text("data")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links(name: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text(name)) if not link.startswith("http")]
    assert links
    for link in links:
        file, _, anchor = link.partition("#")
        target = (ROOT / "docs" / file).resolve() if file else ROOT / f"docs/{name}.md"
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings]

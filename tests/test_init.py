"""`hyma init`: which sets it chooses, which encoders it takes, the params.yaml that it writes, what it says."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml

from hyma.cli import command
from hyma.common import params
from hyma.common.errors import HymaError
from hyma.encoders.base.params import ImageEncoderParams, TextEncoderParams
from hyma.plan import short_lists, specs
from hyma.plan.experiment import Experiment
from hyma.plan.models import SENTENCE
from hyma.plan.short_lists import DEMO, SIZES, Encoders
from hyma.readers.base.params import DataSource
from hyma.readers.base.prepare import prepare
from tests.root import ROOT
from tests.test_look import captioned, drawn, found, shard, table, touch

Capture = pytest.CaptureFixture[str]
MODELS: dict[str, Any] = {
    "training": DataSource,
    "benchmarks": DataSource,
    "image_encoders": ImageEncoderParams,
    "text_encoders": TextEncoderParams,
}


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's root with nothing but the encoders that come with it."""
    monkeypatch.chdir(tmp_path)
    Path("zoo").symlink_to(ROOT / "zoo")
    return tmp_path


def init(*arguments: str, file: str = "params.yaml") -> dict[str, Any]:
    """The file that the command writes, every section checked by its model."""
    command.main(["init", *arguments])
    text = Path(file).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 40
    content = yaml.safe_load(text)
    assert list(content) == [*MODELS, "oracle"]
    for section, model in MODELS.items():
        params.validate(content[section], dict[str, model])  # type: ignore[valid-type]
    return content


def refused(*arguments: str) -> str:
    with pytest.raises(SystemExit) as left:
        command.main(["init", *arguments])
    said = str(left.value.code)
    assert said.startswith("error: ")
    assert "\n" not in said
    return said.removeprefix("error: ")


def paths(section: dict[str, Any]) -> dict[str, str]:
    return {slug: entry["path"] for slug, entry in section.items()}


def test_the_largest_captioned_set_trains_and_the_others_rank() -> None:
    captioned("data/big", 130)
    captioned("data/small", 20)
    shard("data/shards/0.tar", range(30))
    touch("data/classes/red/a.jpg", "data/classes/blue/a.jpg")
    written = init("data", "--demo")
    assert written["training"] == {"big": {"format": "captions", "path": "data/big"}}
    assert written["benchmarks"] == {
        "classes": {"format": "folders", "path": "data/classes"},
        "shards": {"format": "webdataset", "path": "data/shards"},
        "small": {"format": "captions", "path": "data/small"},
    }
    assert not Path("data/split").exists()


def test_which_one_trains_can_be_said() -> None:
    captioned("big", 200)
    captioned("small", 130)
    written = init("big", "--training", "small", "--demo")
    assert (paths(written["training"]), paths(written["benchmarks"])) == ({"small": "small"}, {"big": "big"})
    written = init("small", "--benchmark", "big", "--demo", "--force")
    assert (paths(written["training"]), paths(written["benchmarks"])) == ({"small": "small"}, {"big": "big"})


def test_of_a_single_set_some_are_held_out() -> None:
    captioned("My Photos", 600)
    touch("classes/red/a.jpg", "classes/blue/a.jpg")
    written = init("My Photos", "classes", "--demo")
    assert paths(written["training"]) == {"my_photos": "data/split/my_photos/train"}
    assert paths(written["benchmarks"]) == {
        "my_photos_held_out": "data/split/my_photos/test",
        "classes": "classes",
    }
    assert [found(f"data/split/my_photos/{side}").pictures for side in ("train", "test")] == [540, 60]


def test_what_it_writes_can_be_prepared() -> None:
    for number in range(180):
        drawn(f"photos/in/{number}.png", number)
    table("photos/captions.csv", [(f"in/{number}.png", f"number {number}") for number in range(180)])
    written = init("photos", "--demo")
    sizes = {}
    for part in ("training", "benchmarks"):
        for slug, entry in written[part].items():
            meta = prepare(DataSource.model_validate(entry), Path("out"), f"{part}.{slug}")
            sizes[slug] = (meta.images, meta.task, len(meta.skipped))
    assert sizes == {"photos": (130, "pairs", 0), "photos_held_out": (50, "retrieval", 0)}


def test_with_the_other_sections_it_is_an_experiment() -> None:
    captioned("photos", 170)
    written = init("photos", "--demo")
    preset = yaml.safe_load((ROOT / "presets/own-data.yaml").read_text(encoding="utf-8"))
    own = {section: written[section] for section in MODELS}
    experiment = params.validate(preset | own, Experiment)
    assert len(experiment.image_encoders) * len(experiment.text_encoders) == 15


def test_pictures_of_the_training_set_rank_nothing(capsys: Capture) -> None:
    rows = [(f"in/{kind}/{number}.jpg", "a cat") for kind in ("a", "b") for number in range(100)]
    touch(*(f"photos/{name}" for name, _ in rows))
    table("photos/all.csv", rows)
    table("photos/some.csv", rows[:60])
    written = init("photos", "photos/in", "--demo")
    assert paths(written["training"]) == {"all": "data/split/all/train"}
    assert paths(written["benchmarks"]) == {"all_held_out": "data/split/all/test"}
    said = capsys.readouterr().out
    assert "not used: photos/some.csv (captions): 60 of its pictures are in the training set" in said
    assert "not used: photos/in (folders): 200 of its pictures are in the training set" in said


def test_what_is_missing_is_allowed_for() -> None:
    captioned("train", 200)
    captioned("test", 130)
    for number in range(5):
        Path(f"train/{number}.jpg").unlink()
    written = init("train", "test", "--demo")
    assert written["training"]["train"] == {"format": "captions", "path": "train", "max_unreadable": 0.03}
    assert written["benchmarks"]["test"] == {"format": "captions", "path": "test"}


def test_slugs_differ() -> None:
    captioned("a/photos", 140)
    captioned("b/photos", 130)
    captioned("c/2024", 20)
    written = init("a/photos", "b/photos", "c/2024", "--demo")
    assert list(written["training"]) == ["photos"]
    assert list(written["benchmarks"]) == ["photos_2", "2024"]


def test_the_demo_takes_what_comes_with_the_package() -> None:
    captioned("photos", 170)
    written = init("photos", "--demo")
    assert [len(written[side]) for side in ("image_encoders", "text_encoders")] == [5, 3]
    committed = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for side in ("image_encoders", "text_encoders"):
        assert written[side].items() <= committed[side].items()
        for entry in written[side].values():
            assert (ROOT / entry["weights"]).exists()
    shutil.rmtree("data")
    Path("zoo").unlink()
    assert refused("photos", "--demo", "--force").startswith(
        "zoo/resnet: not found; run from the project's root"
    )


def test_the_lists_name_what_there_is() -> None:
    published = set(timm.list_pretrained())
    for own in SIZES.values():
        assert 3 <= len(own.image) <= 5
        assert 2 <= len(own.text) <= 3
        assert {encoder.name for encoder in own.image.values()} <= published
        names = {encoder.name.rpartition("/")[2] for encoder in own.text.values()} - {"model"}
        assert names <= SENTENCE.keys()
        assert own.image.keys().isdisjoint(own.text)
    assert all(timm.is_model(encoder.name) for encoder in DEMO.image.values())


@pytest.mark.parametrize(
    ("gpu", "size"), [(None, "small"), (8e9, "medium"), (20e9, "large"), (80e9, "large")]
)
def test_the_list_fits_the_machine(gpu: float | None, size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        total_memory = gpu

    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu is not None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Properties)
    assert short_lists.size_of_machine() == size
    captioned("photos", 170)
    assert list(init("photos")["image_encoders"]) == list(SIZES[size].image)
    assert list(init("photos", "--size", "medium", "--force")["text_encoders"]) == list(SIZES["medium"].text)


def given(image: Sequence[str] = ("x",), text: Sequence[str] = ("y",)) -> Encoders:
    return specs.encoders(image, text, DEMO)


def folder(place: str, **files: Any) -> str:
    Path(place).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        Path(place, f"{name}.json").write_text(json.dumps(content))
    return place


@pytest.mark.parametrize(
    ("spec", "slug", "expected"),
    [
        ("resnet50.a1_in1k", "resnet50", ("timm", "resnet50.a1_in1k", "zoo/HUB")),
        ("timm:resnet50.a1_in1k", "resnet50", ("timm", "resnet50.a1_in1k", "zoo/HUB")),
        ("mine=timm:resnet50.a1_in1k", "mine", ("timm", "resnet50.a1_in1k", "zoo/HUB")),
        ("mine=resnet50", "mine", ("timm", "resnet50", "zoo/HUB")),
        ("open_clip:ViT-B-32/laion2b", "laion2b", ("open_clip", "ViT-B-32/laion2b", "zoo/HUB")),
        ("vit", "vit", ("timm", "test_vit", "zoo/vit")),
        ("small=vit", "small", ("timm", "test_vit", "zoo/vit")),
        ("weights/own", "test_vit", ("timm", "test_vit", "weights/own")),
        ("weights/clip", "clip", ("open_clip", "clip", "weights/clip")),
        ("precomputed:weights/none", "none", ("precomputed", "none", "weights/none")),
        ("f=precomputed:me/features", "f", ("precomputed", "me/features", "zoo/HUB")),
    ],
)
def test_image_encoders_are_given_by_name_or_folder(spec: str, slug: str, expected: tuple[str, ...]) -> None:
    folder("weights/own", config={"architecture": "test_vit"})
    folder("weights/clip", open_clip_config={})
    folder("weights/none")
    own = given(image=[spec]).image
    assert {name: (one.source, one.name, one.weights) for name, one in own.items()} == {slug: expected}


@pytest.mark.parametrize(
    ("spec", "slug", "name", "weights"),
    [
        ("sentence-transformers/all-mpnet-base-v2", "all_mpnet_base_v2", None, "zoo/HUB"),
        ("t=sentence-transformers:me/model", "t", "me/model", "zoo/HUB"),
        ("minilm", "minilm", short_lists.MINILM, "zoo/HUB"),
        ("package:own_model/inside", "own_model", "package:own_model/inside", "zoo/HUB"),
        ("weights/words", "words", "words", "weights/words"),
    ],
)
def test_so_are_text_encoders(spec: str, slug: str, name: str | None, weights: str) -> None:
    folder("weights/words", modules=[])
    own = given(text=[spec]).text
    assert {key: (one.source, one.name, one.weights) for key, one in own.items()} == {
        slug: ("sentence-transformers", name or spec, weights)
    }


def test_a_side_without_any_is_the_lists() -> None:
    captioned("photos", 170)
    written = init("photos", "--demo", "--image", "resnet50.a1_in1k", "--image", "resnet50.tv_in1k")
    assert list(written["image_encoders"]) == ["resnet50", "resnet50_2"]
    assert list(written["text_encoders"]) == list(DEMO.text)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (["resnet50", "a=resnet50"], "--image a=resnet50: given twice; leave one out"),
        (["a=resnet50", "a=resnet18"], "--image a=resnet18: 'a' names another encoder already"),
        (
            ["keras:resnet"],
            "--image keras:resnet: unknown source 'keras'; known: timm, open_clip, precomputed",
        ),
        (["sentence-transformers:x"], "sentence-transformers has no image encoders; give it by --text"),
        (["weights/vit"], "--image weights/vit: weights/vit: no such folder"),
        (
            ["weights/none"],
            "no encoder in weights/none: expected config.json of timm or open_clip_config.json",
        ),
        (["weights/words"], "weights/words holds a text encoder; give it by --text"),
        (["weights/words/modules.json"], "weights alone do not say of which model they are"),
        (["A-1=resnet50"], "--image A-1=resnet50: 'A-1' should be made of a-z, 0-9 and _"),
        (["a="], "--image a=: no encoder; give slug=source:name"),
        (["minilm=resnet50"], "--text: 'minilm' names an image encoder, too"),
    ],
)
def test_encoders_that_are_none(image: list[str], message: str) -> None:
    folder("weights/words", modules=[])
    folder("weights/none")
    with pytest.raises(HymaError) as caught:
        given(image=image, text=[])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no folder given; name that of your pictures and captions"),
        (["gone"], "gone: no such folder"),
        (
            ["classes"],
            "classes: no captions to train on (classes: format folders); give a folder with a table",
        ),
        (["bare"], "bare: no captions to train on; bare has pictures and no captions; put a table"),
        (["few"], "few: 60 captioned pictures, and nothing else to rank pairs by: 170 are needed"),
        (["few", "--benchmark", "other"], "few: 60 captioned pictures; training takes 120"),
        (["few", "--benchmark", "bare"], "--benchmark: bare: no data set; bare has pictures and no captions"),
        (["few", "--training", "classes"], "--training classes: no captions there"),
        (["--benchmark", "few"], "no captioned pictures to train on; give their folder beside"),
        (["weights"], "weights: an encoder's weights (modules.json)"),
        (["few", "--output", "bare"], "--output: bare is a folder"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(arguments: list[str], message: str) -> None:
    touch("classes/red/a.jpg", "classes/blue/a.jpg", "bare/a.jpg", "weights/modules.json")
    captioned("few", 60)
    captioned("other", 50)
    assert message in refused(*arguments, "--demo")
    assert not Path("params.yaml").exists()
    assert not Path("data").exists()


def test_a_file_that_is_there_is_kept() -> None:
    captioned("photos", 170)
    Path("params.yaml").write_text("seed: 0\n")
    assert refused("photos", "--demo") == (
        "params.yaml is there already: give --force to replace it (git keeps the committed one), "
        "or --output to write another file"
    )
    assert Path("params.yaml").read_text() == "seed: 0\n"
    assert init("photos", "--demo", "--output", "mine.yaml", file="mine.yaml")
    assert init("photos", "--demo", "--force")


def test_it_says_what_it_experimentand_what_to_do_next(capsys: Capture) -> None:
    captioned("photos", 600)
    init("photos", "--demo")
    assert capsys.readouterr().out == (
        "photos: 600 pictures, 1,200 captions (format captions)\n"
        "  “a 0.jpg”\n"
        "  “the 0.jpg”\n"
        "  “a 1.jpg”\n"
        "\n"
        "params.yaml is written:\n"
        "  trains       photos: 540 pictures of photos (captions, data/split/photos/train)\n"
        "  ranks pairs  photos_held_out: 60 others, held out (captions, data/split/photos/test)\n"
        "  encoders     5 image × 3 text = 15 pairs (those that come with HYMA: nothing is downloaded)\n"
        "               resnet, convnext, vit, mambaout, efficientnet × minilm, letters, words\n"
        "\n"
        "next:\n"
        "  hyma plan    what will run, and how long it takes\n"
        "  dvc repro    runs it\n"
    )
    head, *_ = Path("params.yaml").read_text(encoding="utf-8").splitlines()
    assert head == "# Written by: hyma init photos --demo"


def test_the_same_as_json(capsys: Capture) -> None:
    captioned("photos", 600)
    written = init("photos", "--demo", "--json", "--output", "mine.yaml", file="mine.yaml")
    said = json.loads(capsys.readouterr().out)
    assert said["found"][0]["captions"] == 1200
    assert said["training"]["photos"].pop("pictures") == 540
    assert said["benchmarks"]["photos_held_out"].pop("pictures") == 60
    assert {section: said[section] for section in MODELS} == {section: written[section] for section in MODELS}
    assert said["next"] == ["cp mine.yaml params.yaml", "hyma plan", "dvc repro"]

"""Mistakes that people make: each ends in one line that names file, field and remedy, and exit code 1."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hyma.common import features
from tests.project import Project

Change = Callable[[dict[str, Any]], Any]


def refused(project: Project, module: str, *words: str) -> str:
    """Run a stage that must fail on what the user gave; return its one line."""
    before = listing(project.folder)
    printed = project.run("python", "-m", f"stages.{module}", *words, code=1).splitlines(keepends=True)
    message = "".join(line for line in printed if not line.endswith("has changed: kept\n"))  # no mistake
    assert message.startswith("error: ")
    assert message.count("\n") == 1, message
    assert listing(project.folder) == before, "something half-written is left"
    return message


def listing(folder: Path) -> dict[str, int]:
    """Every file with its size, but for what Python itself caches."""
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda p: p["hyma"].update(bmm=3), "params.yaml: hyma.bmm: unknown key; did you mean 'bm'?"),
        (
            lambda p: p.update(gird=p.pop("grid")),
            "params.yaml: gird: unknown key; did you mean 'grid'?",
        ),
        (
            lambda p: p["connector"].update(holdout=0.9),
            "params.yaml: connector.holdout: should be auto, or more than 0 and less than 0.5, but it is 0.9",
        ),
        (
            lambda p: p["hyma"].update(bm=5),
            "params.yaml: hyma.bm: 5 pairs a step, but the encoders make only 4 pairs; set it to 4 or less",
        ),
        (
            lambda p: p["image_encoders"]["vit"].update(source="tim"),
            "params.yaml: image_encoders.vit.source: input should be 'timm', 'open_clip' or 'precomputed', "
            "but it is 'tim'",
        ),
        (
            lambda p: p["text_encoders"].update(vit=p["text_encoders"]["words"]),
            "params.yaml: text_encoders.vit: an image encoder has this slug too; rename one",
        ),
        (lambda p: p.pop("benchmarks"), "params.yaml: benchmarks: missing; add it"),
    ],
    ids=["unknown key", "mistyped section", "out of range", "bm", "source", "slug twice", "missing"],
)
def test_params(scratch: Project, change: Change, expected: str) -> None:
    params = scratch.params()
    change(params)
    scratch.write_params(params)
    assert refused(scratch, "check") == f"error: {expected}\n"


def test_params_no_yaml(scratch: Project) -> None:
    (scratch.folder / "params.yaml").write_text("seed: [0\n")
    assert "params.yaml: not valid YAML: " in refused(scratch, "check")


def test_dvc_shows_the_line(changing: Project) -> None:
    """The pipeline stops at once, with the same line and no traceback."""
    params = changing.params()
    params["hyma"]["bm"] = 0
    changing.write_params(params)
    shown = changing.run("dvc", "repro", code=255)
    assert "error: params.yaml: hyma.bm: input should be greater than or equal to 1, but it is 0\n" in shown
    assert "Traceback" not in shown
    assert "Running stage 'check'" in shown
    assert shown.count("Running stage") == 1


def test_unknown_architecture(scratch: Project) -> None:
    params = scratch.params()
    params["image_encoders"]["vit"] = {"source": "timm", "name": "vit_smal_patch16_224.augreg_in21k"}
    scratch.write_params(params)
    message = refused(scratch, "extract", "image")
    assert (
        "params.yaml: image_encoders.vit.name: timm has no model 'vit_smal_patch16_224.augreg_in21k'"
        in message
    )
    assert "; close: " in message


def test_hub_out_of_reach(scratch: Project) -> None:
    params = scratch.params()
    params["text_encoders"]["words"] = {"source": "sentence-transformers", "name": "nobody/has-this-model"}
    scratch.write_params(params)
    message = refused(scratch, "extract", "text")
    assert "params.yaml: text_encoders.words.name: cannot get nobody/has-this-model" in message
    assert "connect to it once, or " in message
    assert "`weights`" in message or "text_encoders.words.weights" in message


def test_weights_of_another_architecture(scratch: Project) -> None:
    params = scratch.params()
    params["image_encoders"]["vit"]["weights"] = "zoo/byobnet"
    scratch.write_params(params)
    message = refused(scratch, "extract", "image")
    assert "image_encoders.vit.name: 'test_vit', but zoo/byobnet/config.json holds 'test_byobnet'" in message


def test_missing_data_folder(scratch: Project) -> None:
    shutil.rmtree(scratch.folder / "data/raw/imagenet")
    message = refused(scratch, "prepare", "benchmarks", "imagenet")
    assert message == (
        "error: params.yaml: benchmarks.imagenet.path: data folder data/raw/imagenet not found; "
        "put the data set there (with val/<wnid>/*.JPEG in it) or correct the path\n"
    )


def test_wrong_layout(scratch: Project) -> None:
    folder = scratch.folder / "data/raw/coco"
    (folder / "dataset_coco.json").unlink()
    (folder / "annotations/captions_val2017.json").unlink()
    expected = "expected dataset_coco.json or annotations/captions_val2017.json, found annotations/"
    assert refused(scratch, "prepare", "benchmarks", "coco").startswith(f"error: data/raw/coco: {expected}; ")


def test_too_many_unreadable_images(scratch: Project) -> None:
    pictures = sorted((scratch.folder / "data/raw/llava").rglob("*.jpg"))
    for path in pictures[:4]:
        path.write_bytes(path.read_bytes()[:100])
    message = refused(scratch, "prepare", "training", "captions")
    assert message.startswith(f"error: {pictures[0].relative_to(scratch.folder)}: unreadable image (")
    assert "4 of 300 images are unreadable and training.captions.max_unreadable is 0.01" in message


def test_one_unreadable_image_is_skipped_and_reported(scratch: Project) -> None:
    picture = sorted((scratch.folder / "data/raw/llava").rglob("*.jpg"))[7]
    picture.write_bytes(b"")
    said = scratch.run("python", "-m", "stages.prepare", "training", "captions")
    assert "training.captions: 299 images, 299 texts" in said
    assert f"left out: 1 of 300 images: unreadable image: {picture.relative_to(scratch.folder)}" in said
    scratch.run("python", "-m", "stages.report")
    page = (scratch.folder / "reports/ranking.md").read_text()
    assert "## Left out" in page
    found = (
        f"| captions (training) | 1 | images | unreadable image | `{picture.relative_to(scratch.folder)}` |"
    )
    assert found in page


def test_empty_captions(scratch: Project) -> None:
    file = scratch.folder / "data/raw/llava/blip_laion_cc_sbu_558k.json"
    records = json.loads(file.read_text())
    for record in records[:9]:
        record["conversations"][1]["value"] = "  "
    file.write_text(json.dumps(records))
    message = refused(scratch, "prepare", "training", "captions")
    assert (
        "empty caption; 9 of 300 captions are empty or damaged and training.captions.max_unreadable is 0.01"
        in message
    )


def spoil(
    file: Path, change: Callable[[list[str], np.ndarray], tuple[list[str], np.ndarray]], **info: Any
) -> None:
    """Rewrite a feature file with changed ids, values or metadata."""
    old = features.Features(file)
    ids, values = change(old.ids.to_pylist(), old.to_numpy().copy())
    own = {key: getattr(old.info, key) for key in ("encoder", "data_hash", "dim", "flops_per_row")} | info
    del old
    features.write(file, features.FeatureInfo(**own | {"dim": values.shape[1]}), [(ids, values)])


def with_nan(ids: list[str], values: np.ndarray) -> tuple[list[str], np.ndarray]:
    values[5, 0] = np.nan
    return ids, values


@pytest.mark.parametrize(
    ("change", "info", "expected"),
    [
        (with_nan, {}, "feature: NaN or infinite values in 1 rows, first '"),
        (lambda ids, values: (ids[1:], values[1:]), {}, "299 rows, the data set has 300"),
        (lambda ids, values: (ids[::-1], values), {}, "id: row ids differ from the data set's"),
        (
            lambda ids, values: (ids, values),
            {"data_hash": "x"},
            "data_hash: made from another version of the data",
        ),
    ],
    ids=["nan", "rows", "ids", "data"],
)
def test_features_that_do_not_fit(scratch: Project, change: Any, info: dict[str, str], expected: str) -> None:
    file = scratch.folder / "features/training/image/vit/captions.arrow"
    spoil(file, change, **info)
    for search in (["train_hyma"], ["train_grid"]):
        message = refused(scratch, *search)
        assert message.startswith(f"error: features/training/image/vit/captions.arrow: {expected}")


def test_features_of_another_width(scratch: Project) -> None:
    """Benchmark features narrower than those that the connector was trained on."""
    file = scratch.folder / "features/benchmarks/image/vit/coco.arrow"
    spoil(file, lambda ids, values: (ids, values[:, :-1]))
    for kind in ("searches", "grid"):
        assert (
            "features/benchmarks/image/vit/coco.arrow: feature: width is 63, the connectors were trained on 64"
            in refused(scratch, "evaluate", kind)
        )


def test_damaged_features(scratch: Project) -> None:
    file = scratch.folder / "features/training/image/vit/captions.arrow"
    file.write_bytes(file.read_bytes()[:1000])
    message = refused(scratch, "train_hyma")
    assert "features/training/image/vit/captions.arrow: damaged (features cannot be read" in message
    assert "delete it and run `dvc repro`" in message


def test_cuda_where_there_is_none(scratch: Project) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    params = scratch.params()
    params["device"] = "cuda"
    scratch.write_params(params)
    scratch.run("python", "-m", "stages.check")
    message = refused(scratch, "train_hyma")
    assert (
        message
        == "error: params.yaml: device: cuda is not available on this machine; set it to auto or cpu\n"
    )


def test_nothing_is_left_when_a_stage_is_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "x.arrow"

    def chunks() -> Any:
        yield ["a"], np.zeros((1, 2), np.float32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features.write(file, features.FeatureInfo("e", "d", 2, 1.0), chunks())
    assert list(tmp_path.iterdir()) == []


def test_a_training_picture_in_a_benchmark_is_found_refused_or_dropped(scratch: Project) -> None:
    raw = scratch.folder / "data/raw"
    trained = sorted((raw / "llava").rglob("*.jpg"))[5]
    judged = sorted((raw / "flickr8k/Images").iterdir())[-1]
    shutil.copy(trained, judged)
    scratch.run("python", "-m", "stages.prepare", "benchmarks", "flickr8k")
    told = scratch.run("python", "-m", "stages.leaks")
    assert "1 of 300 training pictures are in a benchmark, too" in told
    found = json.loads((scratch.folder / "metrics/leaks.json").read_text())["benchmarks"]["flickr8k"]
    assert (found["pictures"], found["shared"]) == (12, 1)
    assert found["examples"] == [[str(trained.relative_to(raw / "llava")), judged.name]]
    left_out = scratch.folder / "features/training/left_out.json"
    assert json.loads(left_out.read_text()) == []
    for action in ("refuse", "drop"):
        scratch.write_params(scratch.params() | {"leaks": action})
        scratch.run("python", "-m", "stages.check")
        if action == "refuse":
            message = refused(scratch, "leaks")
            assert "benchmarks.flickr8k: 1 of its 12 pictures are training pictures too" in message
    scratch.run("python", "-m", "stages.leaks")
    assert json.loads(left_out.read_text()) == [5]

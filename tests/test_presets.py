"""The presets: whole experiments that are valid, hold the paper's facts, and make the pipeline that they should."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from hyma.common import params
from hyma.encoders.base.params import HUB
from hyma.methods import load
from hyma.plan.experiment import Experiment
from hyma.stitching import flops
from hyma.stitching.connectors import ConnectorSpec
from tests.imports import ROOT
from tests.project import ENVIRONMENT

PRESETS = sorted((ROOT / "presets").glob("*.yaml"))
PAPER = {"paper-3": 3, "paper-27": 27}
IMAGES = {
    "vit_small_patch16_224.augreg_in21k_ft_in1k": 384,
    "deit_small_patch16_224.fb_in1k": 384,
    "deit3_small_patch16_224.fb_in1k": 384,
    "vit_base_patch16_224.augreg_in21k_ft_in1k": 768,
    "deit_base_patch16_224.fb_in1k": 768,
    "deit3_base_patch16_224.fb_in22k_ft_in1k": 768,
    "vit_large_patch16_224.augreg_in21k_ft_in1k": 1024,
    "deit3_large_patch16_384.fb_in22k_ft_in1k": 1024,
    "eva02_large_patch14_448.mim_m38m_ft_in22k_in1k": 1024,
}
TEXTS = {"all-MiniLM-L12-v2": 384, "all-mpnet-base-v2": 768, "all-roberta-large-v1": 1024}
CAPTIONS = 558_128 - 1_000
"""What CC3M-558K leaves to train on: at most 1,000 images are held out."""


def preset(name: str) -> Experiment:
    file = ROOT / f"presets/{name}.yaml"
    return params.validate(params.load(file), Experiment, file)


def test_all_are_here() -> None:
    assert [file.stem for file in PRESETS] == ["own-data", "paper-27", "paper-3"]


@pytest.mark.parametrize("name", [file.stem for file in PRESETS])
def test_valid_to_the_last_section(name: str) -> None:
    found = preset(name)
    sections = found.search.model_extra or {}
    assert list(sections) == found.search.methods
    for method, content in sections.items():
        params.validate(content, load(method).Params, key=f"search.{method}")
    assert (found.world, found.zoo.image, found.zoo.text) == ({}, {}, {})
    assert found.device == "auto"
    encoders = [*found.image_encoders.values(), *found.text_encoders.values()]
    assert {encoder.weights for encoder in encoders} == {HUB}
    assert {"classification", "retrieval"} <= {TASKS[data.format] for data in found.benchmarks.values()}


TASKS = {
    "imagenet": "classification", "cifar100": "classification", "folders": "classification",
    "coco": "retrieval", "flickr8k": "retrieval", "captions": "retrieval", "okvqa": "vqa", "textvqa": "vqa",
}  # fmt: skip
"""Of benchmarks; the probes need one of each of the first two."""


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_facts(name: str) -> None:
    found, pairs = preset(name), PAPER[name]
    small = pairs == 3
    images = [encoder.name for encoder in found.image_encoders.values()]
    texts = [encoder.name for encoder in found.text_encoders.values()]
    assert images == list(IMAGES)[: 3 if small else 9]
    assert texts == [f"sentence-transformers/{text}" for text in list(TEXTS)[: 1 if small else 3]]
    assert len(images) * len(texts) == pairs
    connector = found.connector
    assert (connector.kind, connector.hidden, connector.normalise) == ("mlp1", 1024, "l2")
    assert connector.logit_scale == 100
    hyma = found.hyma
    assert (hyma.decoder, hyma.bm, hyma.batch, hyma.epochs) == ("dense", 1 if small else 9, 512, 10)
    assert (hyma.lr, hyma.code_dim, hyma.widths) == (0.01, 32, [128, 512])
    assert hyma.warmup > 0
    assert (found.grid.batch, found.grid.epochs, found.evaluate.protocol) == (16384, 10, "paper")
    assert flops.steps(CAPTIONS, found.grid.batch, found.grid.epochs) == 340
    data = {entry.format: entry.path for entry in (*found.training.values(), *found.benchmarks.values())}
    assert data == {
        format_: f"data/real/{'llava-pretrain' if format_ == 'llava' else format_}"
        for format_ in ("llava", "imagenet", "cifar100", "coco", "flickr8k", "okvqa", "textvqa")
    }


@pytest.mark.parametrize("name", PAPER)
def test_constrained_search_sees_what_hyma_shows_each_pair(name: str) -> None:
    found = preset(name)
    shown = flops.steps(CAPTIONS, found.hyma.batch, found.hyma.epochs) * found.hyma.batch * found.hyma.bm
    section: dict[str, Any] = (found.search.model_extra or {})["cgs"]
    assert section["samples"] == shown // PAPER[name]
    assert section["batch"] == found.hyma.batch


@pytest.mark.parametrize("name", PAPER)
def test_budgets_are_what_the_comments_say(name: str) -> None:
    found = preset(name)
    specs = {
        (image.name, text.name): ConnectorSpec("mlp1", TEXTS[text.name.partition("/")[2]], IMAGES[image.name])
        for image in found.image_encoders.values()
        for text in found.text_encoders.values()
    }
    # FLOPs grow with the batch and its square: two small batches tell those of a large one.
    one, two = (sum(flops.grid(specs, 512 * times, 1).values()) for times in (1, 2))
    times = found.grid.batch // 512
    step = times * one + times * (times - 1) / 2 * (two - 2 * one)
    whole = step * flops.steps(CAPTIONS, found.grid.batch, found.grid.epochs)
    said = re.search(r"grid search takes (\S+)", (ROOT / f"presets/{name}.yaml").read_text())
    assert said is not None
    assert whole == pytest.approx(float(said[1]), rel=0.05)
    section: dict[str, Any] = (found.search.model_extra or {})["autopair"]
    assert section["flops"] == pytest.approx(whole / 8, rel=0.05)
    assert found.refine.flops == pytest.approx(whole / 18, rel=0.15)


@pytest.mark.parametrize("name", IMAGES)
def test_the_papers_image_encoders_are_timms(name: str) -> None:
    with torch.device("meta"):  # shapes alone
        model = timm.create_model(name, pretrained=False, num_classes=0)
    assert model.num_features == IMAGES[name]
    assert timm.is_model_pretrained(name)


def test_own_data() -> None:
    found = preset("own-data")
    images = [encoder.name for encoder in found.image_encoders.values()]
    assert all(timm.is_model_pretrained(name) for name in images)
    assert (found.hyma.decoder, found.grid.batch) == ("factorised", 512)
    assert found.hyma.bm == len(images) * len(found.text_encoders)
    assert {entry.path.rpartition("/")[0] for entry in found.benchmarks.values()} == {"data/own"}


STAND_INS = """
from pathlib import Path
from dvc.repo import Repo
for out in Repo(".").index.outs:
    path = Path(out.fs_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch() if path.suffix else path.mkdir(exist_ok=True)
"""


@pytest.mark.parametrize("name", [file.stem for file in PRESETS])
def test_pipeline(tmp_path: Path, name: str) -> None:
    """A dry run of the real pipeline, with empty folders in the place of data and results."""
    found = preset(name)
    for part in ("hyma", "stages"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file, place in (("dvc.yaml", "dvc.yaml"), (f"presets/{name}.yaml", "params.yaml"), (HUB, HUB)):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / place)
    for data in (*found.training.values(), *found.benchmarks.values()):
        (tmp_path / data.path).mkdir(parents=True)

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, text=True, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("dvc", "init", "-q", "--no-scm")
    run(sys.executable, "-c", STAND_INS)
    ran = re.findall(r"Running stage '([^']+)'", run("dvc", "repro", "--dry"))
    images, texts = len(found.image_encoders), len(found.text_encoders)
    assert Counter(stage.partition("@")[0] for stage in ran) == {
        "check": 1, "prepare_training": 1, "prepare": len(found.benchmarks),
        "extract_image": images, "extract_image_benchmarks": images,
        "extract_text": texts, "extract_text_benchmarks": texts,
        "train_hyma": 1, "refine": 1, "train_grid": images * texts,
        "search": len(found.search.methods), "probe": 1, "profile": 1,
        "evaluate": len(found.benchmarks), "rank": 1, "report": 1, "page": 1, "export": 1,
    }  # fmt: skip

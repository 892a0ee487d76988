"""The presets: whole experiments that are valid, hold the paper's facts, and make the pipeline that they should."""

import re
import socket
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml

from hyma.common import params
from hyma.encoders.base.params import HUB
from hyma.fetched.params import FOLDER
from hyma.methods import load
from hyma.plan import missing
from hyma.plan.experiment import Experiment, read
from hyma.plan.gather import gather
from hyma.plan.page import page
from hyma.stitching import flops, grid
from hyma.stitching.shapes import Shapes
from tests.project import pipeline_alone
from tests.root import ROOT

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
    assert [file.stem for file in PRESETS] == ["own-data", "paper-27", "paper-3", "real"]


@pytest.mark.parametrize("name", [file.stem for file in PRESETS])
def test_valid_to_the_last_section(name: str) -> None:
    found = preset(name)
    sections = found.search.model_extra or {}
    assert sections.keys() <= set(found.search.methods)
    for method, content in sections.items():
        params.validate(content, load(method).Params, key=f"search.{method}")
    assert (found.world, found.zoo.image, found.zoo.text) == ({}, {}, {})
    assert found.device == "auto"
    encoders = [*found.image_encoders.values(), *found.text_encoders.values()]
    fetched = {f"{FOLDER}/{thing}" for thing in found.fetch}
    for encoder in encoders:
        assert encoder.weights == HUB or any(encoder.weights.startswith(thing) for thing in fetched)
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


def said(name: str) -> float:
    """FLOPs of grid search, as a comment of the preset has it."""
    found = re.search(r"grid search takes (\S+)", (ROOT / f"presets/{name}.yaml").read_text())
    assert found is not None
    return float(found[1])


@pytest.mark.parametrize("name", PAPER)
def test_budgets_are_what_the_comments_say(name: str) -> None:
    found = preset(name)
    images = {slug: IMAGES[own.name] for slug, own in found.image_encoders.items()}
    texts = {slug: TEXTS[own.name.partition("/")[2]] for slug, own in found.text_encoders.items()}
    shapes = Shapes.expected(images, texts, (558_128, 558_128), found.connector, found.seed)
    assert shapes.train == CAPTIONS
    whole = sum(grid.cost(shapes, found.grid).values())
    assert whole == pytest.approx(said(name), rel=0.05)
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
    assert found.hyma.decoder == "factorised"
    # It says no number: all follow from how much there is.
    given = params.load(ROOT / "presets/own-data.yaml")
    assert given.keys() == {"training", "benchmarks", "image_encoders", "text_encoders", "oracle"}
    whole = read(ROOT / "presets/own-data.yaml")
    assert whole.hyma.bm == len(images) * len(found.text_encoders)
    assert whole.search == found.search
    assert {entry.path.rpartition("/")[0] for entry in found.benchmarks.values()} == {"data/own"}


@pytest.mark.parametrize("name", [file.stem for file in PRESETS])
def test_planned_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The plan of the real pipeline where neither data nor network is there: it says so, and what would run."""
    found = preset(name)
    pipeline_alone(tmp_path, yaml.safe_load((ROOT / f"presets/{name}.yaml").read_text()))

    def refuse(*_: Any) -> None:
        raise AssertionError("the plan asks the network")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("hyma.plan.weights._cached", lambda *_: False)
    monkeypatch.setattr("hyma.plan.missing.shutil.which", lambda name: name)
    plan = gather(Path())
    stages, images, texts = plan["stages"], len(found.image_encoders), len(found.text_encoders)
    ready = "after downloads" if found.fetch else "no"
    assert (plan["ready"], stages["problem"], stages["run"]) == (ready, None, stages["total"])
    data = {f"training.{slug}" for slug in found.training} | {
        f"benchmarks.{slug}" for slug in found.benchmarks
    }
    if found.fetch:  # the run gets them by itself
        data = set()
    missing = {item["where"]: item for item in plan["missing"]["missing"]}
    assert missing.keys() == data
    if name in PAPER:
        assert (
            "https://huggingface.co/datasets/liuhaotian/LLaVA-Pretrain" in missing["training.cc3m558k"]["get"]
        )
        lines = {item["get"]: item["bytes"] for item in plan["missing"]["downloads"]}
        assert lines["hf download timm/deit_small_patch16_224.fb_in1k"] == pytest.approx(87e6, rel=0.01)
    encoders = [*found.image_encoders.values(), *found.text_encoders.values()]
    hub = [encoder for encoder in encoders if encoder.weights == HUB and ":" not in encoder.name]
    assert len(plan["missing"]["downloads"]) == len(hub) + len(found.fetch)
    ran = {stage: count["run"] for stage, count in stages["by_name"].items()}
    expected = {
        "prepare": len(found.benchmarks),
        **({"fetch": len(found.fetch)} if found.fetch else {}),
        "image_weights": images,
        "text_weights": texts,
        "extract_image": 1,
        "extract_text": 1,
        "train_hyma": 1,
    }
    assert expected.items() <= ran.items()
    assert not ran.keys() & {"world", "train_image_encoder", "train_text_encoder"}
    if name in PAPER:  # of one's own data nothing is known before they are there
        assert plan["time"]["not_estimated"] == []
        own = plan["flops"]["grid"]
        assert own["whole"] == pytest.approx(said(name), rel=0.05)
        assert own["pairs"] == min(PAPER[name], found.finals.top + found.audit.pairs)  # an audit
        assert plan["flops"]["methods"]["grid"]["total"] == pytest.approx(
            own["whole"] * own["pairs"] / own["all"]
        )
    page(plan)


def test_without_debian_its_packages_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hyma.plan.missing.shutil.which", lambda _: None)
    asked = [(item["where"], item["get"]) for item in missing.look(preset("real"), {}, {})["missing"]]
    assert ("fetch.clipart", "put openclipart-svg_*.deb into data/downloads") in asked
    assert ("fetch.stamps", "install dpkg") in asked
    assert len(asked) == 2 * 3


def test_real_is_all_defaults() -> None:
    """No setting was chosen on its benchmarks: it has none, but that all pairs are trained."""
    given = params.load(ROOT / "presets/real.yaml")
    assert given.keys() == {
        "oracle", "fetch", "training", "benchmarks", "image_encoders", "text_encoders", "search"
    }  # fmt: skip
    assert given["search"].keys() == {"methods"}
    assert len(given["image_encoders"]) >= 8
    assert len(given["text_encoders"]) >= 5
    assert given["search"]["methods"] == params.load(ROOT / "params.yaml")["search"]["methods"]

"""Miniatures of the real data sets, read, and then searched by the real pipeline with encoders of three sources.

Nothing is drawn and no encoder is trained: this is the experiment of somebody who brings both.
"""

import io
import json
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from hyma.common import prepared
from hyma.common.features import Features
from hyma.common.prepared import Prepared
from hyma.readers.base.params import DataSource
from hyma.readers.base.prepare import prepare
from tests import miniature, project
from tests.miniature import BENCHMARKS, CLASSES, Counts, Scene
from tests.test_readers import rows

MAX_UNREADABLE = {"imagenet": 0.1}
"""In a miniature one broken picture is more than the hundredth that is allowed."""
SUFFIXES = {
    "llava": ".npy", "imagenet": ".pt", "cifar100": ".safetensors", "coco": ".parquet", "flickr8k": ".arrow",
    "kaggle": ".npy", "okvqa": ".pt", "textvqa": ".parquet",
}  # fmt: skip
"""How the features of each data set come that somebody else extracted."""


class Sets:
    """All data sets in one folder, and what there is in each."""

    def __init__(self, root: Path):
        self.root = root
        self.counts = {name: write(root / name) for name, write in BENCHMARKS.items()}
        self.training = miniature.llava(root / "llava")

    def source(self, name: str) -> dict[str, Any]:
        """A line of params.yaml."""
        own = {"format": name.replace("kaggle", "flickr8k"), "path": str(self.root / name)}
        return own | ({"max_unreadable": MAX_UNREADABLE[name]} if name in MAX_UNREADABLE else {})

    def read(self, name: str, folder: Path) -> Prepared:
        part = "training" if name == "llava" else "benchmarks"
        prepare(DataSource(**self.source(name)), folder / name, f"{part}.{name}")
        return prepared.read(folder / name)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Sets:
    return Sets(tmp_path_factory.mktemp("datasets"))


@pytest.fixture(scope="module")
def found(sets: Sets, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Prepared]:
    folder = tmp_path_factory.mktemp("prepared")
    return {name: sets.read(name, folder) for name in ("llava", *BENCHMARKS)}


def counts(data: Prepared, protocol: str = "standard") -> Counts:
    """What a protocol uses of a data set."""
    images, texts = (
        sum(own in ("both", protocol) for own in rows(table, "protocol"))
        for table in (data.images, data.texts)
    )
    return Counts(images, texts, data.meta.questions, sum(one.kind == "image" for one in data.meta.skipped))


def test_all_that_can_be_read_is(sets: Sets, found: dict[str, Prepared]) -> None:
    assert counts(found["llava"]) == sets.training
    assert {name: counts(found[name]) for name in BENCHMARKS} == sets.counts
    assert counts(found["coco"], "paper") == Counts(11, 5 * 11)
    assert counts(found["imagenet"], "paper").texts == 8


def test_what_cannot_be_read_is_named(sets: Sets, found: dict[str, Prepared]) -> None:
    images = {name: [one for one in found[name].meta.skipped if one.kind == "image"] for name in found}
    lost = {Path(skipped.file).name: skipped.reason for skipped in images["llava"]}
    assert list(lost) == ["000020100.jpg", "000040200.jpg"]
    assert "unreadable" in lost["000020100.jpg"]
    assert "cannot be opened" in lost["000040200.jpg"]
    (skipped,) = images["imagenet"]
    assert Path(skipped.file).parent == sets.root / "imagenet/val/n04008634"
    assert "unreadable" in skipped.reason


def test_reasons_do_not_change_from_run_to_run(found: dict[str, Prepared]) -> None:
    """Else every run writes another meta.json, and DVC encodes everything again."""
    assert not any("0x" in skipped.reason for skipped in found["llava"].meta.skipped)


def test_each_picture_keeps_its_own_words(found: dict[str, Prepared]) -> None:
    """Of every set: what a picture shows, by the number in its name, is what its label or caption says."""
    image = rows(found["llava"].images, "id")
    for text, row in rows(found["llava"].texts, "text", "image"):
        scene = Scene(int(image[row][-8:-4]))
        assert text == f"{scene.colour} {scene.shape} - royalty free image, no {scene.number}"
    data = found["imagenet"]
    assert data.meta.classes == CLASSES
    assert [miniature.WNIDS[label] for label in rows(data.images, "label")] == [
        name.partition("/")[0] for name in rows(data.images, "id")
    ]
    assert found["cifar100"].meta.classes[1] == "aquarium fish"
    assert rows(found["cifar100"].images, "label") == [row % 9 for row in range(27)]
    numbers = {
        "coco": lambda name: int(name[-16:-4]) // (1117 if "2014" in name else 1),
        "flickr8k": lambda name: int(name.partition("_")[0]) // 99991,
        "kaggle": lambda name: int(name.partition("_")[0]),
    }
    for name, number in numbers.items():
        image = rows(found[name].images, "id")
        texts = rows(found[name].texts, "text", "image")
        for text, row in texts:
            assert text.split() in [own.split() for own in Scene(number(image[row])).sentences(7)]
        assert len(set(texts)) == 5 * len(image)


def test_questions_keep_their_pictures_and_people(found: dict[str, Prepared]) -> None:
    numbers = {
        "okvqa": lambda name: int(name[-16:-4]) - 297000,
        "textvqa": lambda name: int(name[-20:-4], 16) // 7907,
    }
    for name, number in numbers.items():
        data = found[name]
        image = rows(data.images, "id")
        for own, row, prompt, people in rows(data.questions, "id", "image", "prompt", "answers"):
            asked = int(own) - miniature.QUESTION[name]
            scene = Scene(number(image[row]))
            assert (scene.number, prompt) == (asked // 2, asked % 2)
            assert people.count(scene.colour if asked % 2 else scene.shape) == 8
            assert len(people) == 10
        assert {"circle", "circle like", "red", "grey"} <= set(data.meta.answers)


def looked_at(image: dict[str, Any]) -> np.ndarray:
    """A picture's colours on a grid of 6 × 6, mixed by lot."""
    with Image.open(io.BytesIO(image["bytes"]) if image["bytes"] else image["path"]) as picture:
        small = np.asarray(picture.convert("RGB").resize((6, 6)), np.float32).ravel() / 255
    return small @ np.random.default_rng(0).normal(size=(108, 40)).astype(np.float32)


def counted(text: str) -> np.ndarray:
    """How often the words of a text occur in it, 24 groups of them."""
    groups = [zlib.crc32(word.encode()) % 24 for word in text.lower().split()]
    return np.bincount(groups, minlength=24).astype(np.float32)


def given(folder: Path, found: dict[str, Prepared], side: str, encode: Callable[[Any], np.ndarray]) -> None:
    """Write a file of features a data set, those with ids in an order of their own."""
    folder.mkdir(parents=True)
    for name, suffix in SUFFIXES.items():
        table = found[name].images if side == "image" else found[name].texts
        ids, feature_ND = rows(table, "id"), np.stack([encode(item) for item in rows(table, side)])
        file = folder / f"{name}{suffix}"
        columns = pa.table({"id": ids[::-1], "feature": list(feature_ND[::-1])})
        if suffix == ".npy":
            np.save(file, feature_ND)
        elif suffix == ".pt":
            torch.save(torch.tensor(feature_ND), file)
        elif suffix == ".safetensors":
            save_file({"feature": torch.tensor(feature_ND)}, file)
        elif suffix == ".parquet":
            pq.write_table(columns, file)
        else:
            with pa.ipc.new_file(str(file), columns.schema) as writer:
                writer.write_table(columns)


def checkpoint(folder: Path, arch: str) -> None:
    """An untrained timm model as the hub lays it out: written by timm, or by hand as older ones were."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(arch)
    if arch == "test_vit":
        timm.models.save_for_hf(model, str(folder), safe_serialization=True)
        return
    folder.mkdir(parents=True)
    shape = {"input_size": [3, 96, 96], "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "num_classes": 1000}
    config = {"architecture": arch, "num_classes": 1000, "pretrained_cfg": shape}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / "model.safetensors")


def sentence_encoder(folder: Path, scratch: Path, texts: Iterable[str]) -> None:
    """An untrained BERT of one layer that knows the words of `texts`."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=32, **names).save_pretrained(scratch)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=32,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(scratch)
    body = Transformer(str(scratch), max_seq_length=32)
    SentenceTransformer(modules=[body, Pooling(32)], device="cpu").save(str(folder), create_model_card=False)


def experiment(params: dict[str, Any], sets: Sets) -> dict[str, Any]:
    """The tests' small experiment, with data and encoders brought along."""
    params["world"], params["zoo"] = {}, {"image": {}, "text": {}}
    params["training"] = {"llava": sets.source("llava")}
    # Every set shows the same few things, so that pictures of some are those of others.
    params["benchmarks"] = {name: sets.source(name) | {"max_leaked": 1} for name in BENCHMARKS}
    params["image_encoders"] = {
        "vit": {"source": "timm", "name": "test_vit", "weights": "weights/vit"},
        "resnet": {"source": "timm", "name": "test_resnet", "weights": "weights/resnet"},
        "looked": {"source": "precomputed", "name": "colours", "weights": "weights/looked"},
    }
    params["text_encoders"] = {
        "bert": {"source": "sentence-transformers", "name": "bert", "weights": "weights/bert"},
        "counted": {"source": "precomputed", "name": "words", "weights": "weights/counted"},
    }
    params["search"] |= {"methods": ["cca"], "recorded": {}}
    return params


IMAGES = {"vit", "resnet", "looked"}
PAIRS = {f"{image}-{text}" for image in IMAGES for text in ("bert", "counted")}


@pytest.fixture(scope="module")
def run(
    sets: Sets, found: dict[str, Prepared], tmp_path_factory: pytest.TempPathFactory
) -> tuple[project.Project, list[str]]:
    """The experiment after `dvc repro`, and the stages that ran."""
    made = project.create(tmp_path_factory.mktemp("project"))
    weights = made.folder / "weights"
    checkpoint(weights / "vit", "test_vit")
    checkpoint(weights / "resnet", "test_resnet")
    words = [text for data in found.values() for text in rows(data.texts, "text")]
    sentence_encoder(weights / "bert", tmp_path_factory.mktemp("bert"), words)
    given(weights / "looked", found, "image", looked_at)
    given(weights / "counted", found, "text", counted)
    made.write_params(experiment(made.params(), sets))
    return made, made.stages("repro")


def read(made: project.Project, file: str) -> Any:
    return json.loads((made.folder / file).read_text())


def test_nothing_is_drawn_or_trained_but_connectors(run: tuple[project.Project, list[str]]) -> None:
    ran = run[1]
    own = project.without_instance(ran)
    assert not own & {"world", "train_image_encoder", "train_text_encoder"}
    assert {path.stem for path in (run[0].folder / "models/grid").glob("*.safetensors")} == PAIRS
    assert {stage.partition("@")[2] for stage in ran if ":prepare@" in stage} == set(BENCHMARKS)
    assert run[0].stages("repro") == []


def test_all_pairs_are_ranked_on_all_benchmarks(run: tuple[project.Project, list[str]]) -> None:
    ranking = read(run[0], "metrics/ranking.json")
    assert ranking["pairs"] == 6
    assert ranking["winner"]["pair"] in PAIRS
    assert list(ranking["benchmarks"]) == list(BENCHMARKS)
    methods = {"grid", "hyma", "refine", "cca"}
    for content in ranking["benchmarks"].values():
        assert methods <= set(content["methods"]) <= methods | {"unimodal"}
        for entry in content["methods"].values():
            assert entry["pair"] in PAIRS or entry["picks"] > 1  # several as good
            assert 0 <= entry["oracle_score"] <= 1
    assert all(cost["flops"] > 0 for cost in ranking["cost"].values())


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmarks_are_as_large_as_their_files(
    run: tuple[project.Project, list[str]], sets: Sets, name: str
) -> None:
    content = read(run[0], f"metrics/benchmarks/{name}.json")
    measured = Counts(*(content[key] for key in ("images", "texts", "questions", "skipped")))
    assert measured == sets.counts[name]
    assert ("paper" in content["protocols"]) == (content["task"] != "vqa")
    own = read(run[0], f"metrics/grid/{name}.json")
    assert own | {"protocols": {}} == content | {"protocols": {}}
    for protocol, measured in content["protocols"].items():
        methods = measured["methods"] | own["protocols"][protocol]["methods"]
        for method in ("grid", "hyma", "cca"):
            assert set(methods[method]) == PAIRS
            assert all(0 <= parts[part]["score"] <= 1 for parts in methods[method].values() for part in parts)


def test_features_brought_along_cost_nothing_and_stay_what_they_were(
    run: tuple[project.Project, list[str]], found: dict[str, Prepared]
) -> None:
    extraction = read(run[0], "metrics/flops.json")["extraction"]
    assert {slug for slug, cost in extraction.items() if cost["total"] == 0} == {"looked", "counted"}
    for name in SUFFIXES:
        part = "training" if name == "llava" else "benchmarks"
        for slug, side, encode in (("looked", "image", looked_at), ("counted", "text", counted)):
            table = found[name].images if side == "image" else found[name].texts
            kept = Features(run[0].folder / f"features/{part}/{side}/{slug}/{name}.arrow")
            assert kept.ids.to_pylist() == rows(table, "id")
            expected = [encode(item) for item in rows(table, side)]  # type: ignore[operator]
            np.testing.assert_allclose(kept.to_numpy(), expected, rtol=1e-6)


def test_the_report_names_all_encoders_and_what_was_left_out(run: tuple[project.Project, list[str]]) -> None:
    ranking = read(run[0], "metrics/ranking.json")
    page = (run[0].folder / "reports/ranking.md").read_text()
    assert f"**Stitch {ranking['winner']['pair'].replace('-', ' × ')}.**" in page
    for slug in ("vit", "resnet", "looked", "bert", "counted"):
        assert slug in page
    assert "## Left out" in page
    assert "000020100.jpg" in page
    assert "n04008634" in page

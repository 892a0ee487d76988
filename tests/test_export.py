"""From a run to a model: which pair is taken, and what the card says of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard, metadata_load
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from hyma import HymaError, StitchedModel
from hyma.common.files import sha256_file
from hyma.model import export
from hyma.model.card import Run
from hyma.model.config import CONFIG
from hyma.model.of_run import choose
from hyma.model.params import ExportParams
from tests.models import model
from tests.project import Project

RANKING: dict[str, Any] = {
    "pairs": 2,
    "oracle": "grid",
    "trained": {"oracle": "full", "pairs": ["resnet-words", "vit-words"]},
    "audit": None,
    "protocol": "standard",
    "winner": {"pair": "resnet-words", "method": "grid"},
    "methods": {"grid": {"label": "grid search"}, "hyma": {"label": "HYMA"}, "cka": {"label": "CKA"}},
    "scores": {
        "grid": {"resnet-words": {"mean": 0.5}, "vit-words": {"mean": 0.6}},
        "hyma": {"resnet-words": {"mean": 0.4}, "vit-words": {"mean": None}},
    },
    "choosing": {
        "grid": {"resnet-words": 0.45, "vit-words": 0.4},
        "hyma": {"resnet-words": 0.42, "vit-words": None},
    },
    "order": {"grid": ["vit-words", "resnet-words"], "hyma": ["resnet-words", "vit-words"]},
    "mean": {"grid": {"spearman": 1.0}, "hyma": {"spearman": 0.75}},
    "cost": {
        "grid": {"flops": 4e9, "cpu_seconds": 8.0, "flops_ratio": 1.0},
        "hyma": {"flops": 1e9, "cpu_seconds": 2.0, "flops_ratio": 4.0},
    },
}


def benchmark(task: str, metric: str, values: dict[str, float]) -> dict[str, Any]:
    found = {"grid": {"resnet-words": {"choose": dict.fromkeys(values, 0.9), "report": values}}}
    return {
        "task": task,
        "metric": metric,
        "protocol": "standard",
        "images": 15,
        "parts": {"choose": 8, "report": 7, "all": 15},
        "questions": 0,
        "chance": 0.02,
    } | {"protocols": {"standard": {"methods": found}}}


RUN = Run(
    ranking=RANKING,
    benchmarks={
        "mine": benchmark("classification", "top-1 accuracy", {"score": 0.25, "top1": 0.25, "top5": 0.5}),
        "coco": benchmark("retrieval", "mean recall", {"score": 0.4, "i2t_r1": 0.3, "t2i_r5": 0.123456}),
    },
    formats={"mine": "folders", "coco": "coco"},
    trained_on="captions (llava)",
)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, ("resnet-words", "grid")),
        ({"pair": "vit-words"}, ("vit-words", "grid")),
        ({"method": "hyma"}, ("resnet-words", "hyma")),
    ],
)
def test_which_pair_and_whose_connector(chosen: dict[str, str], expected: tuple[str, str]) -> None:
    assert choose(ExportParams(**chosen), RANKING) == expected


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"pair": "vit-word"}, "export.pair: no pair 'vit-word' in this run; there are 2, such as vit-words"),
        ({"method": "cka"}, "export.method: 'cka' has no connectors; choose one of grid, hyma"),
        (
            {"pair": "vit-words", "method": "hyma"},
            "export.method: hyma failed on vit-words; choose one of grid",
        ),
    ],
)
def test_what_cannot_be_exported(chosen: dict[str, str], message: str) -> None:
    with pytest.raises(HymaError) as caught:
        choose(ExportParams(**chosen), RANKING)
    assert str(caught.value).startswith(message)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    export.write(model(), tmp_path, RUN)
    return tmp_path


def test_the_card_holds_the_runs_figures(exported: Path) -> None:
    card = ModelCard.load(exported / "README.md")
    assert card.data.model_name == "hyma-resnet-words"
    found = {
        (r.task_type, r.dataset_type, r.dataset_name, r.metric_type, r.metric_name): r.metric_value
        for r in card.data.eval_results
    }
    classified = ("zero-shot-image-classification", "folders", "mine", "accuracy")
    retrieved = ("image-text-retrieval", "coco", "coco", "recall")
    assert found == {
        (*classified, "top-1 accuracy"): 25.0,
        (*classified, "top-5 accuracy"): 50.0,
        (*retrieved, "mean recall"): 40.0,
        (*retrieved, "image to text recall@1"): 30.0,
        (*retrieved, "text to image recall@5"): 12.35,
    }
    for line in (
        "| mine | top-1 accuracy | 25.0 | 2.0 | top-5 accuracy 50.0 | 7 |",
        "Of 2 pairs, grid search puts this one in place 2.",
        "- HYMA: 1 GFLOPs, 2.0 s of CPU time, 4.0× fewer FLOPs than grid search; ρ = 0.750 with its ranking",
        "| image | timm | `test_resnet` | – | `image_encoder`, in this folder | 96 |",
        "mean over the benchmarks 50.0",
    ):
        assert line in card.text


def test_the_card_passes_the_hubs_own_checks(exported: Path) -> None:
    metadata = metadata_load(exported / "README.md")
    name, results = model_index_to_eval_results(metadata["model-index"])
    assert eval_results_to_model_index(name, results) == metadata["model-index"]
    card = ModelCard.load(exported / "README.md")
    assert ModelCard(str(card)).data.to_dict() == card.data.to_dict() == metadata
    assert (metadata["license"], metadata["license_name"]) == ("other", "those-of-the-encoders")


def test_the_ranking_lies_beside_the_model_and_is_kept(
    exported: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert json.loads((exported / "ranking.json").read_text()) == RANKING
    again = tmp_path_factory.mktemp("again")
    StitchedModel.from_pretrained(exported, device="cpu").save_pretrained(again)
    for name in ("README.md", "ranking.json", CONFIG):
        assert (again / name).read_bytes() == (exported / name).read_bytes()


def test_the_winner_is_exported_with_the_run(done: Project) -> None:
    best = done.folder / "models/best"
    config = json.loads((best / CONFIG).read_text())
    ranking = json.loads((done.folder / "metrics/ranking.json").read_text())
    assert {key: config[key] for key in ("pair", "method")} == {
        key: ranking["winner"][key] for key in ("pair", "method")
    }
    assert config["logit_scale"] == done.params()["connector"]["logit_scale"]
    assert all(sha256_file(best / name) == digest for name, digest in config["files"].items())
    pictures = sorted((done.folder / "data/raw/imagenet/val").glob("*/*.JPEG"))[:3]
    found = StitchedModel.from_pretrained(best, device="cpu").classify(pictures, ["a snowman", "an anchor"])
    torch.testing.assert_close(found.sum(1), torch.ones(3))
    assert len(ModelCard.load(best / "README.md").data.eval_results) > len(ranking["benchmarks"])


def test_another_pair_by_command(done: Project) -> None:
    out = done.folder / "models/exported/byobnet-words"
    printed = done.run("hyma", "export", "byobnet-words", "--method", "hyma", "--json")
    said = json.loads(printed[printed.index("{") :])
    assert said == {
        "pair": "byobnet-words",
        "method": "hyma",
        "folder": "models/exported/byobnet-words",
        "url": None,
    }
    config = json.loads((out / CONFIG).read_text())
    assert (config["pair"], config["method"]) == ("byobnet-words", "hyma")
    assert "error: export.pair: no pair 'a-b'" in done.run("hyma", "export", "a-b", code=1)

"""An exported model, evaluated by clip-benchmark on the raw data sets: its figures are the report's.

Nothing of ours but the model's open_clip view takes part: pictures are opened by torchvision, prompts are
clip-benchmark's own, captions are read from the annotations' file here.
``python -m tests.test_peer_model [PROJECT]`` does it for a project that has run, with clip-benchmark as it is.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder

from hyma import StitchedModel
from hyma.model.open_clip_view import OpenClipView
from tests.project import Project
from tests.test_peer import bench, peer, published  # noqa: F401  # a fixture

LABELS = "zeroshot_classification_templates"


class Captioned(Dataset):
    """Karpathy's test split: a picture and the first five of its captions."""

    def __init__(self, root: Path, transform: Any):
        records = json.loads((root / "dataset_coco.json").read_text())["images"]
        self.records = [record for record in records if record["split"] == "test"]
        self.root, self.transform = root, transform

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, list[str]]:
        record = self.records[number]
        picture = Image.open(self.root / record["filepath"] / record["filename"]).convert("RGB")
        return self.transform(picture), [entry["raw"] for entry in record["sentences"][:5]]


def together(batch: list[tuple[torch.Tensor, list[str]]]) -> tuple[torch.Tensor, list[list[str]]]:
    return torch.stack([image for image, _ in batch]), [texts for _, texts in batch]


def accuracy(evaluate: Any, view: OpenClipView, root: Path) -> dict[str, float]:
    """Accuracy on ``val/<wnid>/``, with the 80 prompts that clip-benchmark has for ImageNet."""
    pictures = ImageFolder(root / "val", transform=view.preprocess)
    names = json.loads((root / "classnames.json").read_text())
    found = evaluate(
        view,
        DataLoader(pictures, batch_size=100),
        view.tokenizer,
        [names[wnid] for wnid in pictures.classes],
        published(LABELS, "imagenet1k"),
        "cpu",
        amp=False,
    )
    return {"top1": found["acc1"], "top5": found["acc5"]}


def recall(evaluate: Any, view: OpenClipView, root: Path) -> dict[str, float]:
    """Recall at 1, 5 and 10, both ways."""
    loader = DataLoader(Captioned(root, view.preprocess), batch_size=50, collate_fn=together)
    found = evaluate(view, loader, view.tokenizer, "cpu", amp=False, recall_k_list=[1, 5, 10])
    ways = {"i2t": "text", "t2i": "image"}  # it names what is found, we what is asked
    return {
        f"{way}_r{k}": found[f"{side}_retrieval_recall@{k}"] for way, side in ways.items() for k in (1, 5, 10)
    }


def reported(project: Path, benchmark: str, model: StitchedModel) -> dict[str, float]:
    """What the run says of the model's connector."""
    content = json.loads((project / f"metrics/benchmarks/{benchmark}.json").read_text())
    return content["protocols"]["standard"]["methods"][model.method][model.pair]["all"]


def compared(project: Path, classify: Any, retrieve: Any) -> Iterator[tuple[str, float, float]]:
    """Yield figure by figure: its name, clip-benchmark's, the report's."""
    model = StitchedModel.from_pretrained(project / "models/best", device="cpu")
    view = model.as_open_clip().eval()
    for name, evaluate, measure in (("imagenet", classify, accuracy), ("coco", retrieve, recall)):
        ours = reported(project, name, model)
        for key, value in measure(evaluate, view, project / "data/raw" / name).items():
            yield f"{name} {key}", value, ours[key]


@peer
def test_clip_benchmark_gives_the_reports_figures(done: Project, bench: SimpleNamespace) -> None:  # noqa: F811
    found = list(compared(done.folder, bench.classification.evaluate, bench.retrieval.evaluate))
    assert len(found) == 8
    for name, theirs, ours in found:
        assert theirs == pytest.approx(ours, abs=0.001), name


def main(project: Path) -> None:
    """Print both figures, in points; fails where they differ by more than 0.1."""
    from clip_benchmark.metrics import zeroshot_classification, zeroshot_retrieval

    for name, theirs, ours in compared(
        project, zeroshot_classification.evaluate, zeroshot_retrieval.evaluate
    ):
        print(f"{name:16} clip-benchmark {100 * theirs:6.2f}   report {100 * ours:6.2f}")
        assert abs(theirs - ours) <= 0.001


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))

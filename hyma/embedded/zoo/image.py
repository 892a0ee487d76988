"""Training a small timm image encoder on labels alone, and saving it in the hub's layout."""

import json
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from hyma.common.errors import HymaError
from hyma.common.files import atomic, read_json, write_json
from hyma.embedded.zoo.params import ZooImageParams

BATCH = 64


def train(labels: Path, out: Path, params: ZooImageParams, seed: int) -> dict[str, float]:
    """Train on the labelled pictures of the folder `labels`; write config.json and weights to `out`.

    Returns:
        The training accuracy of the last epoch by label.

    Raises:
        HymaError: if timm does not know the architecture.
    """
    place = f"params.yaml: zoo.image.{out.name}"
    if not timm.is_model(params.arch):
        raise HymaError(f"{place}.arch: timm has no model {params.arch!r}")
    torch.use_deterministic_algorithms(True, warn_only=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = timm.create_model(params.arch, num_classes=0, **params.model_args)
        except (TypeError, ValueError, AssertionError) as error:
            raise HymaError(f"{place}.model_args: {params.arch} does not take them ({error})") from None
        pixels_N3HW, targets = _load(labels, params)
        heads = nn.ModuleDict()
        with torch.no_grad():
            width = model.eval()(pixels_N3HW[:2]).shape[1]
        for name, target_N in targets.items():
            heads[name] = nn.Linear(width, max(1, int(target_N.max()) + 1))
        accuracy = _fit(model, heads, pixels_N3HW, targets, params)
    _save(model, out, params)
    return accuracy


def _load(labels: Path, params: ZooImageParams) -> tuple[Tensor, dict[str, Tensor]]:
    """Pictures as [N, 3, size, size] in -1..1, and the class numbers of each label (-1: absent)."""
    pictures = [
        np.asarray(Image.fromarray(pixels).resize((params.size, params.size), Image.Resampling.BICUBIC))
        for pixels in np.load(labels / "images.npy", mmap_mode="r")
    ]
    pixels_N3HW = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    columns = read_json(labels / "labels.json")
    return pixels_N3HW, {name: torch.tensor(columns[name]) for name in params.labels}


def _fit(
    model: nn.Module,
    heads: nn.ModuleDict,
    pixels_N3HW: Tensor,
    targets: dict[str, Tensor],
    params: ZooImageParams,
) -> dict[str, float]:
    parameters = [*model.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=params.lr, weight_decay=0.02, fused=True)
    size = min(BATCH, len(pixels_N3HW))
    steps = max(1, params.epochs * (len(pixels_N3HW) // size))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, params.lr, total_steps=steps + 1)
    accuracy: dict[str, float] = {}
    for _ in tqdm(range(params.epochs), desc=params.arch, unit="epoch", disable=None):
        model.train()
        correct, labelled = dict.fromkeys(heads, 0), dict.fromkeys(heads, 0)
        order = torch.randperm(len(pixels_N3HW))
        batches = order[: len(order) - len(order) % size].split(size)
        for rows in batches:
            feature_BD = model(_augment(pixels_N3HW[rows]))
            loss = torch.zeros(())
            for name, head in heads.items():
                logits_BC = head(feature_BD)
                loss = loss + functional.cross_entropy(logits_BC, targets[name][rows], ignore_index=-1)
                correct[name] += int((logits_BC.argmax(1) == targets[name][rows]).sum())
                labelled[name] += int((targets[name][rows] >= 0).sum())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
        accuracy = {name: hits / max(1, labelled[name]) for name, hits in correct.items()}
    return accuracy


def _augment(pixels_B3HW: Tensor) -> Tensor:
    """Shift by up to two pixels, so that a few thousand pictures last several epochs."""
    down, right = torch.randint(-2, 3, (2,)).tolist()
    return torch.roll(pixels_B3HW, (down, right), dims=(2, 3))


def _save(model: nn.Module, out: Path, params: ZooImageParams) -> None:
    """Write the folder that timm loads by ``local-dir:``; weights as float16, to stay small in git."""
    config = {
        "architecture": params.arch,
        "num_classes": 0,
        "num_features": model.num_features,
        "pretrained_cfg": {
            "input_size": [3, params.size, params.size],
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "num_classes": 0,
        },
        "model_args": params.model_args,
    }
    weights = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
    }
    with atomic(out) as folder:
        folder.mkdir()
        write_json(folder / "config.json", json.loads(json.dumps(config)))
        save_file(weights, folder / "model.safetensors")

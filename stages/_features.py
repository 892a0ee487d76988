"""What the stages that search share: the training features, their sizes, and what a search on them depends on."""

from functools import cache
from pathlib import Path

from hyma.common import device, features, kept, prepared, settings
from hyma.common.experiment import names
from hyma.stitching.params import ConnectorParams
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures, load

SIDES: tuple[tuple[features.Side, str], ...] = (("image", "image_encoders"), ("text", "text_encoders"))


def training_features(images: list[str] | None = None, texts: list[str] | None = None) -> TrainingFeatures:
    """Load the features of the encoders named (all, unless given); reads the sections that it needs."""
    (name,) = names("training")
    return load(
        Path("data/prepared/training") / name,
        names("image_encoders") if images is None else images,
        names("text_encoders") if texts is None else texts,
        settings.read("connector", ConnectorParams),
        settings.read("seed", int),
        device.resolve(settings.read("device", str)),
    )


@cache
def sizes() -> Shapes:
    """What the search is about to see, by the features' sizes alone: settings that are ``auto`` follow from it."""
    (name,) = names("training")
    images, texts = (
        {
            slug: features.Features(features.file_of("training", side, slug, name)).info.dim
            for slug in names(section)
        }
        for side, section in SIDES
    )
    meta = prepared.read_meta(Path("data/prepared/training") / name)
    connector, seed = settings.read("connector", ConnectorParams), settings.read("seed", int)
    return Shapes.expected(images, texts, (meta.images, meta.texts), connector, seed)


def inputs(images: list[str], texts: list[str]) -> tuple[str, ...]:
    """Digests of all that a search on these encoders depends on, beside its own settings and code."""
    (name,) = names("training")
    files = [features.file_of("training", "image", slug, name) for slug in images]
    files += [features.file_of("training", "text", slug, name) for slug in texts]
    files += [features.LEFT_OUT] if features.LEFT_OUT.is_file() else []
    connector = settings.read("connector", ConnectorParams).model_dump_json()
    place = device.resolve(settings.read("device", str)).type
    return (*map(_content, files), connector, str(settings.read("seed", int)), place)


@cache
def _content(file: Path) -> str:
    return kept.content(file)

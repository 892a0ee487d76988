"""What the stages that search share: the training features of all encoders, as params.yaml names them."""

from pathlib import Path

from hyma.common import device, params
from hyma.stitching.params import ConnectorParams
from hyma.stitching.training_set import TrainingFeatures, load


def training_features(images: list[str] | None = None, texts: list[str] | None = None) -> TrainingFeatures:
    """Load the features of the encoders named (all, unless given); reads the sections that it needs."""
    (name,) = params.names("training")
    return load(
        Path("data/prepared/training") / name,
        Path("features/training"),
        params.names("image_encoders") if images is None else images,
        params.names("text_encoders") if texts is None else texts,
        params.read("connector", ConnectorParams),
        params.read("seed", int),
        device.resolve(params.read("device", str)),
    )

"""A small stitched model for tests: two encoders of the zoo, and a connector of random numbers."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from hyma.cli import command
from hyma.encoders.base.params import ImageEncoderParams, TextEncoderParams
from hyma.model.stitched import StitchedModel
from hyma.stitching.connectors import ConnectorSpec, Stitch, initialise
from hyma.stitching.normalise import Normaliser
from tests.root import ROOT

D_IMAGE, D_TEXT = 96, 192
IMAGE = ImageEncoderParams(source="timm", name="test_resnet", weights=str(ROOT / "zoo/resnet"))
TEXT = TextEncoderParams(source="sentence-transformers", name="words", weights=str(ROOT / "zoo/words"))


def stitch(shared: int | None = None, seed: int = 0) -> Stitch:
    """A connector of random numbers, as wide as the two encoders; two-sided if `shared` is given."""
    generator = torch.Generator().manual_seed(seed)
    spec = ConnectorSpec("mlp1", D_TEXT, D_IMAGE, 16, shared)
    image = None
    if shared is not None:
        image = initialise(ConnectorSpec("linear", D_IMAGE, shared), generator)
    drawn = [torch.randn(50, dim, generator=generator) for dim in (D_IMAGE, D_TEXT)]
    image_normaliser, text_normaliser = (Normaliser.fit("standardise", feature_ND) for feature_ND in drawn)
    return Stitch(spec, initialise(spec, generator), image_normaliser, text_normaliser, image)


def model(shared: int | None = None, seed: int = 0) -> StitchedModel:
    """The model; it gives arbitrary answers, always the same."""
    own = {"logit_scale": 50.0, "device": "cpu", "pair": "resnet-words", "method": "grid"}
    return StitchedModel(stitch(shared, seed), IMAGE, TEXT, **own)


def pictures(folder: Path, count: int = 6) -> list[Path]:
    """Write small pictures of one colour each."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number}.png" for number in range(count)]
    for number, file in enumerate(files):
        Image.new("RGB", (40, 30), (40 * number % 256, 255 - 30 * number % 256, 90)).save(file)
    return files


def ending(*arguments: str) -> str:
    """Call the command line, which should fail, and return what it ends with."""
    with pytest.raises(SystemExit) as left:
        command.main(arguments)
    return str(left.value.code)

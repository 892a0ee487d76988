"""What a model is asked with: all kinds of pictures, texts and features that it takes; a plain line for all others."""

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hyma import HymaError, ImageIndex, StitchedModel
from tests import models

RED = Image.new("RGB", (20, 30), "red")
PICTURES = "PIL pictures, paths, or arrays [H, W, 3] of uint8"
NAN = float("nan")


@pytest.fixture(scope="module")
def made() -> StitchedModel:
    return models.model()


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(HymaError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    return message


def test_pictures_of_all_kinds_in_one_list(made: StitchedModel, tmp_path: Path) -> None:
    (file,) = models.pictures(tmp_path, 1)
    with Image.open(file) as image:
        picture = image.convert("RGB")
    kinds = [picture, file, str(file), np.asarray(picture)]
    found = made.encode_image(kinds)
    for row in found:
        torch.testing.assert_close(row, found[0], atol=1e-6, rtol=0)
    for single in kinds:
        torch.testing.assert_close(made.encode_image(single), found[:1], atol=1e-5, rtol=0)
    several = made.encode_image(np.stack([np.asarray(picture)] * 3))
    torch.testing.assert_close(several, found[:3], atol=1e-5, rtol=0)
    torch.testing.assert_close(made.encode_image(kind for kind in kinds), found, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (None, f"images: None given; give {PICTURES}"),
        (5, f"images: 5 given; give {PICTURES}"),
        (1.5, "images: 1.5 given"),
        (True, "images: True given"),
        (b"\x89PNG", "images: of type bytes given"),
        ({"a": RED}, "images: of type dict given"),
        (np.zeros(3), "images: an array [3] of float64 given"),
        (np.zeros((4, 4), np.uint8), "images: an array [4, 4] of uint8 given"),
        (np.zeros((4, 4, 3)), "images: one is an array [4, 4, 3] of float64"),
        (np.zeros((4, 4, 4), np.uint8), "images: one is an array [4, 4, 4] of uint8"),
        (np.zeros((0, 4, 3), np.uint8), "images: one is an array [0, 4, 3] of uint8"),
        (np.zeros((2, 3, 4, 4), np.float32), "images: one is an array [3, 4, 4] of float32"),
        (torch.zeros(3, 48, 48), "images: a tensor [3, 48, 48] of float32 given; give a tensor [N, 3, 48, 48] of"),
        (torch.zeros(2, 1, 48, 48), "images: a tensor [2, 1, 48, 48] of float32 given"),
        (torch.zeros(2, 3, 64, 64), "images: a tensor [2, 3, 64, 64] of float32 given"),
        (torch.zeros(2, 3, 48, 48, dtype=torch.uint8), "images: a tensor [2, 3, 48, 48] of uint8 given"),
        (torch.full((2, 3, 48, 48), NAN), "images: a tensor with NaN or infinite values given"),
        (torch.zeros(0, 3, 48, 48), "images: none given; give at least one picture"),
        ([], "images: none given; give at least one picture"),
        ([RED, None], f"images: one is None; give {PICTURES}"),
        ([[RED]], "images: one is of type list"),
        ([RED, 7], "images: one is 7"),
        ([torch.zeros(3, 48, 48)], "images: one is a tensor [3, 48, 48] of float32"),
        (io.BytesIO(b"abc"), "images: of type BytesIO given"),
        ("", "images: one is ''"),
        ("no.png", "no.png: cannot be opened (No such file or directory)"),
        ("a\0b", "a\0b: embedded null byte"),
    ],
)  # fmt: skip
def test_what_is_no_picture(made: StitchedModel, images: Any, said: str) -> None:
    for call in (lambda: made.encode_image(images), lambda: made.classify(images, ["a", "b"])):
        assert refused(call).startswith(said)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (None, "texts: None given; give a list of texts"),
        (5, "texts: 5 given"),
        (b"a", "texts: of type bytes given"),
        ({"a": 1}, "texts: of type dict given"),
        ([], "texts: none given; give at least one"),
        (["a", 5], "texts: number 2 is 5; give texts"),
        (["a", None], "texts: number 2 is None"),
        ([b"a"], "texts: number 1 is of type bytes"),
        ([["a"]], "texts: number 1 is of type list"),
        (np.zeros(2), "texts: number 1 is np.float64(0.0)"),
        (torch.zeros(2), "texts: number 1 is a tensor [] of float32"),
        (["\ud800"], "texts: number 1 is no valid Unicode ('\\ud800')"),
    ],
)
def test_what_is_no_text(made: StitchedModel, texts: Any, said: str) -> None:
    assert refused(lambda: made.encode_text(texts)).startswith(said)
    if said != "texts: none given; give at least one":
        assert refused(lambda: made.classify(RED, texts)).startswith(said.replace("texts", "labels", 1))
        assert refused(lambda: made.classify(RED, ["a", "b"], texts)).startswith(
            said.replace("texts", "templates", 1)
        )


def test_labels_and_templates(made: StitchedModel) -> None:
    for empty in ("", "  ", "\n"):
        assert refused(lambda empty=empty: made.classify(RED, ["a", empty])).startswith(
            "labels: number 2 is empty"
        )
    assert refused(lambda: made.classify(RED, ["a", "b"], [])).startswith("templates: each needs {}")
    assert refused(lambda: made.classify(RED, "red")).startswith("labels: 1 given; give at least two")
    assert made.encode_text([""]).shape == (1, 96)  # an empty text is one


@pytest.mark.parametrize("size", [0, -1, 1.5, None, "8", True])
def test_sizes(made: StitchedModel, size: Any) -> None:
    for call in (lambda: made.encode_image(RED, size), lambda: made.encode_text("a", size)):
        assert refused(call) == f"batch_size: {size!r} given; give a whole number from 1 on"


@pytest.mark.parametrize(("side", "width"), [("image", 96), ("text", 192)])
def test_features(made: StitchedModel, side: str, width: int) -> None:
    embed = getattr(made, f"embed_{side}")
    good = torch.randn(3, width)
    torch.testing.assert_close(embed(good.numpy()), embed(good))
    assert embed(good.double()).dtype == torch.float32
    spoilt = good.clone()
    spoilt[1, 5], spoilt[2, 0] = NAN, float("inf")
    wanted = f"; give a tensor [N, {width}] of floating-point numbers"
    for wrong in (None, 5, "a", b"a", [[0.5] * width], good[0], good[:, :-1], good.int(), good.bool(), good[None],
                  good[:0], good.numpy().astype(int), np.array(["a"])):  # fmt: skip
        said = refused(lambda wrong=wrong: embed(wrong))
        assert said.startswith(f"{side} features: ")
        assert said.endswith(wanted)
    assert refused(lambda: embed(spoilt)).startswith(
        f"{side} features: NaN or infinite values in 2 of 3 rows, first in row 1"
    )


def test_searching(made: StitchedModel) -> None:
    index = ImageIndex.of(made, [RED], ["red"])
    assert made.search("red", index, 5)[0].path == "red"
    assert refused(lambda: made.search("", index)).startswith("query: number 1 is empty")
    assert refused(lambda: made.search(None, index)) == "query: None given; give a text"
    assert refused(lambda: made.search(["red"], index)) == "query: of type list given; give a text"
    assert (
        refused(lambda: made.search("red", "index.arrow")) == "index: 'index.arrow' given; give an ImageIndex"
    )
    assert refused(lambda: made.search("red", index, 0)) == "top: 0 given; give a whole number from 1 on"
    assert (
        refused(lambda: ImageIndex.of(made, [RED], [])) == "names: 0 given for 1 pictures; give one for each"
    )


def test_the_open_clip_view(made: StitchedModel) -> None:
    view = made.as_open_clip()
    for wrong in (None, 5, [RED], np.zeros((1, 3, 48, 48))):
        assert "give a tensor [B, 3, H, W] of pictures" in refused(
            lambda wrong=wrong: view.encode_image(wrong)
        )
    assert "give a tensor [N, 3, 48, 48]" in refused(lambda: view.encode_image(torch.zeros(2, 3, 8, 8)))
    for wrong in (None, ["a"], torch.zeros(3), torch.zeros(2, 3)):
        assert "give what `tokenizer` made" in refused(lambda wrong=wrong: view.encode_text(wrong))
    for tokens in ([[300]], [[256]], [[196, 0]]):  # no bytes, no UTF-8, a letter cut in half
        assert refused(lambda t=tokens: view.encode_text(torch.tensor(t))).startswith(
            "text: no tokens of this model"
        )
    for wrong in (None, [], [5]):
        assert refused(lambda wrong=wrong: view.tokenizer(wrong)).startswith("texts: ")


class Failing(SimpleNamespace):
    """An encoder of somebody's own."""

    dim, identity = 96, "custom|failing|1||"

    @staticmethod
    def transform(_: Image.Image) -> torch.Tensor:
        return torch.zeros(3, 4, 4)

    def encode(self, batch: torch.Tensor) -> Any:
        return self.answer(batch)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: 1 / 0, "image_encoder: the encoder fails (division by zero); see what it was given"),
        (
            lambda batch: np.zeros((len(batch) + 1, 96), np.float32),
            "image_encoder: 3 features of 2; give another",
        ),
        (
            lambda batch: np.zeros((len(batch), 95), np.float32),
            "image_encoder: its features: an array [2, 95] of",
        ),
        (
            lambda batch: np.full((len(batch), 96), NAN, np.float32),
            "image_encoder: its features: NaN or infinite",
        ),
        (lambda _: None, "image_encoder: the encoder fails"),
    ],
)
def test_an_encoder_that_fails(answer: Callable, said: str) -> None:
    model = StitchedModel(
        models.stitch(), Failing(answer=answer), models.TEXT, device="cpu", pair="resnet-words"
    )
    assert refused(lambda: model.encode_image([RED, RED])).startswith(said)


@pytest.mark.parametrize("model", [None, 5, b"models/best", ["models/best"]])
def test_what_is_no_models_name(model: Any) -> None:
    assert refused(lambda: StitchedModel.from_pretrained(model)).startswith("model: of type ")

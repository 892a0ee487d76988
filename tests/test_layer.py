"""A layer of an encoder as its features: against the libraries' own models, and every way to ask for one wrongly."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from timm.models import save_for_hf
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AlbertConfig, AutoModel, AutoTokenizer, BertModel, ModernBertConfig, Qwen3Config

from hyma.common.errors import HymaError
from hyma.common.params import validate
from hyma.embedded.zoo.params import ZooParams
from hyma.encoders.base.common import field
from hyma.encoders.base.flops import flops_per_row
from hyma.encoders.base.load import load
from hyma.encoders.base.params import ImageEncoderParams, TextEncoderParams
from hyma.model.sides import Side
from hyma.model.stitched import StitchedModel
from hyma.plan import missing, models
from hyma.plan.encoders import Encoder
from hyma.plan.experiment import Experiment
from hyma.stitching.connectors import ConnectorSpec, Stitch, initialise
from hyma.stitching.normalise import Normaliser
from tests.test_faster import assert_close, made

ZOO = Path(__file__).parent.parent / "zoo"
CPU = torch.device("cpu")
TEXTS = ["a red dog", "A small green umbrella on the left of a blue striped field", "two keys", "zzzz"]


def image_params(name: str, folder: Path, **more: Any) -> ImageEncoderParams:
    return ImageEncoderParams(source="timm", name=name, weights=str(folder), **more)


def text_params(slug: str, **more: Any) -> TextEncoderParams:
    return TextEncoderParams(source="sentence-transformers", name=slug, weights=str(ZOO / slug), **more)


def loaded(params: ImageEncoderParams | TextEncoderParams) -> Any:
    return load(params, field(params, "own"), CPU)


def pictures(encoder: Any) -> Tensor:
    noise = np.random.default_rng(0).integers(0, 256, (3, 60, 50, 3), np.uint8)
    return torch.stack([encoder.transform(Image.fromarray(picture)) for picture in noise])


def saved(name: str, folder: Path, classes: int = 5) -> Any:
    """A model with a head, in a folder of its own."""
    model: Any = made(name)
    model.reset_classifier(classes)
    save_for_hf(model, str(folder), safe_serialization=True)
    return model.eval()


@pytest.mark.parametrize("name", ["test_resnet", "test_byobnet", "test_vit", "test_vit2"])
def test_the_last_stage_is_the_features(name: str, tmp_path: Path) -> None:
    """Where nothing but a mean or a class token, and the final norm, stands between the two."""
    saved(name, tmp_path)
    plain = loaded(image_params(name, tmp_path))
    last = loaded(image_params(name, tmp_path, layer=-1))
    pixels = pictures(plain)
    assert_close(torch.from_numpy(last.encode(pixels)), torch.from_numpy(plain.encode(pixels)))


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_efficientnet", "test_mambaout", "test_vit2", "test_vit3"]
)
def test_a_stage_is_the_mean_over_its_places(name: str, tmp_path: Path) -> None:
    model = saved(name, tmp_path)
    stages = len(model.feature_info)
    for number in (0, stages - 2):
        encoder = loaded(image_params(name, tmp_path, layer=number))
        pixels = pictures(encoder)
        expected_BD = model.forward_intermediates(pixels, intermediates_only=True)[number].mean((2, 3))
        assert encoder.dim == expected_BD.shape[1] == model.feature_info[number]["num_chs"]
        assert_close(torch.from_numpy(encoder.encode(pixels)), expected_BD)


def test_a_block_of_a_transformer_is_its_class_token(tmp_path: Path) -> None:
    model, seen = saved("test_vit", tmp_path), []
    encoder = loaded(image_params("test_vit", tmp_path, layer=2))
    pixels = pictures(encoder)
    model.blocks[2].register_forward_hook(lambda *given: seen.append(given[2]))
    model(pixels)
    assert_close(torch.from_numpy(encoder.encode(pixels)), seen[0][:, 0])


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_logits_are_what_the_whole_model_gives(name: str, tmp_path: Path) -> None:
    model = saved(name, tmp_path, classes=7)
    encoder = loaded(image_params(name, tmp_path, layer="logits"))
    pixels = pictures(encoder)
    assert encoder.dim == 7
    assert_close(torch.from_numpy(encoder.encode(pixels)), model(pixels))


def test_weights_without_a_classifier_have_no_logits(tmp_path: Path) -> None:
    saved("test_resnet", tmp_path, classes=0)
    with pytest.raises(
        HymaError, match=r"^params\.yaml: image_encoders\.own\.layer: logits, but these weights have"
    ):
        loaded(image_params("test_resnet", tmp_path, layer="logits"))


def test_what_comes_after_a_stage_is_not_computed(tmp_path: Path) -> None:
    """What is frozen and counted ends there."""
    saved("test_resnet", tmp_path)
    encoders = [loaded(image_params("test_resnet", tmp_path, layer=each)) for each in (0, 2, 4, None)]
    costs = [flops_per_row(encoder) for encoder in encoders]
    assert costs[0] < costs[1] < 0.9 * costs[2]
    assert costs[2] == pytest.approx(costs[3], rel=1e-3)
    assert encoders[1].forward is not encoders[1].model


def test_identities_tell_layers_apart(tmp_path: Path) -> None:
    """However they are counted, and from each other."""
    saved("test_resnet", tmp_path)
    plain, first, third, same, logits = (
        loaded(image_params("test_resnet", tmp_path, layer=layer)).identity
        for layer in (None, 0, 3, -2, "logits")
    )
    assert third == same == f"{plain}|layer 3"
    assert (first, logits) == (f"{plain}|layer 0", f"{plain}|layer logits")
    bert, cut, ended, short = (
        loaded(text_params("things", **own)).identity
        for own in ({}, {"layer": 1}, {"layer": -2}, {"layer": 1, "truncate_dim": 5, "unit_length": True})
    )
    assert cut == ended == f"{bert}|layer 1"
    assert short == f"{cut}|first 5 values|unit length"


def states(text: str) -> tuple[Tensor, ...]:
    """What the zoo's BERT makes of one text, layer by layer, each [tokens, 128]."""
    bert = BertModel.from_pretrained(ZOO / "things", dtype=torch.float32).eval()
    tokens = Tokenizer.from_file(str(ZOO / "things/tokenizer.json")).encode(text).ids
    with torch.no_grad():
        return tuple(
            each[0] for each in bert(torch.tensor([tokens]), output_hidden_states=True).hidden_states
        )


@pytest.mark.parametrize("layer", [0, 1, 2, -1, -2, -3])
def test_a_layer_of_texts_is_the_mean_of_its_hidden_states(layer: int) -> None:
    found_BD = loaded(text_params("things", layer=layer)).encode(TEXTS)
    for text, feature_D in zip(TEXTS, found_BD, strict=True):
        np.testing.assert_allclose(feature_D, states(text)[layer].mean(0), rtol=1e-4, atol=1e-5)


def test_the_last_layer_of_texts_is_the_features() -> None:
    expected_BD = loaded(text_params("things")).encode(TEXTS)
    for layer in (2, -1):
        assert np.array_equal(loaded(text_params("things", layer=layer)).encode(TEXTS), expected_BD)


def test_every_layer_of_texts_costs_the_same() -> None:
    none, one, two = (flops_per_row(loaded(text_params("things", layer=layer))) for layer in range(3))
    assert none < 0.01 * one
    assert two - one == one - none
    assert two == flops_per_row(loaded(text_params("things")))


SIZE: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "pad_token_id": 0,
}
CONFIGS: dict[str, Any] = {
    # A norm before each layer and one after the last; layers of two kinds; one layer gone through three times.
    "qwen": Qwen3Config(**SIZE, num_key_value_heads=2, head_dim=8),
    "modernbert": ModernBertConfig(**SIZE, global_attn_every_n_layers=2),
    "albert": AlbertConfig(**SIZE, embedding_size=16),
}


def transformer(kind: str, folder: Path, *after: nn.Module) -> Any:
    """A random one of three layers, 16 wide, saved with the zoo's tokeniser and these modules after the pooling."""
    torch.manual_seed(0)
    body = AutoModel.from_config(CONFIGS[kind])
    body.save_pretrained(folder / "body")
    AutoTokenizer.from_pretrained(ZOO / "things").save_pretrained(folder / "body")
    first = Transformer(str(folder / "body"))
    model = SentenceTransformer(modules=[first, Pooling(16, "mean"), *after], device="cpu")
    model.save(str(folder / "model"))
    return body.eval()


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_a_layer_of_any_transformer(kind: str, layer: int, tmp_path: Path) -> None:
    body = transformer(kind, tmp_path)
    encoder = loaded(
        text_params("things", layer=layer).model_copy(update={"weights": str(tmp_path / "model")})
    )
    tokens = encoder.model.tokenizer(TEXTS[1], return_tensors="pt")
    tokens = {name: tokens[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        expected_TD = body(**tokens, output_hidden_states=True).hidden_states[layer][0]
    np.testing.assert_allclose(encoder.encode([TEXTS[1]])[0], expected_TD.mean(0), rtol=1e-4, atol=1e-5)


def test_what_follows_the_pooling(tmp_path: Path) -> None:
    """A dense layer is the last layer's; a division by length is any layer's."""
    transformer("albert", tmp_path, Dense(16, 5), Normalize())
    weights = {"weights": str(tmp_path / "model")}
    last, middle = (
        loaded(text_params("things", layer=layer).model_copy(update=weights)) for layer in (-1, -2)
    )
    assert (last.dim, middle.dim) == (5, 16)
    for encoder in (last, middle):
        np.testing.assert_allclose(np.linalg.norm(encoder.encode(TEXTS), axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("unit_length", [False, True])
def test_the_first_values_are_kept(unit_length: bool) -> None:
    whole_BD = loaded(text_params("words")).encode(TEXTS)[:, :64]
    length_B1 = np.linalg.norm(whole_BD, axis=1, keepdims=True) if unit_length else 1.0
    short = loaded(text_params("words", truncate_dim=64, unit_length=unit_length))
    assert short.dim == 64
    np.testing.assert_allclose(short.encode(TEXTS), whole_BD / length_B1, rtol=1e-5)


@pytest.mark.parametrize(
    ("slug", "own", "said"),
    [
        (
            "things",
            {"layer": 3},
            r"layer: 3, but there are 3 hidden states, [^;]*; give 0 to 2, or -3 to -1 from the end",
        ),
        ("things", {"layer": -4}, r"layer: -4, but there are 3 hidden states"),
        (
            "words",
            {"layer": 0},
            r"layer: only a transformer with a pooling has layers, this is StaticEmbedding; leave",
        ),
        (
            "words",
            {"truncate_dim": 193},
            r"truncate_dim: 193, but the features are 192 wide; give less, or leave it",
        ),
    ],
)
def test_texts_have_no_such_layer(slug: str, own: dict[str, Any], said: str) -> None:
    with pytest.raises(HymaError, match=rf"^params\.yaml: text_encoders\.own\.{said}[^\n]*$"):
        loaded(text_params(slug, **own))


@pytest.mark.parametrize("layer", [5, -6])
def test_pictures_have_no_such_layer(layer: int, tmp_path: Path) -> None:
    saved("test_resnet", tmp_path)
    said = rf"layer: {layer}, but there are 5 stages; give 0 to 4, or -5 to -1 from the end"
    with pytest.raises(HymaError, match=rf"^params\.yaml: image_encoders\.own\.{said}$"):
        loaded(image_params("test_resnet", tmp_path, layer=layer))


@pytest.mark.parametrize(
    ("model", "source", "own", "said"),
    [
        (
            ImageEncoderParams,
            "timm",
            {"layer": "logit"},
            "layer: should be a whole number, or logits, but it is 'logit'",
        ),
        (ImageEncoderParams, "timm", {"layer": True}, "layer: should be a"),
        (
            ImageEncoderParams,
            "open_clip",
            {"layer": 1},
            "layer: only encoders of source timm have it, this one is of",
        ),
        (
            ImageEncoderParams,
            "precomputed",
            {"layer": "logits"},
            "layer: only encoders of source timm have it",
        ),
        (
            ImageEncoderParams,
            "timm",
            {"training_features": "cc3m558k/vit_s16", "layer": 1},
            "layer: cc3m558k/vit_s16 was",
        ),
        (ImageEncoderParams, "timm", {"truncate_dim": 1}, "truncate_dim: unknown key"),
        (
            TextEncoderParams,
            "sentence-transformers",
            {"layer": "logits"},
            "layer: .* since texts have no logits, but",
        ),
        (
            TextEncoderParams,
            "sentence-transformers",
            {"layer": 0.5},
            "layer: should be a whole number, such as 4, but",
        ),
        (
            TextEncoderParams,
            "sentence-transformers",
            {"truncate_dim": 0},
            "truncate_dim: input should be greater than",
        ),
        (
            TextEncoderParams,
            "open_clip",
            {"layer": 1},
            "layer: only encoders of source sentence-transformers have it",
        ),
        (
            TextEncoderParams,
            "precomputed",
            {"truncate_dim": 4},
            "truncate_dim: only encoders of source sentence-",
        ),
    ],
)
def test_a_choice_that_makes_no_sense_is_one_line(
    model: Any, source: str, own: dict[str, Any], said: str
) -> None:
    with pytest.raises(HymaError, match=rf"^params\.yaml: own\.{said}[^\n]*$"):
        validate({"source": source, "name": "some"} | own, model, key="own")


@pytest.mark.parametrize("layer", [None, 0, 3, -1, "logits"])
def test_the_plan_knows_an_image_encoder_of_a_layer(layer: int | str | None, tmp_path: Path) -> None:
    saved("test_resnet", tmp_path)
    own = image_params("test_resnet", tmp_path, layer=layer)
    planned, encoder = models.count(own, "own", ZooParams()), loaded(own)
    assert planned.dim == encoder.dim
    # torch leaves normalisation out.
    assert 1 <= flops_per_row(encoder) / planned.flops_per_row < 1.15


@pytest.mark.parametrize("own", [{"layer": 0}, {"layer": 1}, {"layer": -1}, {"layer": 1, "truncate_dim": 7}])
def test_the_plan_knows_a_text_encoder_of_a_layer(own: dict[str, Any]) -> None:
    whole = models.count(text_params("things"), "own", ZooParams())
    planned = models.count(text_params("things", **own), "own", ZooParams())
    assert planned.dim == loaded(text_params("things", **own)).dim
    assert planned.parameters == whole.parameters
    none = models.count(text_params("things", layer=0), "own", ZooParams())
    assert planned.flops_per_row - none.flops_per_row == (own["layer"] % 3) * (
        (whole.flops_per_row - none.flops_per_row) / 2
    )


@pytest.mark.parametrize("kind", ["modernbert", "albert"])
def test_the_plan_knows_a_layer_of_other_transformers(kind: str, tmp_path: Path) -> None:
    transformer(kind, tmp_path)
    costs = [
        models.count(
            text_params("things", layer=layer).model_copy(update={"weights": str(tmp_path / "model")}),
            "own",
            ZooParams(),
        ).flops_per_row
        for layer in range(4)
    ]
    assert np.diff(costs).min() == pytest.approx(np.diff(costs).max(), rel=0.01)
    assert costs[0] < costs[1]


@pytest.mark.parametrize("slug", ["things", "words"])
def test_the_plan_is_not_ready_without_the_layer(slug: str) -> None:
    for own in (text_params(slug, layer=9), text_params(slug, truncate_dim=999)):
        with pytest.raises(HymaError) as refused:
            models.count(own, "own", ZooParams())
        found = list(
            missing.of_encoder(
                Encoder("own", own, reason=str(refused.value)), Experiment.model_construct(zoo=ZooParams())
            )
        )
        key = "layer" if own.layer else "truncate_dim"
        assert [item["where"] for item in found] == [f"text_encoders.own.{key}"]


@pytest.mark.parametrize(("image", "text"), [(2, 1), (-1, -1), ("logits", 0)])
def test_an_exported_model_takes_the_same_layers(image: int | str, text: int, tmp_path: Path) -> None:
    """In another folder, without the first; what is not chosen is not spoken of."""
    saved("test_resnet", tmp_path / "weights")
    own = (
        image_params("test_resnet", tmp_path / "weights", layer=image),
        text_params("things", layer=text, truncate_dim=9),
    )
    encoders = [loaded(each) for each in own]
    d_image, d_text = (encoder.dim for encoder in encoders)
    spec = ConnectorSpec("linear", d_text, d_image, 4)
    normalisers = [Normaliser.fit("standardise", torch.randn(20, dim)) for dim in (d_image, d_text)]
    stitch = Stitch(spec, initialise(spec, torch.Generator().manual_seed(0)), *normalisers)
    first = StitchedModel(stitch, *own, logit_scale=50.0, device="cpu", pair="own-texts")
    first.save_pretrained(tmp_path / "model")
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert (config["image_encoder"]["layer"], config["text_encoder"]["layer"]) == (image, text)
    assert config["text_encoder"]["truncate_dim"] == 9
    assert "truncate_dim" not in config["image_encoder"]
    shown = "logits" if image == "logits" else f"layer {image}"
    card = (tmp_path / "model/README.md").read_text()
    assert f"`test_resnet`, {shown} |" in card
    assert f"`things`, layer {text}, first 9 values |" in card
    (tmp_path / "model").rename(tmp_path / "moved")
    shutil.rmtree(tmp_path / "weights")
    again = StitchedModel.from_pretrained(tmp_path / "moved", device="cpu")
    pixels = pictures(encoders[0])
    assert np.array_equal(again.image_side.encode(pixels).numpy(), encoders[0].encode(pixels))
    assert np.array_equal(again.text_side.encode(TEXTS).numpy(), encoders[1].encode(TEXTS))
    plain = Side("text", "texts", text_params("things"), 96, CPU, torch.float32)
    assert plain.key != Side("text", "texts", text_params("things", layer=text), 96, CPU, torch.float32).key

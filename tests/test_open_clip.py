"""Towers of open_clip's models: a tiny one against open_clip's own features, and every way a name or folder fails."""

import json
import pickle
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from hyma.common.errors import HymaError
from hyma.encoders.base.common import field
from hyma.encoders.base.flops import flops_per_row
from hyma.encoders.base.load import load
from hyma.encoders.base.params import HUB, ImageEncoderParams, TextEncoderParams

open_clip = pytest.importorskip("open_clip")

SIZE, PATCH, WIDTH, DIM, CONTEXT = 32, 8, 16, 24, 12
TEXTS = ["a red dog", "A small green umbrella on the left of a blue striped field, and a key", "zzzz"]
CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": DIM,
        "vision_cfg": {
            "image_size": SIZE,
            "patch_size": PATCH,
            "width": WIDTH,
            "layers": 2,
            "head_width": 8,
        },
        "text_cfg": {"context_length": CONTEXT, "vocab_size": 49408, "width": WIDTH, "heads": 2, "layers": 2},
    },
    "preprocess_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2], "interpolation": "bilinear"},
}


def image_tower(
    weights: Path | str, name: str = "tiny", precision: torch.dtype = torch.float32, **more: Any
) -> Any:
    params = ImageEncoderParams(source="open_clip", name=name, weights=str(weights), **more)
    return load(params, field(params, "pic"), torch.device("cpu"), precision)


def text_tower(
    weights: Path | str, name: str = "tiny", precision: torch.dtype = torch.float32, **more: Any
) -> Any:
    params = TextEncoderParams(source="open_clip", name=name, weights=str(weights), **more)
    return load(params, field(params, "txt"), torch.device("cpu"), precision)


def refused(message: str) -> pytest.RaisesExc[HymaError]:
    return pytest.raises(HymaError, match=message)


def noise(seed: int) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (40 + seed, 50, 3), np.uint8)
    return Image.fromarray(values)


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    return open_clip.CLIP(**CONFIG["model_cfg"]).eval()


@pytest.fixture
def hub(tmp_path: Path, model: Any) -> Path:
    """The model's folder in open_clip's layout."""
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(CONFIG))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def test_image_tower(hub: Path, model: Any) -> None:
    encoder = image_tower(hub)
    pixels = torch.stack([encoder.transform(noise(seed)) for seed in range(3)])
    with torch.no_grad():
        expected_BD = model.encode_image(pixels).numpy()
    feature_BD = encoder.encode(pixels)
    assert (feature_BD.dtype, feature_BD.shape, encoder.dim) == (np.float32, (3, DIM), DIM)
    np.testing.assert_allclose(feature_BD, expected_BD, rtol=1e-4, atol=1e-5)
    assert np.abs(np.linalg.norm(feature_BD, axis=1) - 1).min() > 0.01
    # Of two transformers and a table of 49,408 words only the image's is kept.
    kept = sum(parameter.numel() for name, parameter in encoder.model.named_parameters())
    vision = sum(parameter.numel() for parameter in model.visual.parameters())
    assert vision <= kept < vision + 1000


def test_image_transform_is_that_of_the_config(hub: Path) -> None:
    transform = pickle.loads(pickle.dumps(image_tower(hub).transform))
    pixels = transform(Image.new("RGB", (300, 200), (51, 102, 204)))
    expected_C = (torch.tensor([0.2, 0.4, 0.8]) - torch.tensor([0.5, 0.4, 0.3])) / 0.2
    torch.testing.assert_close(pixels, expected_C[:, None, None].expand(3, SIZE, SIZE))


def test_text_tower(hub: Path, model: Any) -> None:
    encoder = text_tower(hub)
    tokens_BT = open_clip.get_tokenizer("ViT-B-32", context_length=CONTEXT)(TEXTS)
    with torch.no_grad():
        expected_BD = model.encode_text(tokens_BT).numpy()
    feature_BD = encoder.encode([encoder.transform(text) for text in TEXTS])
    assert (feature_BD.dtype, feature_BD.shape, encoder.dim) == (np.float32, (3, DIM), DIM)
    np.testing.assert_allclose(feature_BD, expected_BD, rtol=1e-4, atol=1e-5)
    assert not any("visual" in name for name, _ in encoder.model.named_parameters())


@pytest.mark.parametrize("tower", [image_tower, text_tower])
def test_unit_length_precision_and_identity(hub: Path, tower: Any) -> None:
    plain, unit = tower(hub), tower(hub, unit_length=True)
    half = tower(hub, precision=torch.bfloat16)
    batch = TEXTS if tower is text_tower else torch.stack([plain.transform(noise(seed)) for seed in range(3)])
    feature_BD = plain.encode(batch)
    expected_BD = feature_BD / np.sqrt((feature_BD**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(unit.encode(batch), expected_BD, rtol=1e-5)
    found_BD = half.encode(batch)
    assert found_BD.dtype == np.float32
    assert 0 < np.abs(found_BD - feature_BD).max() < 0.1 * np.abs(feature_BD).max()
    assert unit.identity == f"{plain.identity}|unit length"
    assert half.identity == f"{plain.identity}|bfloat16"
    weights = load_file(hub / "open_clip_model.safetensors")
    save_file(weights | {"logit_scale": torch.tensor(1.0)}, hub / "open_clip_model.safetensors")
    assert tower(hub).identity != plain.identity


COCA = {
    "embed_dim": DIM,
    "vision_cfg": {
        **CONFIG["model_cfg"]["vision_cfg"],
        "attentional_pool": True,
        "attn_pooler_heads": 2,
        "output_tokens": True,
    },
    "text_cfg": {**CONFIG["model_cfg"]["text_cfg"], "width": DIM, "embed_cls": True, "output_tokens": True},
    "multimodal_cfg": {"context_length": CONTEXT, "width": DIM, "heads": 2, "layers": 1},
}


@pytest.mark.parametrize(
    ("kind", "own"), [("CustomTextCLIP", CONFIG["model_cfg"]), ("CoCa", COCA)], ids=["SigLIP", "CoCa"]
)
def test_towers_of_other_kinds_of_model(tmp_path: Path, kind: str, own: dict[str, Any]) -> None:
    """With a text tower of its own, as SigLIP has; with a decoder, and features of length one unless asked."""
    torch.manual_seed(1)
    model = getattr(open_clip, kind)(**own).eval()
    config = {"model_cfg": own | {"custom_text": True}, "preprocess_cfg": {}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    encoder = image_tower(tmp_path)
    pixels = torch.stack([encoder.transform(noise(0))])
    tokens_BT = open_clip.get_tokenizer("ViT-B-32", context_length=CONTEXT)(TEXTS)
    with torch.no_grad():
        images_BD = model.encode_image(pixels, normalize=False).numpy()
        texts_BD = model.encode_text(tokens_BT, normalize=False).numpy()
    np.testing.assert_allclose(encoder.encode(pixels), images_BD, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(text_tower(tmp_path).encode(TEXTS), texts_BD, rtol=1e-4, atol=1e-5)


def attention_flops(tokens: int) -> int:
    """Of two layers: 4 products for attention, 8 for the MLP, two with all tokens."""
    return 2 * (12 * 2 * tokens * WIDTH**2 + 2 * 2 * tokens**2 * WIDTH)


def test_flops(hub: Path) -> None:
    tokens = (SIZE // PATCH) ** 2
    stem, projection = 2 * tokens * 3 * PATCH**2 * WIDTH, 2 * WIDTH * DIM
    by_hand = stem + attention_flops(tokens + 1) + projection
    assert 1 <= flops_per_row(image_tower(hub)) / by_hand < 1.06  # fvcore counts normalisation too
    assert 1 <= flops_per_row(text_tower(hub)) / (attention_flops(CONTEXT) + projection) < 1.06


@pytest.mark.parametrize(
    "damage", ["no config", "no weights", "cut weights", "other weights", "other config"]
)
@pytest.mark.parametrize("tower", [image_tower, text_tower])
def test_folder_is_wrong(hub: Path, tower: Any, damage: str) -> None:
    config, weights = hub / "open_clip_config.json", hub / "open_clip_model.safetensors"
    if damage == "no config":
        config.unlink()
    elif damage == "no weights":
        weights.unlink()
    elif damage == "cut weights":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif damage == "other weights":
        save_file({"a": torch.zeros(1)}, weights)
    else:
        config.write_text('{"architecture": "vit"}')
    with refused(
        rf"^params\.yaml: \w+_encoders\.\w+\.weights: [^\n]*{re.escape(str(hub))}[^\n]*; give [^\n]+$"
    ):
        tower(hub)


@pytest.mark.parametrize("damage", ["one less", "one more", "shape"])
@pytest.mark.parametrize("tower", [image_tower, text_tower])
def test_weights_that_do_not_fit(hub: Path, tower: Any, damage: str) -> None:
    """Of either tower, whichever is used."""
    state = load_file(hub / "open_clip_model.safetensors")
    if damage == "one less":
        state.pop("visual.conv1.weight")
    else:
        state |= {"more.weight" if damage == "one more" else "text_projection": torch.zeros(2, 2)}
    save_file(state, hub / "open_clip_model.safetensors")
    told = {
        "one less": r"lacks 1 weight of its model \(visual\.conv1\.weight\)",
        "one more": r"has 1 weight that its model does not know \(more\.weight\)",
        "shape": r"has 1 weight of another shape \(text_projection\)",
    }
    with refused(
        rf"^params\.yaml: \w+_encoders\.\w+\.weights: {hub} cannot be loaded \({told[damage]}\); give"
    ):
        tower(hub)


def test_texts_that_are_cut_are_counted(hub: Path) -> None:
    """Twelve tokens, two of which are the text's ends."""
    encoder = text_tower(hub)
    assert encoder.limit == CONTEXT
    texts = ["dog " * count for count in (1, 9, 10, 11, 12, 500)]
    assert [encoder.cut([text]) for text in texts] == [0, 0, 0, 1, 1, 1]
    assert encoder.cut(texts) == 3
    assert encoder.cut([]) == encoder.cut(["dog"] * 3) == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "ViT-B-32-256",
            r"'ViT-B-32-256' does not say which weights; choose one of ViT-B-32-256/datacomp_s34b_b86k$",
        ),
        (
            "ViT-B-32-256/mine",
            r"open_clip has no 'mine' of ViT-B-32-256; choose one of ViT-B-32-256/datacomp",
        ),
        ("ViT-B-23/openai", r"open_clip has no model 'ViT-B-23/openai'; close: ViT-B-32/openai,"),
        ("qqqqqqqqqqqqqqqq", r"open_clip has no model .*; `open_clip\.list_pretrained\(\)` names them all$"),
        ("ViT-S-16", r"nobody published weights of 'ViT-S-16'; name your own in `weights`$"),
    ],
)
@pytest.mark.parametrize("tower", [image_tower, text_tower])
def test_name_is_no_full_tag(tower: Any, name: str, message: str) -> None:
    with refused(rf"^params\.yaml: \w+_encoders\.\w+\.name: {message}"):
        tower(HUB, name)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is asked of a hub that is out of reach."""
    calls: list[dict[str, Any]] = []

    def download(**wanted: Any) -> str:
        calls.append(wanted)
        raise OSError("no\nnetwork")

    monkeypatch.setattr("open_clip.pretrained.hf_hub_download", download)
    return calls


def test_hub_is_out_of_reach(asked: list[dict[str, Any]]) -> None:
    """One line says which file was wanted and where a copy may go."""
    with refused(
        r"^params\.yaml: text_encoders\.txt\.name: cannot get timm/vit_base_patch32_clip_224\.openai: "
        r"open_clip_model\.safetensors from the hub \([^\n]*no network\); connect to it once, or put its "
        r"open_clip_config\.json and open_clip_model\.safetensors into a folder and name that in "
        r"text_encoders\.txt\.weights$"
    ):
        text_tower(HUB, "ViT-B-32/openai", revision="0123abc")
    assert asked[0] == {
        "repo_id": "timm/vit_base_patch32_clip_224.openai",
        "filename": "open_clip_model.safetensors",
        "revision": "0123abc",
        "cache_dir": None,
    }


def test_hub_weights_get_their_own_activation_and_transform(
    monkeypatch: pytest.MonkeyPatch, hub: Path
) -> None:
    """The tag says how its weights were trained: with the quick GELU, and which mean."""
    weights = str(hub / "open_clip_model.safetensors")
    monkeypatch.setattr("open_clip.pretrained.hf_hub_download", lambda **_: weights)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-B-32", CONFIG["model_cfg"])
    encoder = image_tower(HUB, "ViT-B-32/openai")
    layer = encoder.model.model.visual.transformer.resblocks[0].mlp.gelu
    assert type(layer).__name__ == "QuickGELU"
    pixels = encoder.transform(Image.new("RGB", (50, 50), (0, 0, 0)))
    torch.testing.assert_close(
        pixels[:, 0, 0],
        -torch.tensor([0.48145466, 0.4578275, 0.40821073])
        / torch.tensor([0.26862954, 0.26130258, 0.27577711]),
    )
    speaker = text_tower(HUB, "ViT-B-32/openai")
    assert speaker.encode(TEXTS).shape == (3, DIM)


def test_tokeniser_is_missing(hub: Path) -> None:
    config = json.loads((hub / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "somebody/tokeniser"
    (hub / "open_clip_config.json").write_text(json.dumps(config))
    with refused(
        r"^params\.yaml: text_encoders\.txt\.name: cannot get the tokeniser of tiny from the hub \([^\n]+\); "
        r"connect to it once, or put its files beside the weights$"
    ):
        text_tower(hub)


def test_code_of_its_own_is_never_run(hub: Path) -> None:
    config = json.loads((hub / "open_clip_config.json").read_text())
    own = {"hf_tokenizer_name": "own", "tokenizer_kwargs": {"trust_remote_code": True}}
    config["model_cfg"]["text_cfg"] |= own
    (hub / "open_clip_config.json").write_text(json.dumps(config))
    (hub / "own.py").write_text(f"open({str(hub / 'run')!r}, 'w')\n")
    auto = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    (hub / "tokenizer_config.json").write_text(json.dumps(auto))
    with refused(
        r"^params\.yaml: text_encoders\.txt\.weights: \S+ asks to run Python code .* never run; leave"
    ):
        text_tower(hub)
    assert not (hub / "run").exists()


@pytest.mark.parametrize("tower", [image_tower, text_tower])
def test_open_clip_is_not_installed(monkeypatch: pytest.MonkeyPatch, hub: Path, tower: Any) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with refused(r"\.source: open_clip is not installed; run `pip install 'hyma\[open_clip\]'`$"):
        tower(hub)

"""Guards on encoders: checkpoints that do not fit, code of their own, the trial, and captions longer than is read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from torch import Tensor
from transformers import (
    BertConfig,
    BertForMaskedLM,
    CLIPTextConfig,
    CLIPTextModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5ForConditionalGeneration,
)

from hyma.common.errors import HymaError
from hyma.common.features import Features
from hyma.encoders.base import trial
from hyma.encoders.base.common import field
from hyma.encoders.base.extract import Job, extract
from hyma.encoders.base.live import Live
from hyma.encoders.base.load import load
from hyma.encoders.base.params import ExtractParams, ImageEncoderParams, TextEncoderParams
from hyma.encoders.base.weights import in_words, misfit
from tests.test_extract import data_set

ZOO = Path(__file__).parent.parent / "zoo"
CPU = torch.device("cpu")
PLACE = r"^params\.yaml: text_encoders\.txt"
TEXTS = ["a red dog", "two keys and a small umbrella", "zzzz"]
Weights = dict[str, Tensor]


def text_params(folder: Path) -> TextEncoderParams:
    return TextEncoderParams(source="sentence-transformers", name="own", weights=str(folder))


def text_encoder(folder: Path) -> Any:
    return load(text_params(folder), field(text_params(folder), "txt"), CPU)


def refused(message: str) -> pytest.RaisesExc[HymaError]:
    return pytest.raises(HymaError, match=message)


def rewrite(file: Path, change: Callable[[Weights], Weights]) -> None:
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def configure(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ZOO / "things", tmp_path / "bert"))


def transformer(folder: Path, model: PreTrainedModel, **more: Any) -> Path:
    """A sentence-transformers folder of another model, with the tokeniser of the zoo's."""
    shutil.copytree(ZOO / "things", folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder)
    configure(folder / "sentence_bert_config.json", **more)
    return folder


def without(part: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name: value for name, value in weights.items() if part not in name}


def beside(name: str, *shape: int) -> Callable[[Weights], Weights]:
    return lambda weights: weights | {name: torch.ones(shape or (3,))}


def renamed(old: str, new: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name.replace(old, new): value for name, value in weights.items()}


def one_layer_more(weights: Weights) -> Weights:
    return weights | {
        name.replace("layer.1.", "layer.2."): value.clone()
        for name, value in weights.items()
        if "layer.1." in name
    }


def test_how_a_misfit_is_told() -> None:
    assert misfit([], [], []) == ""
    assert misfit(["d", "c", "b", "a"], ["e"], ["f", "g"]) == (
        "lacks 4 weights of its model (a, b, c, …), has 1 weight that its model does not know (e), "
        "has 2 weights of another shape (f, g)"
    )
    with pytest.raises(RuntimeError) as told:
        torch.nn.Linear(2, 3).load_state_dict({"weight": torch.zeros(2, 2), "more": torch.zeros(1)})
    assert in_words(told.value) == (
        "lacks 1 weight of its model (bias), has 1 weight that its model does not know (more), "
        "has 1 weight of another shape (weight)"
    )
    assert in_words(RuntimeError("no such file")) == ""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (renamed(".attention.self.", ".mixer."), r"lacks 12 weights .*, has 12 weights that"),
        (
            without("layer.0.output.dense.bias"),
            r"lacks 1 weight of its model \(encoder\.layer\.0\.output\.dense\.bias\)",
        ),
        (without("position_embeddings"), r"lacks 1 weight of its model \(embeddings\.position_embeddings"),
        (one_layer_more, r"has 16 weights that its model does not know \(encoder\.layer\.2\.\S+, .*, …\)"),
        (
            beside("embeddings.more.weight"),
            r"has 1 weight that its model does not know \(embeddings\.more\.weight\)",
        ),
        (beside("more.weight"), r"has 1 weight that its model does not know \(more\.weight\)"),
        (
            beside("encoder.layer.0.output.dense.bias", 5),
            r"has 1 weight of another shape \(encoder\.layer\.0\.output",
        ),
    ],
    ids=["renamed", "one less", "no positions", "layer more", "of the body", "unknown", "shape"],
)
def test_checkpoint_that_does_not_fit(bert: Path, change: Callable[[Weights], Weights], told: str) -> None:
    rewrite(bert / "model.safetensors", change)
    with refused(rf"{PLACE}\.weights: {bert} {told}[^\n]*; give the weights of the model [^\n]*$"):
        text_encoder(bert)


@pytest.mark.parametrize(
    ("change", "saved_by"),
    [
        (without("pooler"), "BertModel"),
        (beside("cls.predictions.bias"), "BertModel"),
        (beside("lm_head.weight"), "BertModel"),
        (beside("classifier.weight"), "BertModel"),
        (beside("embeddings.position_ids", 1, 64), "BertModel"),
        (renamed("", ""), "BertModel"),
        (beside("own_head.bias"), "BertForAnything"),
    ],
    ids=["no pooler", "cls", "lm_head", "classifier", "position_ids", "nothing", "head of another class"],
)
def test_what_does_not_matter_is_let_pass(
    bert: Path, change: Callable[[Weights], Weights], saved_by: str
) -> None:
    expected_BD = text_encoder(ZOO / "things").encode(TEXTS)
    rewrite(bert / "model.safetensors", change)
    configure(bert / "config.json", architectures=[saved_by])
    np.testing.assert_array_equal(text_encoder(bert).encode(TEXTS), expected_BD)


def test_a_missing_pooler_matters_where_it_is_used(bert: Path) -> None:
    """The same file as above: what decides is the weight's effect, not its name."""
    rewrite(bert / "model.safetensors", without("pooler"))
    configure(
        bert / "sentence_bert_config.json",
        modality_config={"text": {"method": "forward", "method_output_name": "pooler_output"}},
        module_output_name="sentence_embedding",
    )
    modules = json.loads((bert / "modules.json").read_text())
    (bert / "modules.json").write_text(json.dumps(modules[:1]))
    with refused(rf"{PLACE}.* lacks 2 weights of its model \(pooler\.dense\.bias, pooler\.dense\.weight\)"):
        text_encoder(bert)


@pytest.mark.parametrize("name", ["a prefix and a head", "a layer too many behind the prefix"])
def test_checkpoint_of_another_task(tmp_path: Path, name: str) -> None:
    config = BertConfig(
        vocab_size=349, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
    )
    folder = transformer(tmp_path / "mlm", BertForMaskedLM(config))
    if name == "a prefix and a head":
        assert text_encoder(folder).dim == 16
        return
    configure(folder / "config.json", num_hidden_layers=1)
    with refused(rf"{PLACE}.* has 16 weights that its model does not know \(bert\.encoder\.layer\.1\."):
        text_encoder(folder)


@pytest.mark.parametrize(
    ("slug", "change", "told"),
    [
        ("words", beside("more.weight"), r"has 1 weight that its model does not know \(more\.weight\)"),
        ("words", renamed("embedding", "vectors"), r"cannot be loaded \(no 'embeddings' in it\)"),
        ("dense", beside("more.weight"), r"has 1 weight that its model does not know \(more\.weight\)"),
        ("dense", without("bias"), r"lacks 1 weight of its model \(linear\.bias\)"),
    ],
)
def test_other_modules(tmp_path: Path, slug: str, change: Callable[[Weights], Weights], told: str) -> None:
    folder = Path(shutil.copytree(ZOO / "words", tmp_path / slug))
    file = folder / "model.safetensors"
    if slug == "dense":
        file = with_dense(folder)
        assert text_encoder(folder).dim == 7
    rewrite(file, change)
    with refused(rf"{PLACE}\.weights: {folder} .*{told}"):
        text_encoder(folder)


def with_dense(folder: Path) -> Path:
    """Put a dense layer behind a model; return the file of its weights."""
    modules = json.loads((folder / "modules.json").read_text())
    kind = "sentence_transformers.models.Dense"
    entry = {"idx": len(modules), "name": str(len(modules)), "path": "2_Dense", "type": kind}
    (folder / "modules.json").write_text(json.dumps([*modules, entry]))
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense/config.json").write_text('{"in_features": 192, "out_features": 7}')
    save_file(
        {"linear.weight": torch.randn(7, 192), "linear.bias": torch.zeros(7)},
        folder / "2_Dense/model.safetensors",
    )
    return folder / "2_Dense/model.safetensors"


def test_the_library_is_left_as_it_was() -> None:
    before = vars(PreTrainedModel)["from_pretrained"]
    text_encoder(ZOO / "things")
    assert vars(PreTrainedModel)["from_pretrained"] is before
    assert isinstance(SentenceTransformer(str(ZOO / "things"), device="cpu"), SentenceTransformer)


@pytest.mark.parametrize(
    "own", [{"AutoModel": "modeling_own.Own"}, {"AutoConfig": "modeling_own.Config"}], ids=["model", "config"]
)
def test_code_of_its_own_is_never_run(bert: Path, own: dict[str, str], tmp_path: Path) -> None:
    (bert / "modeling_own.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    configure(bert / "config.json", auto_map=own, model_type="own_model")
    with refused(rf"{PLACE}\.weights: {bert} needs Python code of its own[^\n]* is never run; [^\n]+$"):
        text_encoder(bert)
    modules = json.loads((ZOO / "things/modules.json").read_text())
    modules[0]["type"] = "modeling_own.Own"
    (bert / "modules.json").write_text(json.dumps(modules))
    with refused(rf"{PLACE}\.weights: {bert} needs Python code of its own"):
        text_encoder(bert)
    assert not (tmp_path / "run").exists()


def test_code_of_its_own_that_is_not_needed_is_told(bert: Path, caplog: pytest.LogCaptureFixture) -> None:
    configure(bert / "config.json", auto_map={"AutoModel": "modeling_own.Own"})
    for _ in range(2):
        text_encoder(bert)
    assert [each.message for each in caplog.records if "never run" in each.message] == [
        f"params.yaml: text_encoders.txt.weights: {bert} brings Python code of its own, which is never run: "
        "transformers' own code takes its place, with all of its weights"
    ]
    rewrite(bert / "model.safetensors", without("layer.1."))
    with refused(r"lacks 16 weights .*; it brings Python code of its own, which is never run; "):
        text_encoder(bert)


SMALL: dict[str, Any] = {
    "vocab_size": 349, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 20,
}  # fmt: skip


TINY_T5: dict[str, Any] = {
    "vocab_size": 349, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2,
}  # fmt: skip
TINY_GPT: dict[str, Any] = {"vocab_size": 349, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 20}


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        (lambda: RobertaModel(RobertaConfig(**SMALL, pad_token_id=1)), 18),
        (lambda: CLIPTextModel(CLIPTextConfig(**SMALL, eos_token_id=3)), 20),
        (lambda: GPT2LMHeadModel(GPT2Config(**TINY_GPT)), 20),
        (lambda: T5ForConditionalGeneration(T5Config(**TINY_T5)), 999),
    ],
    ids=["RoBERTa", "CLIP", "GPT-2", "T5"],
)
def test_positions_of_other_models(tmp_path: Path, model: Callable[[], PreTrainedModel], limit: int) -> None:
    """RoBERTa's positions begin after two that stand for nothing; T5 works its out for any length."""
    folder = transformer(tmp_path / "own", model(), max_seq_length=999)
    live = Live("txt", text_params(folder), ExtractParams(), CPU)
    live.try_out()  # with a text as long as that
    assert live.encoder.limit == limit  # type: ignore[attr-defined]
    texts = ["dog " * (limit - 2), "dog " * (limit - 1), "dog", "dog " * 2000]
    assert live.encoder.cut(texts) == 2  # type: ignore[attr-defined]
    assert live.encoder.encode(texts).shape == (4, 16)


def test_more_tokens_than_positions(bert: Path) -> None:
    configure(bert / "sentence_bert_config.json", max_seq_length=4096)
    configure(bert / "tokenizer_config.json", model_max_length=4096)
    encoder, texts = text_encoder(bert), [*TEXTS, "a red dog " * 500]
    assert (encoder.limit, encoder.cut(texts)) == (64, 1)
    np.testing.assert_array_equal(encoder.encode(texts), text_encoder(ZOO / "things").encode(texts))
    configure(bert / "sentence_bert_config.json", max_seq_length=5)
    assert (text_encoder(bert).limit, text_encoder(bert).cut(texts)) == (5, 2)


def test_words_are_never_cut() -> None:
    encoder = text_encoder(ZOO / "words")
    assert (encoder.limit, encoder.cut(["dog " * 9999])) == (None, 0)


def test_texts_that_are_cut_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Over all chunks, those of an earlier run included; files of data sets without any say nothing."""
    long = "a red dog and " * 40
    texts = ["a", long, "two keys", long, "a dog", "zzzz", long, "key"]
    encoder = text_encoder(ZOO / "things")

    def run(name: str, texts: list[str], encoder: Any) -> Features:
        data, out = data_set(tmp_path / name, [b"x"], texts, name), tmp_path / f"{name}.arrow"
        settings = ExtractParams(batch=2, chunk=3)
        extract([Job(encoder, 1.0, out, tmp_path / "unfinished" / name)], "text", data, settings, CPU)
        return Features(out)

    class Stopping:
        dim, identity, transform, limit, left = encoder.dim, encoder.identity, str, encoder.limit, 6

        def encode(self, batch: Any) -> np.ndarray:
            self.left -= len(batch)
            if self.left < 0:
                raise KeyboardInterrupt
            return encoder.encode(batch)

        cut = staticmethod(encoder.cut)

    with pytest.raises(KeyboardInterrupt):
        run("long", texts, Stopping())
    found = run("long", texts, encoder)
    assert (found.info.cut, found.info.limit, len(found)) == (3, 64, 8)
    assert (
        "unfinished/long: 3 of 8 texts are longer than the 64 tokens that it reads, and were cut"
        in caplog.text
    )
    short = run("short", ["a", "two keys"], encoder)
    assert (short.info.cut, short.info.limit) == (0, 0)
    assert b'"cut"' not in short.table.schema.metadata[b"hyma"]


class Made:
    """An encoder of pictures that gives what it is told."""

    dim, identity = 4, "made"

    def __init__(self, give: Callable[[Any], Any]):
        self.encode = give

    @staticmethod
    def transform(image: Any) -> Tensor:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def means(batch: Tensor) -> np.ndarray:
    return torch.cat([batch.mean((2, 3)), batch.std((1, 2, 3))[:, None]], dim=1).numpy()


def fails(_: Any) -> Any:
    raise ArithmeticError("a bad\nday")


@pytest.mark.parametrize(
    ("give", "told"),
    [
        (lambda batch: batch.numpy()[:, :, :7, :7], r"a feature map of shape \[3, 7, 7\] .*; .*global_pool"),
        (lambda batch: batch.numpy()[:, 0], r"a feature map of shape \[96, 96\]"),
        (lambda batch: batch.numpy()[:, 0, 0, 0], r"a number of shape \[\]"),
        (lambda batch: means(batch) * np.array([1, 1, 1, np.nan]), r"NaN or infinite features; "),
        (lambda batch: means(batch) / np.zeros(4), r"NaN or infinite features; "),
        (lambda batch: np.zeros((len(batch), 4)), r"values are all the same; "),
        (lambda batch: np.tile(np.arange(4.0), (len(batch), 1)), r"the same features whatever the input; "),
        (lambda batch: means(batch).astype(int), r"no array of floats; "),
        (lambda _: "features", r"fails \(ValueError: .*\); "),
        (fails, r"fails \(ArithmeticError: a bad day\); "),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_are_no_features(give: Callable[[Any], Any], told: str) -> None:
    with refused(rf"^params\.yaml: image_encoders\.pic: [^\n]*{told}[^\n]*$"):
        trial.features(Made(give), False, "params.yaml: image_encoders.pic")


def test_features_that_pass() -> None:
    found_BD = trial.features(Made(means), False, "pic")
    assert found_BD.shape == (3, 4)
    np.testing.assert_allclose(found_BD[2, :3], 0.5, atol=0.01)  # the checkerboard
    trial.compare(found_BD, found_BD.copy(), "pic", CPU)
    other_BD = found_BD + np.float32(1e-6)
    trial.compare(found_BD, other_BD, "pic", torch.device("cuda"))
    with refused(r"^pic: two loads of it give different features of the same input: .*; give a checkpoint"):
        trial.compare(found_BD, other_BD, "pic", CPU)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_nobody_mends_in_params_comes_through(error: type[BaseException]) -> None:
    def ends(_: Any) -> Any:
        raise error

    with pytest.raises(error):
        trial.features(Made(ends), False, "pic")


def image(slug: str) -> Live:
    name = json.loads((ZOO / slug / "config.json").read_text())["architecture"]
    own = ImageEncoderParams(source="timm", name=name, weights=str(ZOO / slug))
    return Live("pic", own, ExtractParams(precision="fp32"), CPU)


@pytest.mark.parametrize("slug", ["vit", "resnet"])
def test_the_zoo_passes(slug: str) -> None:
    before, live = torch.get_rng_state(), image(slug)
    first = live.encoder
    live.try_out()
    second = live.encoder
    assert second is not first
    live.try_out()
    assert live.encoder is second
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_drawn_at_random_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    live = image("vit")
    held = load(live.own, live.field, CPU)

    def drawn(*_: Any) -> Any:
        torch.nn.init.normal_(held.model.norm.weight)  # type: ignore[attr-defined]
        return held

    monkeypatch.setattr("hyma.encoders.base.live.load", drawn)
    with refused(r"^params\.yaml: image_encoders\.pic: two loads of it give different features"):
        live.try_out()


def test_flops_that_cannot_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the encoder is at fault, that is what is said."""
    monkeypatch.setattr("hyma.encoders.base.live.flops_per_row", fails)
    with refused(
        r"^params\.yaml: image_encoders\.pic: the FLOPs of test_vit cannot be counted \(a bad day\); "
    ):
        _ = image("vit").row_flops
    live = image("vit")
    live.encoder.encode = lambda batch: batch.numpy()  # type: ignore[method-assign]
    with refused(r"^params\.yaml: image_encoders\.pic: gives a feature map"):
        _ = live.row_flops


def test_whatever_a_library_raises_at_loading_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyma.encoders.sources.timm_image.create_transform", lambda **_: fails(0))
    with refused(
        r"^params\.yaml: image_encoders\.pic: timm cannot make an encoder of test_vit with weights \S+ "
        r"\(ArithmeticError: a bad day\); check its config and weights, or leave it out$"
    ):
        _ = image("vit").encoder

"""Malformed folders of a model, all made from one good one: each ends in one plain line, and none loads silently.

Hashes that config.json holds are brought up to date where that is said: then nothing but the content itself is wrong.
"""

import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from hyma import HymaError, StitchedModel
from hyma.common.files import sha256_file
from hyma.common.params import Section
from hyma.common.params import _numeric as numeric
from hyma.model.config import CHOSEN, ConnectorEntry, EncoderEntry, ModelConfig
from hyma.stitching import connectors
from tests import models

Spoil = Callable[[Path], Any]
IMAGE, TEXT = "image_encoder", "text_encoder"
CONNECTOR = "connector.safetensors"
WEIGHTS = (CONNECTOR, f"{IMAGE}/model.safetensors", f"{TEXT}/model.safetensors")
JSON = (f"{IMAGE}/config.json", f"{TEXT}/modules.json", f"{TEXT}/config_sentence_transformers.json",
        f"{TEXT}/tokenizer.json")  # fmt: skip
FILES = ("config.json", *WEIGHTS, *JSON)
SWAPPED = dict(zip(FILES, (*FILES[1:], FILES[0]), strict=True))
MAY_BE_NULL = {"method", "protocol", f"{IMAGE}.revision", f"{TEXT}.revision", "connector.shared"}
"""Keys of config.json: a shared width is of two-sided connectors alone, the others only tell where a model is from."""
UNNEEDED = f"{TEXT}/config_sentence_transformers.json"
"""Its library does without it, and passes over much that may stand there."""
WITNESS = "executed"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that loads."""
    folder = tmp_path_factory.mktemp("good")
    models.model().save_pretrained(folder)
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} == {
        "README.md",
        *FILES,
    }
    use(folder)
    return folder


@pytest.fixture
def spoilt(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to spoil; beside it another folder, and a pickle that says so when it is executed."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(good, tmp_path / "elsewhere")
    return Path(shutil.copytree(good, tmp_path / "model"))


def use(folder: Path) -> None:
    """Load the model and touch both of its encoders."""
    model = StitchedModel.from_pretrained(folder, device="cpu")
    found = model.classify([Image.new("RGB", (20, 20), "red")], ["red", "blue"])
    assert found.isfinite().all()


def content(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


def write(folder: Path, config: Any) -> None:
    (folder / "config.json").write_text(json.dumps(config))


def with_hashes(spoil: Spoil) -> Spoil:
    """Spoil, and have config.json say that it is meant so."""

    def spoil_and_sign(folder: Path) -> None:
        spoil(folder)
        config = content(folder)
        here = {name for name in config["files"] if (folder / name).is_file()}
        new = {path.relative_to(folder).as_posix() for side in (IMAGE, TEXT) for path in (folder / side).rglob("*")
               if path.is_file()}  # fmt: skip
        config["files"] = {name: sha256_file(folder / name) for name in sorted(here | new)}
        write(folder, config)

    return spoil_and_sign


def configured(*path: str, value: Any) -> Spoil:
    """Set one value of config.json."""

    def spoil(folder: Path) -> None:
        config = content(folder)
        section = config
        for step in path[:-1]:
            section = section[step]
        section[path[-1]] = value
        write(folder, config)

    return spoil


def without(*path: str) -> Spoil:
    """Take one key of config.json away."""

    def spoil(folder: Path) -> None:
        config = content(folder)
        section = config
        for step in path[:-1]:
            section = section[step]
        del section[path[-1]]
        write(folder, config)

    return spoil


class Malicious:
    """Unpickled, it leaves a file behind."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {WITNESS}",)


def pickled(name: str, archive: bool = False) -> Spoil:
    """Put a pickle in a file's place, bare or as torch saves one."""

    def spoil(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        if archive:
            torch.save({"weight": Malicious()}, folder / name)
        else:
            (folder / name).write_bytes(pickle.dumps(Malicious()))

    return spoil


def tensors(name: str, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Spoil:
    """Change the tensors of a file, its metadata left as they are."""

    def spoil(folder: Path) -> None:
        from safetensors import safe_open

        with safe_open(folder / name, "pt") as file:
            metadata = file.metadata()
        changed = {key: tensor.contiguous() for key, tensor in change(load_file(folder / name)).items()}
        save_file(changed, folder / name, metadata=metadata)

    return spoil


def first(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable:
    """Change the first tensor of floating-point numbers that is more than a number."""

    def changed(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        name = next(key for key in sorted(found) if found[key].is_floating_point() and found[key].ndim)
        return found | {name: change(found[name])}

    return changed


CHANGES: dict[str, Callable] = {
    "renamed": lambda found: {f"other.{name}": tensor for name, tensor in found.items()},
    "all gone but one": lambda found: dict(list(found.items())[:1]),
    "one more": lambda found: found | {"more": torch.zeros(3)},
    "of another width": first(lambda tensor: torch.cat([tensor, tensor], -1)),
    "whole numbers": first(lambda tensor: tensor.to(torch.int32)),
    "NaN": first(lambda tensor: torch.full_like(tensor, float("nan"))),
    "infinite": first(lambda tensor: torch.full_like(tensor, float("inf"))),
}


HARMLESS = {"one more", "all gone but one"}
"""In an encoder: many files of weights hold a head that nobody asks for, and the small text encoder has one tensor."""


def replaced(name: str, data: bytes) -> Spoil:
    return lambda folder: (folder / name).write_bytes(data) and None


def edited(name: str, change: Callable[[Any], Any]) -> Spoil:
    """Change what a json file of an encoder says."""

    def spoil(folder: Path) -> None:
        (folder / name).write_text(json.dumps(change(json.loads((folder / name).read_text()))))

    return spoil


def folder_instead(file: Path) -> None:
    file.unlink()
    file.mkdir()


def cut(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def wrong_content(name: str) -> dict[str, Spoil]:
    """What may stand in a file's place."""
    noise = torch.randint(0, 256, (999,), generator=torch.Generator().manual_seed(0))
    return {
        "empty": replaced(name, b""),
        "cut in half": lambda at: cut(at / name),
        "with another's content": lambda at: shutil.copy(at.parent / "elsewhere" / SWAPPED[name], at / name),
        "noise": replaced(name, bytes(noise.tolist())),
        "a picture": lambda at: Image.new("RGB", (9, 9)).save(at / name, "PNG"),
        "a pickle": pickled(name),
        "an archive of torch": pickled(name, archive=True),
    }


def by_file() -> Iterator[tuple[str, Spoil]]:
    """Each file gone, empty, cut, another's, a folder, noise, another type."""
    for name in FILES:
        wrong = wrong_content(name)
        wrong["missing"] = lambda at, name=name: (at / name).unlink()
        yield f"{name} a folder", lambda at, name=name: folder_instead(at / name)
        for what, spoil in wrong.items():
            yield f"{name} {what}", spoil
            if name not in ("config.json", UNNEEDED):
                yield f"{name} {what}, and config.json says so", with_hashes(spoil)


SECTIONS: dict[str, type[Section]] = {
    "": ModelConfig,
    IMAGE: EncoderEntry,
    TEXT: EncoderEntry,
    "connector": ConnectorEntry,
}
"""Of config.json, by place."""


def by_key() -> Iterator[tuple[str, Spoil]]:
    """Each key of config.json gone, null, of another type; numbers that cannot be."""
    for place, section in SECTIONS.items():
        for key, field in section.model_fields.items():
            path = (place, key) if place else (key,)
            name = ".".join(path)
            if key in CHOSEN:  # there where something was chosen
                for wrong in ("7", [0], 10**30, 99, True, 0.5):
                    yield f"{name} {wrong!r}", configured(*path, value=wrong)
                continue
            yield f"without {name}", without(*path)
            yield f"{name} of another type", of_another_type(*path)
            if name not in MAY_BE_NULL:
                yield f"{name} null", configured(*path, value=None)
            if numeric(field.annotation):
                for wrong in (0, -1, 10**30, float("nan"), float("inf")):
                    yield f"{name} {wrong}", configured(*path, value=wrong)
        yield (
            f"{place or 'all'} with one key more",
            configured(*([place] if place else []), "colour", value="red"),
        )


def of_another_type(*path: str) -> Spoil:
    def spoil(folder: Path) -> None:
        config = content(folder)
        value = config
        for step in path:
            value = value[step]
        other = 7 if isinstance(value, str | None) else "7" if isinstance(value, int | float) else [value]
        configured(*path, value=other)(folder)

    return spoil


def by_value() -> Iterator[tuple[str, Spoil]]:
    """Values of config.json that do not belong together, or lead outside."""
    yield "values cut off an image's feature", configured(IMAGE, "truncate_dim", value=2)
    yield "logits of texts", configured(TEXT, "layer", value="logits")
    for side in (IMAGE, TEXT):
        for weights in (
            "../elsewhere/text_encoder",
            "/etc",
            "",
            ".",
            f"{side}/..",
            f"./{side}",
            "zoo\\words",
        ):
            yield f"{side}.weights {weights!r}", configured(side, "weights", value=weights)
        yield f"{side}.source custom", configured(side, "source", value="custom")
        yield f"{side}.source of nobody", configured(side, "source", value="pickle")
        yield f"{side}.slug of another", configured(side, "slug", value="another")
        yield f"{side}.dim of another", configured(side, "dim", value=97)
    for path in ("../elsewhere/connector.safetensors", "/etc/passwd", "a/../connector.safetensors"):
        yield f"files name {path}", configured("files", path, value="0" * 64)
    yield "another pair", configured("pair", value="resnet-bert")
    yield "a later version", configured("format_version", value=2)
    yield "an architecture of timm's that it is not", configured(IMAGE, "name", value="test_vit")
    yield "a source that does not read it", configured(IMAGE, "source", value="open_clip")
    for key, value in (("kind", "mlp2"), ("kind", "cubic"), ("hidden", 17), ("shared", 24), ("sides", "two-sided"),
                       ("normalise", "l2"), ("d_text", 96), ("d_image", 192)):  # fmt: skip
        yield f"connector.{key} {value}", configured("connector", key, value=value)


TEXTS: dict[str, Callable[[str], bytes]] = {
    "in UTF-16": lambda text: text.encode("utf-16"),
    "nested": lambda _: b"[" * 100_000,
    "a number of many digits": lambda _: b'{"format": ' + b"9" * 10_000 + b"}",
    "a list": lambda text: f"[{text}]".encode(),
    "two documents": lambda text: (text + text).encode(),
    "enormous": lambda text: text.replace('"resnet"', f'"{"x" * 10**6}"').encode(),
}


def of_text() -> Iterator[tuple[str, Spoil]]:
    """config.json in ways that no program writes it."""
    for what, change in TEXTS.items():
        yield f"config.json {what}", lambda at, change=change: rewrite(at / "config.json", change)


def rewrite(file: Path, change: Callable[[str], bytes]) -> None:
    file.write_bytes(change(file.read_text()))


def of_links() -> Iterator[tuple[str, Spoil]]:
    """Links that lead out of the folder."""
    for name in (CONNECTOR, f"{IMAGE}/model.safetensors", f"{TEXT}/tokenizer.json"):

        def spoil(at: Path, name: str = name) -> None:
            (at / name).unlink()
            (at / name).symlink_to(at.parent / "elsewhere" / name)

        yield f"{name} a link", spoil

    def folder(at: Path) -> None:
        shutil.rmtree(at / TEXT)
        (at / TEXT).symlink_to(at.parent / "elsewhere" / TEXT)

    yield "an encoder's folder a link", folder


def of_content() -> Iterator[tuple[str, Spoil]]:
    """What hashes do not show, since they were made anew."""
    for name in WEIGHTS:
        for what, change in CHANGES.items():
            if what in HARMLESS and name != CONNECTOR:
                continue
            yield f"{name}: {what}", with_hashes(tensors(name, change))
    for side in (IMAGE, TEXT):
        for archive in (False, True):
            for unsafe in ("pytorch_model.bin", "model.bin"):

                def instead(
                    at: Path, side: str = side, unsafe: str = unsafe, archive: bool = archive
                ) -> None:
                    (at / side / "model.safetensors").unlink()
                    pickled(f"{side}/{unsafe}", archive)(at)

                yield f"{side}/{unsafe} in place of safetensors, {archive}", with_hashes(instead)
        yield f"{side} with a pickle more", pickled(f"{side}/pytorch_model.bin")
        yield f"{side} with a config more", replaced(f"{side}/adapter_config.json", b"{}")
    architecture = edited(f"{IMAGE}/config.json", lambda own: own | {"architecture": "test_vit"})
    yield "image_encoder/config.json: another architecture", with_hashes(architecture)

    def both(at: Path) -> None:
        architecture(at)
        configured(IMAGE, "name", value="test_vit")(at)

    yield "both configs: another architecture", with_hashes(both)
    yield (
        "an architecture that timm does not have",
        with_hashes(edited(f"{IMAGE}/config.json", lambda own: own | {"architecture": "os.system"})),
    )
    for kind in ("os.system", "nowhere.at.all", "builtins.eval", 7, None):
        yield (
            f"modules.json: {kind}",
            with_hashes(edited(f"{TEXT}/modules.json", lambda own, kind=kind: [own[0] | {"type": kind}])),
        )
    yield "modules.json: none", with_hashes(edited(f"{TEXT}/modules.json", lambda _: []))
    yield (
        "modules.json: outside",
        with_hashes(edited(f"{TEXT}/modules.json", lambda own: [own[0] | {"path": "../../../nowhere"}])),
    )
    yield (
        "tokenizer.json: no model",
        with_hashes(edited(f"{TEXT}/tokenizer.json", lambda own: own | {"model": None})),
    )

    def another(at: Path) -> None:
        connectors.save(at / CONNECTOR, {"vit-words": models.stitch()})

    yield "connectors of another pair", with_hashes(another)

    def metadata(at: Path, said: str) -> None:
        save_file(load_file(at / CONNECTOR), at / CONNECTOR, metadata={"hyma": said})

    for said in ("", "{}", "[]", '{"specs": {"resnet-words": {}}, "normalise": "l2"}', '{"specs": {"x": 1}}'):
        yield f"connector's metadata {said!r}", with_hashes(lambda at, said=said: metadata(at, said))


CASES = [
    pytest.param(spoil, id=name)
    for kind in (by_file, by_key, by_value, of_text, of_links, of_content)
    for name, spoil in kind()
]


def test_there_are_many() -> None:
    assert len(CASES) > 250
    assert len({case.id for case in CASES}) == len(CASES)


def test_a_byte_order_mark_changes_nothing(spoilt: Path) -> None:
    rewrite(spoilt / "config.json", lambda text: text.encode("utf-8-sig"))
    use(spoilt)


def test_the_pickle_is_dangerous(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Malicious()))
    assert Path(WITNESS).exists()


@pytest.mark.parametrize("name", ["files/md5/ab/cdef0123", "hub/blobs/0123"])
def test_links_of_caches_are_followed(spoilt: Path, name: str) -> None:
    """DVC and the hub's client may keep contents apart, and link to them."""
    file, kept = spoilt / CONNECTOR, spoilt.parent / name
    kept.parent.mkdir(parents=True)
    file.rename(kept)
    file.symlink_to(kept)
    use(spoilt)


@pytest.mark.parametrize("spoil", CASES)
def test_a_malformed_model_is_refused_in_one_line(spoil: Spoil, spoilt: Path) -> None:
    spoil(spoilt)
    with pytest.raises(HymaError) as caught:
        use(spoilt)
    message = str(caught.value)
    assert "\n" not in message
    assert str(spoilt) in message or message.startswith(("image", "text"))  # it says where
    assert len(message) < 600
    assert not Path(WITNESS).exists()

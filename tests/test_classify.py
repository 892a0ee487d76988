"""`hyma classify`, against what the model itself says."""

import json
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from hyma.cli import command
from hyma.common.errors import HymaError
from hyma.model.files import Found, PictureFiles, find
from tests import models

LABELS = ["red", "light blue", "green", "a dog"]
Capture = pytest.CaptureFixture[str]


@pytest.mark.usefixtures("here")
class TestCommand:
    def test_a_line_a_picture(self, model: str, capsys: Capture) -> None:
        Path("photos/3.png").rename("photos/number three.png")
        command.main(["classify", "photos", "--labels", ",".join(LABELS), "--model", model, "--top", "2"])
        files = [f"photos/{name}.png" for name in ("0", "1", "2", "4", "number three")]
        chance_NC = models.model().classify(files, LABELS)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 5
        assert len({len(line) for line in lines}) == 1  # columns
        for file, line, chance_C in zip(files, lines, chance_NC, strict=True):
            path, *best = [cell.strip() for cell in line.replace("%", "%  ").split("  ") if cell.strip()]
            assert path == file
            order = chance_C.argsort(descending=True).tolist()
            said = " ".join(best).split()
            expected = [f"{LABELS[column]} {chance_C[column]:.1%}" for column in order[:2]]
            assert said == " ".join(expected).split()

    def test_json(self, model: str, capsys: Capture) -> None:
        templates = ["a {} thing", "something {}"]
        options = [word for template in templates for word in ("--template", template)]
        command.main(
            ["classify", "photos", "--labels", "red, blue,,red", *options, "--model", model, "--json"]
        )
        found = json.loads(capsys.readouterr().out)
        assert (found["model"], found["labels"], found["templates"]) == (model, ["red", "blue"], templates)
        files = [f"photos/{number}.png" for number in range(5)]
        assert [each["path"] for each in found["images"]] == files
        chance_NC = models.model().classify(files, ["red", "blue"], templates)
        for each, chance_C in zip(found["images"], chance_NC, strict=True):
            said = {label["label"]: label["probability"] for label in each["labels"]}
            assert [said["red"], said["blue"]] == pytest.approx(chance_C.tolist(), abs=1e-6)
            assert list(said.values()) == sorted(said.values(), reverse=True)

    def test_labels_of_a_file(self, here: Path, model: str, capsys: Capture) -> None:
        (here / "labels.txt").write_text("\ufeffred, or so\n\n  blue \n")
        command.main(["classify", "photos/1.png", "--labels-file", "labels.txt", "--model", model, "--json"])
        assert json.loads(capsys.readouterr().out)["labels"] == ["red, or so", "blue"]

    def test_unreadable_ones_are_left_out_if_asked(self, here: Path, model: str, capsys: Capture) -> None:
        (here / "photos/2.png").write_bytes(b"no picture")
        asked = ["classify", "photos", "--labels", "red,blue", "--model", model, "--json"]
        assert models.ending(*asked) == (
            "error: photos/2.png: unreadable image (no known kind of image file); "
            "replace it, or leave out such pictures with --skip-unreadable"
        )
        command.main([*asked, "--skip-unreadable"])
        said = capsys.readouterr()
        found = json.loads(said.out)
        assert [each["path"] for each in found["images"]] == [
            f"photos/{number}.png" for number in (0, 1, 3, 4)
        ]
        reason = "unreadable image (no known kind of image file)"
        assert found["skipped"] == [{"path": "photos/2.png", "reason": reason}]
        assert said.err == f"left out: photos/2.png: {reason}\n"

    def test_what_is_no_picture_is_told_by_reason(self, here: Path, model: str, capsys: Capture) -> None:
        for name in ("notes.txt", "more.txt", ".DS_Store"):
            (here / "photos" / name).touch()
        asked = ["classify", "photos", "--labels", "a,b", "--model", model]
        for further in ([], ["--json"]):
            command.main([*asked, *further])
            said = capsys.readouterr()
            assert said.err.splitlines() == [
                "left out: hidden or a system's own (1): photos/.DS_Store",
                "left out: of a kind that is not read (2): photos/more.txt, photos/notes.txt",
            ]
        hidden, other = json.loads(said.out)["left_out"]
        assert hidden == {"reason": "hidden or a system's own", "count": 1, "names": ["photos/.DS_Store"]}
        assert other["names"] == ["photos/more.txt", "photos/notes.txt"]

    def test_many_that_are_left_out_are_counted(self, here: Path, model: str, capsys: Capture) -> None:
        for number in range(12):
            (here / f"photos/x{number:02}.jpg").touch()
        command.main(["classify", "photos", "--labels", "a,b", "--model", model, "--skip-unreadable"])
        said = capsys.readouterr().err.splitlines()
        assert said[0] == "left out: photos/x00.jpg: unreadable image (no bytes)"
        assert (len(said), said[-1]) == (11, "left out: 2 more")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["photos", "--labels", "red"], "labels: 1 given; give at least two to choose from"),
            (["photos", "--labels", " , "], "labels: 0 given; give at least two to choose from"),
            (["photos", "--labels", "a,b", "--template", "a photo"], "templates: each needs {}"),
            (["nowhere", "--labels", "a,b"], "nowhere: no such file or folder; correct the path"),
            (["empty", "--labels", "a,b"], "empty: no pictures there, which end in .jpg, .png or the like"),
            (["photos", "--labels-file", "nowhere.txt"], "nowhere.txt: No such file or directory"),
            (["photos", "--labels-file", "photos/0.png"], "photos/0.png: no text in UTF-8; write a label"),
            (["broken", "--labels", "a,b", "--skip-unreadable"], "broken/a.jpg: unreadable image (no bytes); none"),
        ],
    )  # fmt: skip
    def test_mistakes(self, here: Path, model: str, arguments: list[str], said: str) -> None:
        (here / "empty").mkdir()
        (here / "broken").mkdir()
        (here / "broken/a.jpg").touch()
        (here / "broken/b.jpg").touch()
        message = models.ending("classify", *arguments, "--model", model)
        assert message.startswith(f"error: {said}")
        assert "\n" not in message

    def test_a_folder_that_is_no_model(self) -> None:
        assert models.ending("classify", "photos", "--labels", "a,b", "--model", "photos").startswith(
            "error: photos/config.json: file not found"
        )


class TestFind:
    def test_folders_to_the_bottom_and_each_file_once(self, tmp_path: Path) -> None:
        for name in ("b.JPG", "a/z.webp", "a/b/c.tiff", "notes.txt", ".hidden.png", ".git/x.png", "a.d.jpeg"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "round").symlink_to(tmp_path)
        found = find([tmp_path / "b.JPG", tmp_path, tmp_path / "notes.txt"])
        assert [path.relative_to(tmp_path).as_posix() for path in found.paths] == [
            "b.JPG",
            "a/b/c.tiff",
            "a/z.webp",
            "a.d.jpeg",
            "notes.txt",  # whoever names a file means it
        ]
        assert told(found, tmp_path) == {
            "hidden or a system's own": (2, [".git", ".hidden.png"]),
            "a link to a folder, not followed": (1, ["round"]),
        }

    def test_what_is_left_out_is_counted_and_the_first_are_named(self, tmp_path: Path) -> None:
        for name in ("1.jpg", *(f"{n}.txt" for n in range(5)), "a/.DS_Store", "Thumbs.db", "__MACOSX/a.jpg"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
        (tmp_path / "linked.jpg").symlink_to(tmp_path / "1.jpg")
        os.mkfifo(tmp_path / "pipe.jpg")  # to open it would wait for ever
        found = find([tmp_path])
        assert [path.name for path in found.paths] == ["1.jpg", "linked.jpg"]
        assert told(found, tmp_path) == {
            "of a kind that is not read": (5, ["0.txt", "1.txt", "2.txt"]),
            "hidden or a system's own": (3, ["Thumbs.db", "__MACOSX", "a/.DS_Store"]),
            "a link to what is not there": (1, ["gone.jpg"]),
            "no regular file": (1, ["pipe.jpg"]),
        }

    def test_two_spellings_are_one_picture(self, here: Path) -> None:
        spelled = [
            "photos/0.png",
            "./photos/../photos/0.png",
            here / "photos/0.png",
            "photos",
            here / "photos",
        ]
        (here / "also").symlink_to("photos")
        found = find([*spelled, "also", "also/1.png"])
        assert [str(path) for path in found.paths] == [f"photos/{number}.png" for number in range(5)]
        assert found.left_out == []

    def test_where_there_is_none_it_says_what_there_is(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").touch()
        (tmp_path / ".b").touch()
        with pytest.raises(HymaError) as caught:
            find([tmp_path])
        assert str(caught.value) == (
            f"{tmp_path}: no pictures there, which end in .jpg, .png or the like; "
            "left out: hidden or a system's own (1), of a kind that is not read (1)"
        )

    @pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
    def test_a_name_that_is_no_text(self, tmp_path: Path) -> None:
        file = os.fsencode(tmp_path) + b"/\xff.jpg"
        os.close(os.open(file, os.O_CREAT))
        (tmp_path / "good.jpg").touch()
        found = find([tmp_path])
        assert [path.name for path in found.paths] == ["good.jpg"]
        assert told(found, tmp_path) == {"its name is no UTF-8": (1, ["\\udcff.jpg"])}
        with pytest.raises(HymaError, match=r"udcff\.jpg: the name is no UTF-8; rename the file"):
            find([os.fsdecode(file)])


def told(found: Found, root: Path) -> dict[str, tuple[int, list[str]]]:
    """Reason → how many, and which first, from the folder on."""
    return {
        each.reason: (each.count, [name.removeprefix(f"{root}/") for name in each.names])
        for each in found.left_out
    }


class TestPictureFiles:
    def test_one_at_a_time(self, tmp_path: Path) -> None:
        paths = models.pictures(tmp_path, 3)
        pictures = PictureFiles(paths)
        first = next(iter(pictures))
        assert isinstance(first, Image.Image)
        assert pictures.read == paths[:1]

    def test_a_file_that_may_not_be_read(self, tmp_path: Path) -> None:
        pictures = PictureFiles([tmp_path / "gone.png"], skip_unreadable=False)
        with pytest.raises(HymaError, match=r"gone.png: cannot be opened \(No such file or directory\)"):
            list(pictures)

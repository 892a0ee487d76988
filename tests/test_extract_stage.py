"""The stage that extracts, as a way to try one encoder: what it writes, and what it leaves alone."""

from pathlib import Path

import pytest
import yaml

from hyma.common.errors import HymaError
from hyma.common.features import Features
from stages import extract as stage
from tests.test_extract import data_set

ZOO = Path(__file__).parent.parent / "zoo"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two encoders of texts, a training set and a benchmark, and something kept of an earlier run."""
    encoders = {
        slug: {"source": "sentence-transformers", "name": slug, "weights": str(ZOO / slug)}
        for slug in ("words", "things")
    }
    sets = {"format": "captions", "path": "anywhere"}
    params = {"text_encoders": encoders, "training": {"mine": sets}, "benchmarks": {"theirs": sets}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (tmp_path / "metrics").mkdir()
    settings = {"extract": {"workers": 0}, "device": "cpu"}
    (tmp_path / "metrics/settings.yaml").write_text(yaml.safe_dump(settings))
    for place in ("training/mine", "benchmarks/theirs"):
        data_set(tmp_path / "data/prepared" / place, [b"x"], ["a red dog", "two keys"], place)
    kept = tmp_path / "data/kept/extract-text/words-training-mine.0123"
    kept.mkdir(parents=True)
    (kept / "mine.arrow").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["extract", *arguments])
    stage.main()


def written(project: Path) -> list[str]:
    return sorted(
        file.relative_to(project / "features").as_posix() for file in project.rglob("features/**/*.arrow")
    )


def test_one_encoder_and_one_part(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "text", "things", "training")
    assert written(project) == ["training/text/things/mine.arrow"]
    assert len(Features(project / "features/training/text/things/mine.arrow")) == 2
    assert [file.name for file in (project / "data").rglob("*.arrow")] == ["mine.arrow"]
    assert not (project / "data/made").exists()
    assert not (project / "data/unfinished/training/text/things/mine").exists()


def test_one_encoder_on_all_sets(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "text", "words")
    assert written(project) == ["benchmarks/text/words/theirs.arrow", "training/text/words/mine.arrow"]


def test_a_slug_that_is_not_there(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        HymaError, match=r"^params\.yaml: text_encoders: no 'brt' there; give one of words, things$"
    ):
        run(monkeypatch, "text", "brt", "training")
    assert written(project) == []


def test_help_says_what_it_is_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "--help")
    assert "python -m stages.extract text mpnet training" in capsys.readouterr().out

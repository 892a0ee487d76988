"""What would run, listed in a fresh clone: for the committed experiment and for every preset."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.project import create
from tests.root import ROOT


@pytest.mark.parametrize("preset", [None, *sorted(path.name for path in (ROOT / "presets").glob("*.yaml"))])
def test_a_dry_run_lists_the_stages_in_a_fresh_clone(preset: str | None, tmp_path: Path) -> None:
    made = create(tmp_path)
    source = ROOT / "params.yaml" if preset is None else ROOT / "presets" / preset
    shutil.copy(source, tmp_path / "params.yaml")
    listed = [stage.partition("@")[0] for stage in made.stages("repro", "--dry", "--force")]
    params = yaml.safe_load(source.read_text())
    assert [listed.count(name) for name in ("check", "train_hyma", "search", "rank", "report", "export")] == [
        1
    ] * 6
    assert listed.count("train_grid") == listed.count("extract_image") == len(params["image_encoders"])
    assert listed.count("extract_text") == len(params["text_encoders"])

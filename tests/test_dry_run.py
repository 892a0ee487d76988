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
    listed = [
        stage.rpartition(":")[2].partition("@")[0] for stage in made.stages("repro", "--dry", "--force")
    ]
    params = yaml.safe_load(source.read_text())
    once = (
        "check",
        "extract_image",
        "extract_text",
        "untrained",
        "first",
        "train_hyma",
        "search",
        "evaluate",
        "finals",
        "train_grid",
        "evaluate_grid",
        "rank",
        "report",
        "export",
    )
    assert {name: listed.count(name) for name in once} == dict.fromkeys(once, 1)
    # The first answer comes before anything is trained.
    assert listed.index("first") < min(map(listed.index, ("train_hyma", "search", "train_grid")))
    for side in ("image", "text"):
        assert listed.count(f"{side}_weights") == len(params[f"{side}_encoders"])
    assert listed.count("prepare") == len(params["benchmarks"])

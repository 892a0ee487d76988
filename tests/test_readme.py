"""The README tells the truth about the committed run and about the files that there are."""

import re
import subprocess

import pytest

from tests.readme import BESIDE, BLOCK, DEFAULT, REAL, compared, results
from tests.root import ROOT


def committed(path: str) -> str:
    done = subprocess.run(["git", "show", f"HEAD:{path}"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{path} is not committed here")
    return done.stdout


def test_results_are_those_of_the_committed_run() -> None:
    block = BLOCK.search(committed("README.md"))
    assert block, "the marks are gone"
    assert block[0] == results(committed("metrics/ranking.json")), "run `python -m tests.readme`"


def test_the_comparison_is_that_of_the_committed_runs() -> None:
    block = BESIDE.search(committed("README.md"))
    assert block, "the marks are gone"
    assert block[0] == compared(committed(DEFAULT), committed(REAL)), "run `python -m tests.readme`"
    assert "ρ" in block[0]


def test_links_and_tree_name_what_is_there() -> None:
    text = (ROOT / "README.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    tree = re.search(r"```text\n(.*?)```", text, re.DOTALL)
    assert tree
    named = [line.split()[0] for line in tree[1].splitlines() if line.strip() and not line.startswith(" ")]
    assert len(links) > 1
    assert len(named) > 10
    made_by_a_run = {"data/", "features/", "models/"}
    assert [path for path in {*links, *named} - made_by_a_run if not (ROOT / path).exists()] == []

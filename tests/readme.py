"""The README's result table: ``python -m tests.readme`` brings it up to date with metrics/ranking.json."""

import json
import re
from pathlib import Path

from hyma.report.methods import short
from tests.root import ROOT

BLOCK = re.compile(r"(?<=<!-- results -->\n).*?(?=<!-- /results -->)", re.DOTALL)


def results(ranking: str) -> str:
    """What stands between the marks, from the content of metrics/ranking.json."""
    return f"\n{short(json.loads(ranking))}\n\n"


def update(readme: Path, ranking: Path) -> None:
    """Rewrite what stands between the marks."""
    text = results(ranking.read_text(encoding="utf-8"))
    readme.write_text(BLOCK.sub(lambda _: text, readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    update(ROOT / "README.md", ROOT / "metrics/ranking.json")

"""What the README says of the committed runs: ``python -m tests.readme`` brings it up to date with their metrics."""

import json
import re
from pathlib import Path

from hyma.report import beside
from hyma.report.methods import short
from tests.root import ROOT

BLOCK, BESIDE = (
    re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL) for name in ("results", "beside")
)
DEFAULT, REAL = "metrics/ranking.json", "experiments/real/metrics/ranking.json"


def results(ranking: str) -> str:
    """What stands between the marks, from the content of metrics/ranking.json."""
    return f"\n{short(json.loads(ranking))}\n\n"


def compared(ranking: str, real: str) -> str:
    """Whether the order of methods holds on real material, in one paragraph: the first of that report's section."""
    return f"\n{beside.section(json.loads(real), json.loads(ranking)).split(chr(10) * 2)[0]}\n\n"


def update(readme: Path, default: Path, real: Path) -> None:
    """Rewrite what stands between the marks."""
    ranking, other = (file.read_text(encoding="utf-8") for file in (default, real))
    text = BLOCK.sub(lambda _: results(ranking), readme.read_text(encoding="utf-8"))
    readme.write_text(BESIDE.sub(lambda _: compared(ranking, other), text), encoding="utf-8")


if __name__ == "__main__":
    update(ROOT / "README.md", ROOT / DEFAULT, ROOT / REAL)

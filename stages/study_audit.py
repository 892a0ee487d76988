"""Draw the sample of an audit again and again where the whole grid is known: python -m stages.study_audit.

Reads metrics/ranking.json and what each pair cost, writes metrics/studies/audit.json.
"""

from pathlib import Path

from hyma.common import sealed, settings
from hyma.common.files import read_json, write_json
from hyma.common.names import MAIN, ORACLE
from hyma.stitching import records
from hyma.studies import audit
from stages._run import run
from stages._study import require_oracle

METHODS = (MAIN, "hyma_two_sided", "gcca", "cca", "ridge", "cgs")
"""Those whose ranking is audited, as far as they ran: the main one, and others better and worse than it."""


def main() -> None:
    """Audit, write."""
    require_oracle()
    ranking = read_json(Path("metrics/ranking.json"))
    choosing, true = (
        {pair: own["mean"] for pair, own in ranking[half][ORACLE].items()} for half in ("choose", "scores")
    )
    flops = {pair: sum(sealed.read(records.of_pair(pair))["flops"].values()) for pair in true}
    found = audit.study(
        audit.chosen(ranking, METHODS),
        choosing,
        true,
        {method: own["flops"] for method, own in ranking["cost"].items()},
        flops,
        settings.read("studies.redraws", int),
    )
    labels = {method: ranking["methods"][method]["label"] for method in found["methods"]}
    write_json(Path("metrics/studies/audit.json"), found | {"labels": labels})


if __name__ == "__main__":
    run(main)

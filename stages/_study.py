"""What the studies share: the judge of connectors, and grid search's scores as the main pipeline measured them."""

from hyma.common import settings
from hyma.common.errors import HymaError
from hyma.common.experiment import finals, names
from hyma.common.names import ORACLE
from hyma.evaluation.halves import HALVES
from hyma.evaluation.params import EvaluateParams
from hyma.ranking.signals import of_half
from hyma.stitching import records
from hyma.studies.judge import Halves, Judge


def judge() -> Judge:
    """All benchmarks with all encoders' features."""
    return Judge(
        names("benchmarks"),
        names("image_encoders"),
        names("text_encoders"),
        settings.read("evaluate", EvaluateParams),
    )


def require_oracle() -> None:
    """See that the studies have what they hold methods against.

    Raises:
        HymaError: if grid search did not train every pair.
    """
    if (kind := finals()["oracle"]) != "full":
        raise HymaError(
            f"params.yaml: oracle: {kind}: the studies hold methods against grid search of all pairs; set it to full"
        )


def oracle_scores() -> Halves:
    """Grid search's score of every pair on both halves of every benchmark, under the protocol that ranks.

    Raises:
        HymaError: if it did not train them all.
    """
    require_oracle()
    contents = {name: records.benchmark(name) for name in names("benchmarks")}
    choose, report = (
        {name: of_half(content, half)[ORACLE] for name, content in contents.items()} for half in HALVES
    )
    return Halves(choose, report)

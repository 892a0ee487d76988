"""What the studies share: the judge of connectors, and grid search's scores as the main pipeline measured them."""

from hyma.common import settings
from hyma.common.errors import HymaError
from hyma.common.experiment import finals, names
from hyma.evaluation.params import EvaluateParams
from hyma.stitching import records
from hyma.studies.judge import Judge, Scores


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


def oracle_scores() -> Scores:
    """Grid search's score of every pair on every benchmark, under the protocol that ranks.

    Raises:
        HymaError: if it did not train them all.
    """
    require_oracle()
    found: Scores = {}
    for name in names("benchmarks"):
        content = records.benchmark(name)
        methods = content["protocols"][content["protocol"]]["methods"]
        found[name] = {pair: values["score"] for pair, values in methods["grid"].items()}
    return found

"""What the studies share: the judge of connectors, and grid search's scores as the main pipeline measured them."""

from pathlib import Path

from hyma.common import params
from hyma.common.experiment import names
from hyma.common.files import read_json
from hyma.evaluation.params import EvaluateParams
from hyma.studies.judge import Judge, Scores


def judge() -> Judge:
    """All benchmarks with all encoders' features."""
    return Judge(
        names("benchmarks"),
        names("image_encoders"),
        names("text_encoders"),
        params.read("evaluate", EvaluateParams),
    )


def oracle_scores() -> Scores:
    """Grid search's score of every pair on every benchmark, under the protocol that ranks."""
    found: Scores = {}
    for name in names("benchmarks"):
        content = read_json(Path(f"metrics/benchmarks/{name}.json"))
        methods = content["protocols"][content["protocol"]]["methods"]
        found[name] = {pair: values["score"] for pair, values in methods["grid"].items()}
    return found

"""What the pages are made of, and how they call methods and picks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hyma.common.names import MAIN, ORACLE
from hyma.ranking import choice
from hyma.wording.markdown import pair, seconds

Json = dict[str, Any]


@dataclass
class Inputs:
    """What the stages before have measured."""

    ranking: Json
    benchmarks: Mapping[str, Json]
    flops: Json
    data: Mapping[str, Json]
    """Prepared data set → its meta.json."""
    steps: Mapping[str, list[float]]
    """The main method's history: ``step``, ``loss``, ``accuracy``, ``grad_norm``."""
    grid: Mapping[str, Json]
    """Pair → the oracle's record of its training."""
    environment: Mapping[str, str]
    """Lines of the reproducibility block."""
    leaks: Json = field(default_factory=dict)
    """Which pictures of the benchmarks are training pictures, too."""
    gradients: Mapping[str, Json] = field(default_factory=dict)
    """Encoder → how its gradient behaved while the main method trained."""


def label(ranking: Json, method: str) -> str:
    """A method's name for people."""
    return str(ranking["methods"][method]["label"])


def picked(compared: Json) -> str:
    """The pair that a method puts first."""
    return f"any of {compared['picks']} alike" if compared["pair"] is None else pair(compared["pair"])


def time_words(ranking: Json) -> tuple[str, str]:
    """What a ratio of times is called, below and above: CPU time, or on a GPU time on the clock."""
    kind = "CPU time" if choice.on_cpu(ranking) else "time"
    return f"less {kind}", f"more {kind}"


def taken(*spent: Json) -> str:
    """What searches took in all: time of the CPU, or on a GPU on the clock."""
    on_cpu = all(own["threads"] for own in spent)
    total = sum(own["cpu_seconds" if on_cpu else "seconds"] for own in spent)
    return f"{seconds(total)} s of CPU time" if on_cpu else f"{seconds(total)} s"


def clocked(spent: Json) -> str:
    """What a search took: time of the CPU, if it ran on one, and on the clock."""
    clock = f"{seconds(spent['seconds'])} s"
    return f"{seconds(spent['cpu_seconds'])} s, on the clock {clock}" if spent["threads"] else clock


def many(threads: Sequence[int]) -> str:
    """How many threads searches had."""
    low, high = min(threads), max(threads)
    return f"{low} thread{'s' * (low > 1)} each" if low == high else f"{low} to {high} threads"


def of_two(inputs: Inputs) -> Inputs:
    """The same measurements, of the main method and grid search alone; the labels of all others stay."""
    two = (MAIN, ORACLE)
    ranking = dict(inputs.ranking)
    for part in ("mean", "overall", "scores", "own_scores", "cost"):
        ranking[part] = _only(ranking[part], two)
    ranking["benchmarks"] = {
        name: content | {"methods": _only(content["methods"], two)}
        for name, content in ranking["benchmarks"].items()
    }
    benchmarks = {
        name: content
        | {
            "protocols": {
                protocol: {"methods": _only(found["methods"], two)}
                for protocol, found in content["protocols"].items()
            }
        }
        for name, content in inputs.benchmarks.items()
    }
    return replace(inputs, ranking=ranking, benchmarks=benchmarks)


def _only(by_method: Mapping[str, Any], methods: Collection[str]) -> Json:
    return {method: value for method, value in by_method.items() if method in methods}

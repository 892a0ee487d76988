"""README.md of an exported model: the hub's model card, with the results of the run that found it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from hyma.common.names import MAIN, ORACLE
from hyma.encoders.base.params import LOGITS
from hyma.model.config import EncoderEntry, ModelConfig
from hyma.wording.markdown import points
from hyma.wording.templates import environment, flowing

Json = dict[str, Any]
TASKS = {
    "classification": "zero-shot-image-classification",
    "retrieval": "image-text-retrieval",
    "vqa": "visual-question-answering",
}
"""The hub's names of our tasks."""
DETAILS = {
    "top5": "top-5 accuracy",
    "no_image": "without the picture",
    **{
        f"{way}_r{k}": f"{said} recall@{k}"
        for way, said in (("i2t", "image to text"), ("t2i", "text to image"))
        for k in (1, 5, 10)
    },
}
"""What to call the figures beside a benchmark's score."""


@dataclass(frozen=True)
class Run:
    """What the run that made a model measured."""

    ranking: Json
    """Content of metrics/ranking.json."""
    benchmarks: Mapping[str, Json]
    """Name → content of metrics/benchmarks/<name>.json."""
    formats: Mapping[str, str]
    """Benchmark → its format: the data set's name in the field."""
    trained_on: str
    """The training set, for people."""


def card(config: ModelConfig, run: Run | None) -> str:
    """Return the card, metadata and text."""
    measured = {} if run is None else _measured(config, run)
    template = environment("hyma.model").get_template("card.md.j2")
    place = None if run is None else _place(config.pair, run.ranking)
    text = template.render(
        config=config,
        run=run,
        measured=measured,
        place=place,
        in_detail=_in_detail,
        where=_where,
        chosen=_chosen,
        MAIN=MAIN,
        ORACLE=ORACLE,
    )
    return str(ModelCard(f"---\n{_data(config, run).to_yaml()}\n---\n\n{flowing(text)}"))


def _data(config: ModelConfig, run: Run | None) -> ModelCardData:
    bases = [base for entry in (config.image_encoder, config.text_encoder) if (base := _hub_name(entry))]
    return ModelCardData(
        model_name=f"hyma-{config.pair}",
        base_model=bases or None,
        eval_results=None if run is None else list(_eval_results(config, run)),
        library_name="hyma",
        license="other",
        license_name="those-of-the-encoders",
        pipeline_tag="zero-shot-image-classification",
        tags=["hyma", "model-stitching", "vision-language"],
    )


def _hub_name(entry: EncoderEntry) -> str | None:
    """The hub's repository of an encoder, as far as its name says."""
    if entry.weights is not None or entry.name.startswith("package:"):
        return None
    if entry.source == "timm":
        return f"timm/{entry.name}"
    return entry.name if entry.source == "sentence-transformers" and "/" in entry.name else None


def _measured(config: ModelConfig, run: Run) -> Mapping[str, Json]:
    """Benchmark → metrics of this pair's connector, under the protocol that ranks, on the half that is reported."""
    return {
        name: content["protocols"][content["protocol"]]["methods"][config.method][config.pair]["report"]
        for name, content in run.benchmarks.items()
    }


def _apart(metrics: Json) -> Json:
    """The figures that differ: top-1 accuracy is the score itself."""
    return {key: value for key, value in metrics.items() if key != "top1"}


def _eval_results(config: ModelConfig, run: Run) -> list[EvalResult]:
    found = []
    for name, metrics in _measured(config, run).items():
        content = run.benchmarks[name]
        for key, value in _apart(metrics).items():
            found.append(
                EvalResult(
                    task_type=TASKS[content["task"]],
                    dataset_type=run.formats[name],
                    dataset_name=name,
                    metric_type="accuracy" if content["task"] != "retrieval" else "recall",
                    metric_name=content["metric"] if key == "score" else DETAILS.get(key, key),
                    metric_value=round(100 * value, 2),
                )
            )
    return found


def _in_detail(metrics: Json) -> str:
    shown = {DETAILS.get(key, key): value for key, value in _apart(metrics).items() if key != "score"}
    return ", ".join(f"{name} {points(value)}" for name, value in shown.items())


def _place(pair: str, ranking: Json) -> int:
    """Where the oracle's order has a pair, or HYMA's where there is no oracle: 1 is best."""
    order: list[str] = ranking["order"][ranking["oracle"] or MAIN]
    return order.index(pair) + 1


def _chosen(entry: EncoderEntry) -> str:
    """Which of an encoder's features are taken, where there was a choice."""
    layer = LOGITS if entry.layer == LOGITS else "" if entry.layer is None else f"layer {entry.layer}"
    cut = f"first {entry.truncate_dim} values" if entry.truncate_dim else ""
    return ", ".join(filter(None, [layer, cut]))


def _where(entry: EncoderEntry) -> str:
    if entry.weights is not None:
        return f"`{entry.weights}`, in this folder"
    if entry.name.startswith("package:"):
        return "in that Python package"
    return {"custom": "brought by the caller", "precomputed": "none: features only"}.get(
        entry.source, "from the hub"
    )

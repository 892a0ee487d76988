"""README.md of an exported model: the hub's model card, with the results of the run that found it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from hyma.model.config import EncoderEntry, ModelConfig
from hyma.wording.markdown import cheaper, decimal, flops, points, seconds, table

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
    title = f"{config.image_encoder.slug} × {config.text_encoder.slug}"
    body = [
        f"# {title}",
        _first(config),
        _use(config),
        "" if run is None else _results(config, run),
        "" if run is None else _found(config, run),
        "## Encoders\n\n" + _encoders(config),
        _limits(config, run),
        "## Licence\n\nThe connector is yours to license. The encoders are others' work under their own licences, "
        "which hold for this model too: see where each comes from, above.",
    ]
    text = "\n\n".join(part for part in body if part)
    return str(ModelCard(f"---\n{_data(config, run).to_yaml()}\n---\n\n{text}\n"))


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
    """Benchmark → metrics of this pair's connector, under the protocol that ranks."""
    return {
        name: content["protocols"][content["protocol"]]["methods"][config.method][config.pair]
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


def _first(config: ModelConfig) -> str:
    image, text = config.image_encoder, config.text_encoder
    return (
        f"The frozen image encoder `{image.name}` and the frozen text encoder `{text.name}`, stitched by a small "
        f"trained connector ({config.connector.kind}, {config.connector.sides}) into one model that compares "
        "pictures with texts. Found with [HYMA](https://arxiv.org/abs/2507.10015)."
    )


def _use(config: ModelConfig) -> str:
    sides = {"image": config.image_encoder, "text": config.text_encoder}
    brings = [side for side, entry in sides.items() if entry.source in ("custom", "precomputed")]
    note = "".join(
        f"\n\nThe {side} encoder is not in this folder: give it as `{side}_encoder=`, or features to `embed_{side}`."
        for side in brings
    )
    return f"""## Use

```python
from hyma import StitchedModel

model = StitchedModel.from_pretrained("path/to/this/folder")
model.classify(["picture.png"], ["a snowman", "an anchor"])  # probabilities, one row a picture
```

`model.encode_image` and `model.encode_text` give unit vectors of one space; `hyma index` and `hyma search` find
pictures by text.{note}"""


def _results(config: ModelConfig, run: Run) -> str:
    rows = []
    for name, metrics in _measured(config, run).items():
        content = run.benchmarks[name]
        others = ", ".join(
            f"{DETAILS.get(key, key)} {points(value)}"
            for key, value in _apart(metrics).items()
            if key != "score"
        )
        size = str(content["questions"] or content["images"])
        rows.append(
            [name, content["metric"], points(metrics["score"]), points(content["chance"]), others, size]
        )
    head = ["benchmark", "metric", "score", "chance", "in detail", "items"]
    mean = run.ranking["scores"][config.method][config.pair]["mean"]
    return (
        f"## Results\n\nPoints of a hundred, protocol *{config.protocol}*; mean over the benchmarks {points(mean)}.\n\n"
        + table(head, rows, left=2)
    )


def _found(config: ModelConfig, run: Run) -> str:
    ranking = run.ranking
    order = sorted(ranking["scores"][ranking["oracle"]].items(), key=lambda entry: -(entry[1]["mean"] or 0.0))
    place = [pair for pair, _ in order].index(config.pair) + 1
    label = ranking["methods"][config.method]["label"]
    oracle = ranking["methods"][ranking["oracle"]]["label"]
    lines = [
        f"Of {ranking['pairs']} pairs, {oracle} puts this one in place {place}. The connector is that of *{label}*. "
        f"Training set: {run.trained_on}; the whole ranking is in [ranking.json](ranking.json).",
        "",
    ]
    for method in dict.fromkeys(("hyma", config.method, ranking["oracle"])):
        if method not in ranking["cost"]:
            continue
        spent, agreed = ranking["cost"][method], ranking["mean"][method]
        ratio = ""
        if method != ranking["oracle"] and spent["flops_ratio"]:
            ratio = (
                f", {cheaper(spent['flops_ratio'], 'fewer FLOPs', 'more FLOPs')} than {oracle}; "
                f"ρ = {decimal(agreed['spearman'])} with its ranking"
            )
        lines.append(
            f"- {ranking['methods'][method]['label']}: {flops(spent['flops'])}, {seconds(spent['seconds'])} s{ratio}"
        )
    return "## How it was found, and what that cost\n\n" + "\n".join(lines)


def _encoders(config: ModelConfig) -> str:
    rows = [
        [side, entry.source, f"`{entry.name}`", entry.revision or "–", _where(entry), str(entry.dim)]
        for side, entry in (("image", config.image_encoder), ("text", config.text_encoder))
    ]
    return table(["side", "source", "name", "revision", "weights", "width"], rows, left=5)


def _where(entry: EncoderEntry) -> str:
    if entry.weights is not None:
        return f"`{entry.weights}`, in this folder"
    if entry.name.startswith("package:"):
        return "in that Python package"
    return {"custom": "brought by the caller", "precomputed": "none: features only"}.get(
        entry.source, "from the hub"
    )


def _limits(config: ModelConfig, run: Run | None) -> str:
    text = (
        "## Limits\n\nThe encoders never saw each other: what the image encoder does not see, or the text encoder "
        f"does not tell apart, no connector adds. Cosines are multiplied by {config.logit_scale:g} before the softmax, "
        "as in training; the probabilities are not calibrated."
    )
    if run is None:
        return text
    return text + (
        " Scores were measured on the benchmarks above and say nothing of pictures of another kind; where one lies "
        "near its chance, the model cannot do that task."
    )

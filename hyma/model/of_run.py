"""From a finished run in this folder to a model: which pair, whose connector, and what the run measured."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hyma.common import features, params, settings
from hyma.common.errors import HymaError
from hyma.common.features import Features
from hyma.common.files import atomic
from hyma.encoders.base.params import ImageEncoderParams, TextEncoderParams
from hyma.evaluation import last_run
from hyma.model import export
from hyma.model.card import Run
from hyma.model.config import CONFIG
from hyma.model.params import BEST, WINNER, ExportParams
from hyma.model.stitched import StitchedModel
from hyma.readers.base.params import DataSource
from hyma.stitching import records
from hyma.stitching.params import ConnectorParams

Json = dict[str, Any]


def export_run(chosen: ExportParams, folder: Path) -> StitchedModel:
    """Write the model of a pair into `folder`, which is replaced; return it.

    Raises:
        HymaError: if there is no run here, no such pair, or no such method with connectors.
    """
    if folder.exists() and not (folder / CONFIG).is_file():
        raise HymaError(f"{folder}: it is there and holds no model; name another folder, or delete it")
    run = read_run()
    pair, method = choose(chosen, run.ranking)
    model = of_pair(pair, method, run)
    with atomic(folder) as temporary:
        temporary.mkdir()
        export.write(model, temporary, run)
    return model


def read_run() -> Run:
    """What the run measured; reads params.yaml and metrics/.

    Raises:
        HymaError: if nothing was measured yet.
    """
    training = params.read("training", dict[str, DataSource])
    names = params.read("benchmarks", dict[str, DataSource])
    return Run(
        ranking=last_run.ranking(),
        benchmarks={name: records.benchmark(name) for name in names},
        formats={name: source.format for name, source in names.items()},
        trained_on=", ".join(f"{name} ({source.format})" for name, source in training.items()),
    )


def choose(chosen: ExportParams, ranking: Json) -> tuple[str, str]:
    """Return the pair and the method whose connector is taken.

    Raises:
        HymaError: if there is no such pair, the method has no connectors, or its connector of the pair failed.
    """
    winner, scores = ranking["winner"], ranking["scores"]
    pair = winner["pair"] if chosen.pair == WINNER else chosen.pair
    known = max((list(of) for of in scores.values()), key=len)
    if pair not in known:
        close = get_close_matches(pair, known, n=3) or known[:3]
        raise HymaError(
            f"export.pair: no pair {pair!r} in this run; there are {len(known)}, such as {', '.join(close)}"
        )
    if chosen.method != BEST and chosen.method not in scores:
        raise HymaError(
            f"export.method: {chosen.method!r} has no connectors; choose one of {', '.join(scores)}"
        )
    made = {name: of[pair] for name, of in ranking["choosing"].items() if of.get(pair) is not None}
    if chosen.method == BEST:
        return pair, max(sorted(made), key=made.__getitem__)
    if chosen.method not in made:
        why = "failed on" if pair in scores[chosen.method] else "did not train"
        raise HymaError(f"export.method: {chosen.method} {why} {pair}; choose one of {', '.join(made)}")
    return pair, chosen.method


def of_pair(pair: str, method: str, run: Run) -> StitchedModel:
    """Put the model of a pair together from the run's connectors and the encoders that params.yaml names."""
    image, text = pair.split("-")
    model = StitchedModel(
        last_run.stitch(method, pair),
        params.read(f"image_encoders.{image}", ImageEncoderParams),
        params.read(f"text_encoders.{text}", TextEncoderParams),
        logit_scale=settings.read("connector", ConnectorParams).logit_scale,
        device="cpu",
        pair=pair,
        method=method,
        protocol=run.ranking["protocol"],
    )
    # Those of a benchmark: the training set's may be somebody else's, who does not say how pictures came to them.
    for side in (model.image_side, model.text_side):
        file = features.file_of("benchmarks", side.side, side.slug, next(iter(run.benchmarks)))
        side.identity = Features(file).info.encoder
    return model

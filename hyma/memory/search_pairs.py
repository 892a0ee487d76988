"""The search in memory: from arrays of features to a ranking of the pairs and a stitched model, without the pipeline.

Letters: N images, M texts, D and E the widths of an image and a text encoder.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Annotated, Any, TextIO, TypeVar

import numpy as np
from pydantic import Field

from hyma.common import device as devices
from hyma.common.errors import HymaError
from hyma.common.names import DeviceName
from hyma.common.params import Section, validate
from hyma.encoders.base.common import like
from hyma.memory import arrays
from hyma.memory.pair_ranking import Ranking
from hyma.methods.shared.run import known, model, run_method
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures, assemble

__all__ = ["Ranking", "search_pairs"]

FEWEST = 24
"""Captioned images below which nothing can be held out and anything learnt from the rest."""
HERE = Path("search_pairs")
"""What errors name in the place of params.yaml."""
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Given = Mapping[str, Any]
T = TypeVar("T", bound=Section)


def search_pairs(
    image_features: Given,
    text_features: Given,
    methods: Sequence[str] = ("hyma",),
    *,
    image_of_text: Any = None,
    settings: Mapping[str, Given] | None = None,
    connector: Given | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: bool | None = None,
) -> Ranking:
    """Find the best pair of encoders from features that are at hand.

    >>> import numpy as np
    >>> from hyma import search_pairs
    >>> rng = np.random.default_rng(0)
    >>> meaning = rng.normal(size=(300, 6))  # what 300 pictures and their captions have in common
    >>> ranking = search_pairs(
    ...     {"sees": meaning @ rng.normal(size=(6, 16)), "blind": rng.normal(size=(300, 16))},
    ...     {"reads": meaning @ rng.normal(size=(6, 12))},
    ...     methods=["hyma", "grid"],
    ... )
    >>> ranking.best
    'sees-reads'
    >>> ranking
    Ranking of 2 pairs by hyma, scored on 75 held-out images
    pair          hyma   grid
    sees-reads   1.000  1.000
    blind-reads  0.0...
    >>> ranking.model()
    StitchedModel(sees × reads, 16 wide, on ...)

    Some images are held out of training (a twentieth; of fewer than 2,000 up to a quarter), and pairs are scored on
    them: by recall@5, the share of captions whose own image is among the five nearest, and the other way round.
    `autopair` adds the number of the rung that the pair reached; methods without connectors have scores of their
    own. Scores compare pairs within a method; a benchmark of what the model is for says more, and the pipeline
    (`dvc repro`) runs six.

    Args:
        image_features: slug → features [N, D] of the same N images: numpy arrays, torch tensors, or what
            `numpy.asarray` takes.
        text_features: slug → features [M, E] of the same M captions.
        methods: which search methods run; the first one ranks. ``hyma``, ``grid``, ``refine`` (needs ``hyma``), and
            those of `hyma.methods`: ``cca``, ``ridge``, ``random`` …
        image_of_text: the image row that each caption describes, M whole numbers; caption m describes image m,
            unless given.
        settings: method → the keys of its section in params.yaml, as in ``{"hyma": {"epochs": 2}}``; what is not
            given has its default, or follows from the number of rows and pairs by the section's own rules.
        connector: keys of section ``connector``, as in ``{"kind": "linear"}``.
        seed: of all that is drawn by lot.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: True shows bars, in a notebook too, False none; None, on a terminal only.

    Returns:
        The pairs, best first, with every method's result.

    Raises:
        HymaError: if an argument is wrong, in one line that names it.
    """
    settings = settings or {}
    chosen, seed = _methods(methods, settings), int(validate(seed, Seed, HERE, "seed"))
    features, own = _features(image_features, text_features, image_of_text, connector or {}, seed, device)
    sections = {name: _section(name, features, own, settings.get(name, {})) for name in chosen}
    found: dict[str, SearchResult] = {}
    with _bars(progress):
        # What starts from another method's connectors comes after it.
        for name in sorted(chosen, key=lambda name: name == "refine"):
            with _placed():
                found[name] = run_method(name, features, sections[name], own, seed, found.get("hyma"))
    return Ranking(
        {name: found[name] for name in chosen},
        ["-".join(pair) for pair in features.pairs],
        held_out=len(features.held_out),
        logit_scale=own.logit_scale,
    )


def _features(
    image_features: Given, text_features: Given, image_of_text: Any, connector: Given, seed: int, device: str
) -> tuple[TrainingFeatures, ConnectorParams]:
    """All features, checked and split, with the section ``connector`` that they were split by."""
    images = arrays.side(image_features, f"{HERE}: image_features")
    texts = arrays.side(text_features, f"{HERE}: text_features")
    for slug in images.keys() & texts.keys():
        raise HymaError(
            f"{HERE}: text_features.{slug}: an image encoder has this name too; rename one of them"
        )
    rows, count = (len(next(iter(side.values()))) for side in (images, texts))
    image_of_text_M = arrays.image_of_text(image_of_text, rows, count, f"{HERE}: image_of_text")
    captioned = len(np.unique(image_of_text_M))
    if captioned < FEWEST:
        raise HymaError(f"{HERE}: image_features: {captioned} captioned images; give at least {FEWEST}")
    own = _validated(connector, ConnectorParams, "connector")
    where = devices.resolve(validate(device, DeviceName, HERE, "device"), f"{HERE}: device")  # type: ignore[arg-type]
    with _placed():
        return assemble(_chunks(images), _chunks(texts), image_of_text_M, own, seed, where), own


def _methods(methods: Sequence[str], settings: Mapping[str, Given]) -> list[str]:
    """The methods to run, each once."""
    chosen = [methods] if isinstance(methods, str) else list(dict.fromkeys(methods))
    if not chosen:
        raise HymaError(f"{HERE}: methods: none given; name at least one of {', '.join(known())}")
    for name in chosen:
        if name not in known():
            close = like(str(name), known())
            hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known())}"
            raise HymaError(f"{HERE}: methods: {name!r}: no such search method; {hint}")
    if "refine" in chosen and "hyma" not in chosen:
        raise HymaError(f"{HERE}: methods: refine starts from HYMA's connectors; add 'hyma'")
    if not isinstance(settings, Mapping):
        raise HymaError(f"{HERE}: settings: should be a mapping from methods to their keys")
    for name in settings:
        if name not in chosen:
            raise HymaError(
                f"{HERE}: settings.{name}: not among methods ({', '.join(chosen)}); add it or drop it"
            )
    return chosen


def _section(name: str, features: TrainingFeatures, connector: ConnectorParams, given: Given) -> Section:
    return _validated(given, model(name), f"settings.{name}", Shapes.of(features, connector, 0))


def _validated(given: Given, model: type[T], key: str, sizes: Shapes | None = None) -> T:
    """What is given, and for all else the defaults and rules, as a section."""
    if not isinstance(given, Mapping):
        raise HymaError(f"{HERE}: {key}: should be a mapping of keys, but it is {given!r}")
    return validate(dict(given), model, HERE, key, sizes)


def _chunks(features: arrays.Arrays) -> dict[str, list[np.ndarray]]:
    return {slug: [feature_ND] for slug, feature_ND in features.items()}


@contextmanager
def _placed() -> Iterator[None]:
    """Let errors name the argument that holds what the pipeline reads from a place in params.yaml."""
    try:
        yield
    except HymaError as error:
        message = str(error).replace("params.yaml: connector.", f"{HERE}: connector.")
        message = re.sub(r"^params\.yaml: (search\.)?", f"{HERE}: settings.", message)
        raise HymaError(message.replace(" in params.yaml", " in settings")) from None


class _Stream:
    """Standard error as progress bars see it: they ask whether it is a terminal before they show."""

    def __init__(self, stream: TextIO, terminal: bool):
        self._stream, self._terminal = stream, terminal

    def isatty(self) -> bool:
        return self._terminal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _bars(shown: bool | None) -> Iterator[None]:
    """Show the progress bars of all searches, or none; None leaves it to them."""
    if shown is None:
        yield
    else:
        with redirect_stderr(_Stream(sys.stderr, shown)):
            yield

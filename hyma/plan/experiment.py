"""The whole of params.yaml: every section's model, its defaults, and what must hold between sections.

A user's file says which data, benchmarks and encoders; all else has a default, or a rule where it depends on how much
there is of these.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from hyma.common import params
from hyma.common.names import DeviceName, LeaksKind, Slug
from hyma.common.params import FILE, Section
from hyma.embedded.world.params import WorldParams
from hyma.embedded.zoo.params import ZooParams
from hyma.encoders.base.params import PUBLISHED, ExtractParams, ImageEncoderParams, TextEncoderParams
from hyma.evaluation.params import EvaluateParams
from hyma.fetched.params import Fetched, FetchParams
from hyma.methods import known, load
from hyma.methods.shared.switch import SearchParams
from hyma.model.params import WINNER, ExportParams
from hyma.ranking.params import AuditParams, FinalsParams, OracleKind, RankParams
from hyma.readers.base.params import DataSource
from hyma.search.params import HymaParams, RefineParams, UnimodalParams
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.shapes import Shapes
from hyma.studies.params import StudiesParams

NOMINAL = 10_000, 512
"""Captions, and the width of features, that rules go by where nothing is known of them yet."""


def _section() -> Any:
    """A section that need not be given: its defaults, and its rules."""
    return Field(default_factory=dict, validate_default=True)


class Experiment(Section):
    """One experiment; a stage reads the sections that it declares in dvc.yaml and no others."""

    seed: int = Field(0, ge=0, lt=2**31)
    device: DeviceName = "auto"
    oracle: OracleKind = Field(
        "audit", description="which pairs are trained on their own, as grid search does"
    )
    leaks: LeaksKind = Field(
        "report", description="what becomes of training pictures that are in a benchmark, too"
    )
    fetch: dict[Fetched, FetchParams] = Field(default_factory=dict)
    world: dict[Slug, WorldParams] = Field(default_factory=dict, max_length=1)
    zoo: ZooParams = _section()
    training: dict[Slug, DataSource] = Field(min_length=1, max_length=1)
    benchmarks: dict[Slug, DataSource] = Field(min_length=1)
    image_encoders: dict[Slug, ImageEncoderParams] = Field(min_length=1)
    text_encoders: dict[Slug, TextEncoderParams] = Field(min_length=1)
    extract: ExtractParams = _section()
    connector: ConnectorParams = _section()
    hyma: HymaParams = _section()
    grid: GridParams = _section()
    finals: FinalsParams = _section()
    audit: AuditParams = _section()
    rank: RankParams = _section()
    refine: RefineParams | None = None
    unimodal: UnimodalParams = _section()
    search: SearchParams = _section()
    evaluate: EvaluateParams = _section()
    export: ExportParams = _section()
    studies: StudiesParams = _section()

    @model_validator(mode="after")
    def _agree(self) -> "Experiment":
        both = self.image_encoders.keys() & self.text_encoders.keys()
        if both:
            raise ValueError(f"text_encoders.{min(both)}: an image encoder has this slug too; rename one")
        for name in self.zoo.image.keys() & self.zoo.text.keys():
            raise ValueError(
                f"zoo.text.{name}: zoo.image has this name too, and both write zoo/{name}; rename one"
            )
        self._published_features_fit()
        pairs = len(self.image_encoders) * len(self.text_encoders)
        if self.hyma.bm > pairs:
            raise ValueError(
                f"hyma.bm: {self.hyma.bm} pairs a step, but the encoders make only {pairs} pairs; "
                f"set it to {pairs} or less"
            )
        self._exported_pair_exists()
        return self

    def _exported_pair_exists(self) -> None:
        image, _, text = self.export.pair.partition("-")
        if self.export.pair != WINNER and not (image in self.image_encoders and text in self.text_encoders):
            raise ValueError(
                f"export.pair: {self.export.pair!r} is no pair of these encoders; "
                f"give <image encoder>-<text encoder>, or {WINNER}"
            )

    def _published_features_fit(self) -> None:
        for side in ("image_encoders", "text_encoders"):
            for slug, encoder in getattr(self, side).items():
                known = (encoder.training_features or "").startswith(f"{PUBLISHED}/")
                if known and not encoder.unit_length:
                    raise ValueError(
                        f"{side}.{slug}.unit_length: the published features are of unit length; set it to true, so "
                        "that those of the benchmarks are too"
                    )


SETTINGS = (
    *(
        "seed",
        "device",
        "oracle",
        "leaks",
        "finals",
        "audit",
        "rank",
        "extract",
        "connector",
        "hyma",
        "grid",
        "refine",
        "unimodal",
    ),
    *("search", "evaluate", "export", "studies"),
)
"""What stages read from metrics/settings.yaml; the other sections name things of the user's and have no defaults."""


def read(file: Path = FILE, sizes: Shapes | None = None) -> Experiment:
    """The experiment in a file, the sections of its search methods checked, too.

    Args:
        file: such as params.yaml.
        sizes: what keys that are ``auto`` follow from; a guess, unless given.

    Raises:
        HymaError: with the first mistake.
    """
    given = params.load(file)
    sizes = sizes or guess(given)
    found = params.validate(given, Experiment, file, sizes=sizes)
    for name, content in (found.search.model_extra or {}).items():
        params.validate(content, load(name).Params, file, f"search.{name}", sizes)
    return found


def guess(given: Mapping[str, Any]) -> Shapes:
    """The sizes of a search of which only the number of encoders is known."""
    captions, width = NOMINAL
    sides = ("image_encoders", "text_encoders")
    images, texts = (dict.fromkeys(given.get(side) or ("encoder",), width) for side in sides)
    return Shapes.expected(images, texts, (captions, captions), ConnectorParams.model_validate({}), 0)


def settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """All `SETTINGS` with their defaults filled in; what has a rule and is not given is ``auto``.

    Args:
        given: content of a valid params.yaml.
    """
    found: dict[str, Any] = {}
    for name in SETTINGS:
        own, model = given.get(name), Experiment.model_fields[name].annotation
        if name == "refine":
            found[name] = None if own is None else RefineParams.defaults() | own
        elif name == "search":
            found[name] = _search(own or {})
        elif isinstance(model, type) and issubclass(model, Section):
            found[name] = model.defaults() | (own or {})
        else:
            found[name] = Experiment.defaults()[name] if own is None else own
    return found


def _search(given: Mapping[str, Any]) -> dict[str, Any]:
    """Which methods run, and the section of every method that there is."""
    methods = given.get("methods", SearchParams().methods)
    return {"methods": methods} | {
        name: load(name).Params.defaults() | given.get(name, {}) for name in known()
    }

"""The whole of params.yaml: every section's model, and what must hold between sections."""

from pydantic import Field, model_validator

from hyma.common.names import DeviceName, Slug
from hyma.common.params import Section
from hyma.embedded.world.params import WorldParams
from hyma.embedded.zoo.params import ZooParams
from hyma.encoders.base.params import PUBLISHED, ExtractParams, ImageEncoderParams, TextEncoderParams
from hyma.evaluation.params import EvaluateParams
from hyma.methods.shared.switch import SearchParams
from hyma.model.params import WINNER, ExportParams
from hyma.readers.base.params import DataSource
from hyma.search.params import HymaParams, RefineParams, UnimodalParams
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.studies.params import StudiesParams


class Experiment(Section):
    """One experiment; a stage reads the sections that it declares in dvc.yaml and no others."""

    seed: int = Field(ge=0, lt=2**31)
    device: DeviceName
    world: dict[Slug, WorldParams] = Field(max_length=1)
    zoo: ZooParams
    training: dict[Slug, DataSource] = Field(min_length=1, max_length=1)
    benchmarks: dict[Slug, DataSource] = Field(min_length=1)
    image_encoders: dict[Slug, ImageEncoderParams] = Field(min_length=1)
    text_encoders: dict[Slug, TextEncoderParams] = Field(min_length=1)
    extract: ExtractParams
    connector: ConnectorParams
    hyma: HymaParams
    grid: GridParams
    refine: RefineParams
    unimodal: UnimodalParams
    search: SearchParams
    evaluate: EvaluateParams
    export: ExportParams
    studies: StudiesParams

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

"""Section ``search``: which of the search methods run, and with what."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hyma.common.names import Slug
from hyma.methods import known
from hyma.search.params import RecordedParams


class SearchParams(BaseModel):
    """Section ``search``. Beside the two lists it may have a section for each method, named as the method."""

    model_config = ConfigDict(extra="allow", frozen=True)

    methods: list[str] = Field(
        default=["ridge", "cca", "gcca", "mutual_knn", "random"], description="the methods to run, by name"
    )
    recorded: dict[Slug, RecordedParams] = Field(
        default_factory=dict, description="recorded rankings, by name"
    )

    @model_validator(mode="after")
    def _known(self) -> "SearchParams":
        sections = self.model_extra or {}
        for name in [*self.methods, *sections]:
            if name not in known():
                raise ValueError(f"{name}: no such search method; known: {', '.join(known())}")
        names = [*self.methods, *self.recorded, "grid", "hyma", "refine", "unimodal"]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"{twice[0]}: two methods have this name; rename one or list it once")
        return self

"""What is known of every encoder before it is loaded: width, weights, and the cost of a row."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from hyma.common.errors import HymaError
from hyma.common.features import Features
from hyma.encoders.base.matrices import SUFFIXES, open_matrix
from hyma.encoders.base.params import EncoderParams, ImageEncoderParams
from hyma.plan.experiment import Experiment
from hyma.plan.models import Facts, UnknownError, count
from hyma.plan.rows import Rows


@dataclass(frozen=True)
class Encoder:
    """An encoder as the plan sees it; without facts where they cannot be known yet, and `reason` why."""

    slug: str
    own: EncoderParams
    facts: Facts | None = None
    reason: str = ""

    @property
    def modality(self) -> str:
        """``image`` or ``text``."""
        return "image" if isinstance(self.own, ImageEncoderParams) else "text"

    def encodes(self, place: str) -> bool:
        """Whether it computes features of the data set at `place`, such as ``training/captions``, or reads them."""
        given = place.startswith("training/") and self.own.training_features is not None
        return self.own.source != "precomputed" and not given

    def rows(self, own: Rows) -> int:
        """How many rows of a data set are its to encode."""
        return own.images if self.modality == "image" else own.texts


def look(experiment: Experiment) -> dict[str, Encoder]:
    """Count every encoder of the experiment on the meta device; no weights are needed."""
    entries: dict[str, EncoderParams] = {**experiment.image_encoders, **experiment.text_encoders}
    found: dict[str, Encoder] = {}
    for slug, own in tqdm(entries.items(), desc="looking at encoders", disable=None, leave=False):
        try:
            found[slug] = _look(slug, own, experiment)
        except (UnknownError, HymaError) as error:
            found[slug] = Encoder(slug, own, reason=str(error))
        except Exception as error:  # whatever a library makes of a name: the other encoders are still counted
            said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            found[slug] = Encoder(slug, own, reason=said)
        if found[slug].facts is None:
            found[slug] = _extracted(found[slug], experiment.training)
    return found


def _look(slug: str, own: EncoderParams, experiment: Experiment) -> Encoder:
    if own.source != "precomputed":
        return Encoder(slug, own, count(own, slug, experiment.zoo))
    files = (Path(own.weights) / f"{name}{suffix}" for name in experiment.training for suffix in SUFFIXES)
    there = next((file for file in files if file.is_file()), None)
    if there is None:
        raise UnknownError("its features are not there yet to tell their width")
    return Encoder(slug, own, Facts(open_matrix(there).dim, 0, 0.0, 0, None))


def _extracted(encoder: Encoder, training: Iterable[str]) -> Encoder:
    """With width and cost taken from features of an earlier run, where there are any."""
    for name in training:
        try:
            info = Features(Path(f"features/training/{encoder.slug}/{name}.arrow")).info
        except HymaError:
            continue
        return replace(encoder, facts=Facts(info.dim, None, info.flops_per_row, 0, None))
    return encoder

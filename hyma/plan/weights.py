"""What the model hub has to give: weights and published features that its local cache does not hold yet."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hyma.encoders.base.params import HUB, EncoderParams
from hyma.encoders.base.precomputed import OWNER, PUBLISHED, REPOSITORIES
from hyma.plan.encoders import Encoder
from hyma.plan.models import PACKAGE
from hyma.plan.rows import Rows
from hyma.plan.sizes import FLOAT

FILES = (
    "model.safetensors",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
)
"""Names that weights have on the hub."""


class Download(NamedTuple):
    """Something that a run fetches by itself where there is a network."""

    key: str
    """Of the encoder's entry in params.yaml."""
    what: str
    get: str
    """The line that fetches it beforehand."""
    size: float | None
    """Bytes, about; None if unknown."""


def downloads(encoder: Encoder, rows: dict[str, Rows | None]) -> Iterator[Download]:
    """What an encoder still has to download; nothing is asked of the hub to find that out."""
    own = encoder.own
    pinned = f" --revision {own.revision}" if own.revision else ""
    repository = hub_repository(own)
    if repository is not None and not any(_cached(repository, file, own.revision) for file in FILES):
        size = None if encoder.parameters is None else float(FLOAT * encoder.parameters)
        yield Download("", f"weights of {repository}", f"hf download {repository}{pinned}", size)
    if own.source == "precomputed" and own.weights == HUB:
        repository, file = "/".join(own.name.split("/")[:2]), "/".join(own.name.split("/")[2:])
        yield from _features("", repository, file, pinned, None)
    if own.training_features is not None and not Path(own.training_features).is_file():
        repository, file = published(own.training_features, encoder.modality)
        training = next((found for place, found in rows.items() if place.startswith("training/")), None)
        count = (
            None if training is None else training.images if encoder.modality == "image" else training.texts
        )
        size = None if count is None or encoder.dim is None else float(FLOAT * count * encoder.dim)
        yield from _features(".training_features", repository, file, "", size)


def _features(key: str, repository: str, file: str, pinned: str, size: float | None) -> Iterator[Download]:
    if not file or not _cached(repository, file, None, "dataset"):
        line = " ".join(filter(None, ["hf download --repo-type dataset", repository, file]))
        yield Download(key, f"features {repository}/{file}".rstrip("/"), f"{line}{pinned}", size)


def published(name: str, modality: str) -> tuple[str, str]:
    """The hub's data set and the file in it that ``training_features`` means."""
    head, _, stem = name.partition("/")
    if head == PUBLISHED:
        found = [data for data, stems in REPOSITORIES[modality].items() if stem in stems]
        return f"{OWNER}/{found[0]}" if found else name, f"{stem}.pt"
    return "/".join(name.split("/")[:2]), "/".join(name.split("/")[2:])


def hub_repository(own: EncoderParams) -> str | None:
    """The hub's repository that an encoder's weights come from; None if they come from elsewhere."""
    if own.weights != HUB or own.source == "precomputed" or own.name.startswith(PACKAGE):
        return None
    if own.source == "timm":
        import timm

        known = timm.models.get_pretrained_cfg(own.name) if timm.is_model(own.name) else None
        return known.hf_hub_id if known is not None and known.hf_hub_id else None
    if own.source == "open_clip":
        return _open_clip(own.name)
    return own.name if "/" in own.name else f"sentence-transformers/{own.name}"


def _open_clip(name: str) -> str | None:
    if importlib.util.find_spec("open_clip") is None:
        return None
    from open_clip.pretrained import get_pretrained_cfg

    architecture, _, tag = name.rpartition("/")
    return str(get_pretrained_cfg(architecture, tag).get("hf_hub", "")).rpartition("/")[0] or None


def _cached(repository: str, file: str, revision: str | None, kind: str = "model") -> bool:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, file, revision=revision, repo_type=kind)
    return isinstance(found, str)

"""What the model hub has to give: weights and published features that its local cache does not hold yet."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hyma.encoders.base.params import HUB, EncoderParams
from hyma.encoders.base.precomputed import OWNER, PUBLISHED, REPOSITORIES
from hyma.plan.encoders import Encoder
from hyma.plan.models import PACKAGE
from hyma.plan.rows import Rows
from hyma.plan.sizes import FLOAT

FILES = tuple(
    f"{kind}{name}" for kind in ("", "open_clip_") for name in ("model.safetensors", "pytorch_model.bin")
)
"""Names that weights have on the hub."""
Item = dict[str, Any]
"""``what`` is missing, ``where`` params.yaml asks for it, ``get``: what to do; downloads: ``bytes`` or None."""


def downloads(encoder: Encoder, rows: dict[str, Rows | None]) -> Iterator[Item]:
    """What an encoder still has to download, and the lines that do so; nothing is asked of the hub to find that out."""
    own, facts, where = encoder.own, encoder.facts, f"{encoder.modality}_encoders.{encoder.slug}"
    pinned = f" --revision {own.revision}" if own.revision else ""
    repository = hub_repository(own)
    if repository is not None and not any(_cached(repository, file, own.revision) for file in FILES):
        size = float(FLOAT * facts.parameters) if facts and facts.parameters else None
        line = f"hf download {repository}{pinned}"
        yield {"where": where, "what": f"weights of {repository}", "get": line, "bytes": size}
    if own.source == "precomputed" and own.weights == HUB:
        yield from _features(where, *_parted(own.name), pinned, None)
    if own.training_features is not None and not Path(own.training_features).is_file():
        training = next((found for place, found in rows.items() if place.startswith("training/")), None)
        size = float(FLOAT * encoder.rows(training) * facts.dim) if training and facts else None
        named = published(own.training_features, encoder.modality)
        yield from _features(f"{where}.training_features", *named, "", size)


def _features(where: str, repository: str, file: str, pinned: str, size: float | None) -> Iterator[Item]:
    if not file or not _cached(repository, file, None, "dataset"):
        line = " ".join(filter(None, ["hf download --repo-type dataset", repository, file]))
        what = f"features {repository}/{file}".rstrip("/")
        yield {"where": where, "what": what, "get": f"{line}{pinned}", "bytes": size}


def published(name: str, modality: str) -> tuple[str, str]:
    """The hub's data set and the file in it that ``training_features`` means."""
    head, _, stem = name.partition("/")
    if head != PUBLISHED:
        return _parted(name)
    found = [data for data, stems in REPOSITORIES[modality].items() if stem in stems]
    return f"{OWNER}/{found[0]}" if found else name, f"{stem}.pt"


def _parted(name: str) -> tuple[str, str]:
    """A repository ``owner/name``, and the file in it."""
    parts = name.split("/")
    return "/".join(parts[:2]), "/".join(parts[2:])


def hub_repository(own: EncoderParams) -> str | None:
    """The hub's repository that an encoder's weights come from; None if they come from elsewhere."""
    if own.weights != HUB or own.source == "precomputed" or own.name.startswith(PACKAGE):
        return None
    if own.source == "timm":
        import timm

        known = timm.models.get_pretrained_cfg(own.name) if timm.is_model(own.name) else None
        return (known.hf_hub_id or None) if known is not None else None
    if own.source == "open_clip":
        if importlib.util.find_spec("open_clip") is None:
            return None
        from open_clip.pretrained import get_pretrained_cfg

        architecture, _, tag = own.name.rpartition("/")
        return str(get_pretrained_cfg(architecture, tag).get("hf_hub", "")).rpartition("/")[0] or None
    return own.name if "/" in own.name else f"sentence-transformers/{own.name}"


def _cached(repository: str, file: str, revision: str | None, kind: str = "model") -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repository, file, revision=revision, repo_type=kind), str)

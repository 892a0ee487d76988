"""Encoders as they are given on the command line: ``slug=source:name``, ``source:name``, a name, or a folder."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from hyma.common.errors import HymaError
from hyma.common.files import read_json
from hyma.encoders.base.params import HUB, ImageEncoderParams, TextEncoderParams
from hyma.plan.short_lists import Encoders

P = TypeVar("P", ImageEncoderParams, TextEncoderParams)
Side = Literal["image", "text"]
Entry = dict[str, str]
KNOWN = {
    "image": ("timm", "open_clip", "precomputed"),
    "text": ("sentence-transformers", "open_clip", "precomputed"),
}
"""Sources of either side; the first one is meant where none is given."""
OTHER: dict[Side, Side] = {"image": "text", "text": "image"}
PACKAGE = "package"
"""What a name starts with, before a colon, if the model lies in an installed package."""
CLIP, SENTENCE, TIMM = "open_clip_config.json", "modules.json", "config.json"
"""The file that tells whose folder it is."""


def encoders(image: Sequence[str], text: Sequence[str], proposed: Encoders) -> Encoders:
    """The encoders given; those proposed on a side where none are.

    Raises:
        HymaError: if one is given twice or not as it should be, or its files are not there.
    """
    images = _side("image", image, ImageEncoderParams, proposed.image)
    texts = _side("text", text, TextEncoderParams, proposed.text)
    both = images.keys() & texts.keys()
    if both:
        raise HymaError(
            f"--text: {min(both)!r} names an image encoder, too; give another name: slug=source:name"
        )
    for own in (*images.values(), *texts.values()):
        if own.weights != HUB and not Path(own.weights).exists():
            raise HymaError(
                f"{own.weights}: not found; run from the project's root, or give other encoders by --image and --text"
            )
    return Encoders(images, texts)


def _side(side: Side, given: Sequence[str], model: type[P], proposed: Mapping[str, P]) -> dict[str, P]:
    found: dict[str, P] = {}
    for spec in given:
        named, rest = _slug(side, spec)
        own = proposed[rest] if rest in proposed else model.model_validate(_entry(side, rest, spec))
        if own in found.values():
            raise HymaError(f"--{side} {spec}: given twice; leave one out")
        if named in found:
            raise HymaError(f"--{side} {spec}: {named!r} names another encoder already; give another name")
        found[named or _free(rest if rest in proposed else _short(own.name), found)] = own
    return found or dict(proposed)


def _slug(side: Side, spec: str) -> tuple[str, str]:
    """The slug, or nothing if none is given, and what stands behind it."""
    slug, equals, rest = spec.strip().rpartition("=")
    if equals and not re.fullmatch("[a-z0-9_]+", slug):
        raise HymaError(f"--{side} {spec}: {slug!r} should be made of a-z, 0-9 and _")
    if not rest.strip():
        raise HymaError(f"--{side} {spec}: no encoder; give slug=source:name, a name, or a folder")
    return slug, rest.strip()


def _entry(side: Side, rest: str, spec: str) -> Entry:
    head, colon, name = rest.partition(":")
    if not colon or (head == PACKAGE and side == "text"):
        source, name, sure = KNOWN[side][0], rest, False
    elif head in KNOWN[side]:
        source, sure = head, True
    elif head in KNOWN[OTHER[side]]:
        raise HymaError(f"--{side} {spec}: {head} has no {side} encoders; give it by --{OTHER[side]}")
    else:
        raise HymaError(f"--{side} {spec}: unknown source {head!r}; known: {', '.join(KNOWN[side])}")
    place = Path(name).expanduser()
    if source == "precomputed" and place.exists():
        return {"source": source, "name": place.name, "weights": str(place)}
    if place.exists():
        return _of_folder(side, place, spec)
    if "/" in name and (name[0] in "./~" or (side == "image" and not sure)):
        raise HymaError(f"--{side} {spec}: {name}: no such folder; correct the path, or give source:name")
    return {"source": source, "name": name, "weights": HUB}


def _of_folder(side: Side, folder: Path, spec: str) -> Entry:
    if folder.is_file():
        raise HymaError(
            f"--{side} {spec}: weights alone do not say of which model they are; give their folder, "
            'or write the entry into params.yaml (docs/own.md, "From a folder or a file")'
        )
    if (folder / CLIP).is_file():
        return {"source": "open_clip", "name": folder.name, "weights": str(folder)}
    if (folder / SENTENCE).is_file():
        if side == "image":
            raise HymaError(f"--image {spec}: {folder} holds a text encoder; give it by --text")
        return {"source": "sentence-transformers", "name": folder.name, "weights": str(folder)}
    config = read_json(folder / TIMM) if (folder / TIMM).is_file() else None
    architecture = config.get("architecture") if isinstance(config, dict) else None
    if side == "image" and architecture:
        return {"source": "timm", "name": str(architecture), "weights": str(folder)}
    wanted = f"{TIMM} of timm" if side == "image" else f"{SENTENCE} of sentence-transformers"
    raise HymaError(
        f"--{side} {spec}: no encoder in {folder}: expected {wanted} or {CLIP}; "
        "a folder of features is given as precomputed:FOLDER"
    )


def _short(name: str) -> str:
    """A slug for an encoder's name: ``vit_tiny_patch16_224`` of ``vit_tiny_patch16_224.augreg_in21k``."""
    last = (
        name.removeprefix(f"{PACKAGE}:").partition("/")[0]
        if name.startswith(f"{PACKAGE}:")
        else Path(name).name
    )
    return re.sub("[^a-z0-9]+", "_", last.partition(".")[0].lower()).strip("_") or "encoder"


def _free(slug: str, taken: Mapping[str, object]) -> str:
    """The slug itself, or with the first number that is free."""
    numbered = (f"{slug}_{number}" for number in range(2, len(taken) + 3))
    return slug if slug not in taken else next(each for each in numbered if each not in taken)

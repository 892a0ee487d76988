"""Features in memory: arrays of any kind, looked through and brought to one form.

Letters: N images, M texts, D an encoder's width.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from hyma.common.errors import HymaError

SLUG = re.compile(r"[a-z0-9_]+")
Arrays = dict[str, np.ndarray]


def side(features: Mapping[str, Any], place: str) -> Arrays:
    """Return the features of a side's encoders as float32 [rows, D], all with as many rows.

    Args:
        features: slug → what `numpy.asarray` takes, or a torch tensor.
        place: the argument, for errors.

    Raises:
        HymaError: if there is no encoder, a slug is none, or an array is not what it should be.
    """
    if not isinstance(features, Mapping) or not features:
        raise HymaError(
            f"{place}: no encoders; give a mapping from names of encoders to arrays [rows, width]"
        )
    for slug in features:
        if not isinstance(slug, str) or not SLUG.fullmatch(slug):
            raise HymaError(
                f"{place}: {slug!r}: name encoders with a-z, 0-9 and _ only, since a pair's name is <image>-<text>"
            )
    found = {slug: _matrix(values, f"{place}.{slug}") for slug, values in features.items()}
    first = next(iter(found))
    for slug, feature_ND in found.items():
        if len(feature_ND) != len(found[first]):
            raise HymaError(
                f"{place}.{slug}: {len(feature_ND)} rows, but {first} has {len(found[first])}; encode the same "
                "items in the same order with every encoder"
            )
    return found


def image_of_text(given: Any, images: int, texts: int, place: str) -> np.ndarray:
    """Return the image row of every text row, int64 [M]; text m belongs to image m unless it is given.

    Raises:
        HymaError: if the counts disagree, or an entry is no row of the images.
    """
    if given is None:
        if images != texts:
            raise HymaError(
                f"{place}: missing; with {texts} text rows and {images} image rows, give the image row of each text"
            )
        return np.arange(texts)
    rows_M = np.asarray(_detached(given))
    if rows_M.dtype.kind not in "iu" or rows_M.shape != (texts,):
        raise HymaError(
            f"{place}: should be {texts} whole numbers, one a text row, but is {rows_M.dtype} {list(rows_M.shape)}"
        )
    outside = np.flatnonzero((rows_M < 0) | (rows_M >= images))
    if len(outside):
        raise HymaError(
            f"{place}: entry {outside[0]} is {rows_M[outside[0]]}, but image rows are 0 to {images - 1}"
        )
    return rows_M.astype(np.int64)


def _matrix(values: Any, place: str) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):  # what overflows is infinite, and refused below
            feature_ND = np.asarray(_detached(values), dtype=np.float32)
    except (TypeError, ValueError):
        raise HymaError(f"{place}: no array of numbers; give features [rows, width]") from None
    if feature_ND.ndim != 2 or not feature_ND.shape[1]:
        raise HymaError(
            f"{place}: should be features [rows, width], but its shape is {list(feature_ND.shape)}"
        )
    finite_N = np.isfinite(feature_ND).all(axis=1)
    if not finite_N.all():
        raise HymaError(
            f"{place}: NaN or infinite values in {int((~finite_N).sum())} rows, first row {int(finite_N.argmin())}; "
            "check the encoder, or leave these rows out on both sides"
        )
    return feature_ND


def _detached(values: Any) -> Any:
    """A tensor as numpy can take it; anything else as it is."""
    if not isinstance(values, torch.Tensor):
        return values
    values = values.detach().cpu()
    return (values.float() if values.is_floating_point() else values).numpy()

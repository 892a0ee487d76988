"""How much the pairing matters: what of the scores the image encoder decides, what the text encoder, what only both.

Scores of N × M pairs are split in two ways (analysis of variance, Fisher 1925): each is the mean of all, plus an effect
of its image encoder, plus one of its text encoder, plus what is left, the *interaction* of the two. The variance over
pairs splits alike. A ranking that knows the encoders alone has the first two right and says nothing of the third; so
beside ρ over all pairs stand ρ among the pairs of one encoder, and ρ of the interactions alone.

Letters: I image encoders, T text encoders.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hyma.ranking.agreement import spearman

Json = dict[str, Any]
Scores = Mapping[str, float]
"""Pair → score; -inf where the pair failed."""
SIDES = ("image", "text")
PARTS = (*SIDES, "interaction")
NEARLY = 0.9
"""A side with this share of the variance decides nearly everything."""
LITTLE = 0.05
"""Below this share the interaction is of little account."""
TINY = 1e-12
"""What effects are rounded to, relative to the largest score."""


def pairing(by: str, truth: Mapping[str, Scores], methods: Mapping[str, Mapping[str, Scores]]) -> Json | None:
    """Split the scores that all methods are held against, and say how well each method orders what they split into.

    Args:
        by: the name of the method whose scores `truth` are.
        truth: what the scores are of (a benchmark, ``mean``) → its scores of all pairs.
        methods: method → the same of its own; none where no method can be held against `truth`.

    Returns:
        ``by``; ``images`` and ``texts``, how many; ``left_out``, encoders left out of the split since pairs of theirs
        failed; ``split``: benchmark → see `split`; ``methods``: method → benchmark → see `agreements`. None for a
        single pair.
    """
    images, texts = (encoders(next(iter(truth.values())), side) for side in SIDES)
    if len(images) * len(texts) < 2:
        return None
    kept = whole(truth.values())
    return {
        "by": by,
        "images": len(images),
        "texts": len(texts),
        "left_out": [slug for slug in (*images, *texts) if slug not in (*kept[0], *kept[1])],
        "split": {name: split(table(scores, *kept)) for name, scores in truth.items()},
        "methods": {
            method: {name: agreements(truth[name], scores) for name, scores in own.items()}
            for method, own in methods.items()
        },
    }


def encoders(scores: Scores, side: str) -> list[str]:
    """The slugs of a side, in the order of the pairs."""
    return list(dict.fromkeys(pair.split("-")[SIDES.index(side)] for pair in scores))


def table(scores: Scores, images: Sequence[str], texts: Sequence[str]) -> np.ndarray:
    """The scores of these encoders' pairs, [I, T]; -inf where there is none."""
    return np.array([[scores.get(f"{i}-{t}", -np.inf) for t in texts] for i in images], float).reshape(
        len(images), len(texts)
    )


def whole(tables: Any) -> tuple[list[str], list[str]]:
    """The encoders, image and text, that are left once those are gone that lack pairs in any of the tables.

    The encoder with the largest share of its pairs missing goes first, and so on until none is missing.
    """
    tables = list(tables)
    images, texts = (encoders(tables[0], side) for side in SIDES)
    found_IT = np.all([np.isfinite(table(scores, images, texts)) for scores in tables], axis=0)
    while not found_IT.all():
        missing_I, missing_T = 1 - found_IT.mean(1), 1 - found_IT.mean(0)
        if missing_I.max() >= missing_T.max():
            row = int(missing_I.argmax())
            images, found_IT = images[:row] + images[row + 1 :], np.delete(found_IT, row, 0)
        else:
            column = int(missing_T.argmax())
            texts, found_IT = texts[:column] + texts[column + 1 :], np.delete(found_IT, column, 1)
    return images, texts


def effects(score_IT: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What of each score is its image encoder's, its text encoder's and the interaction, each [I, T].

    They are rounded, so that what is equal but for the order of a sum is equal, and an interaction that is not there 0.
    """
    mean = score_IT.mean()
    image_I1 = score_IT.mean(1, keepdims=True) - mean
    text_1T = score_IT.mean(0, keepdims=True) - mean
    unit = max(TINY * float(np.abs(score_IT).max()), float(np.finfo(float).tiny))
    parts = (image_I1, text_1T, score_IT - mean - image_I1 - text_1T)
    image_IT, text_IT, both_IT = (
        np.broadcast_to(unit * np.round(part / unit), score_IT.shape) for part in parts
    )
    return image_IT, text_IT, both_IT


def split(score_IT: np.ndarray) -> Json:
    """The variance over pairs, and the share in it of ``image``, ``text`` and ``interaction``, which add up to 1.

    Shares are None where the scores do not vary.
    """
    if score_IT.size == 0:
        return {"variance": 0.0} | dict.fromkeys(PARTS)
    parts = {name: float(np.mean(part**2)) for name, part in zip(PARTS, effects(score_IT), strict=True)}
    variance = sum(parts.values())
    shares = {name: part / variance if variance else None for name, part in parts.items()}
    return {"variance": variance, **shares}


def verdict(shares: Json) -> str:
    """What decides, by what `split` gave: ``image`` or ``text`` alone, ``sides``, ``pairs``, or nothing: ``alike``."""
    if not shares["variance"]:
        return "alike"
    alone = next((side for side in SIDES if shares[side] >= NEARLY), None)
    return alone or ("sides" if shares["interaction"] < LITTLE else "pairs")


def agreements(truth: Scores, own: Scores) -> Json:
    """Spearman's ρ of a method's scores with the true ones, without what every encoder by itself decides.

    Returns:
        ``within_image``: among the pairs of one image encoder, the mean over the image encoders; ``within_text``: the
        same of text encoders; ``interaction``: of the interactions, over the encoders all of whose pairs have both
        scores. None where an encoder has one pair, or the true scores have no order.
    """
    images, texts = (encoders(truth, side) for side in SIDES)
    truth_IT, own_IT = table(truth, images, texts), table(own, images, texts)
    kept = whole((truth, own))
    both = [effects(table(scores, *kept))[2].ravel() if all(kept) else np.zeros(0) for scores in (truth, own)]
    return {
        "within_image": _mean(zip(truth_IT, own_IT, strict=True)),
        "within_text": _mean(zip(truth_IT.T, own_IT.T, strict=True)),
        "interaction": spearman(*both),
    }


def _mean(rows: Any) -> float | None:
    found = [rho for truth, own in rows if (rho := spearman(truth, own)) is not None]
    return float(np.mean(found)) if found else None

"""Metrics as pure functions: arrays in, numbers out, of all queries or of each.

Letters: N images, M texts, C classes, Q questions, A answers of a closed list, D a width.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hyma.common.names import TIE
from hyma.evaluation.captions import Captions

BLOCK = 1024
"""Queries compared at once: what memory holds is BLOCK × the number of candidates."""

CUTOFFS = (1, 5, 10)
"""The k of recall@k."""


class Ranks(NamedTuple):
    """Queries of one direction of retrieval."""

    rank_Q: np.ndarray
    """How many wrong items come before the query's best correct one."""
    image_Q: np.ndarray
    """The row of the image that asks, or whose caption asks."""


def label_ranks(score_NC: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """How many classes rank before each row's label, int [N]; equal scores rank the lower class first.

    Where the label's own score is NaN it is more than any k.
    """
    own_N1 = np.take_along_axis(score_NC, label_N[:, None], 1)
    tied_NC = np.abs(score_NC - own_N1) <= TIE
    lower_NC = np.arange(score_NC.shape[1]) < label_N[:, None]
    ahead_N = np.where(tied_NC, lower_NC, ~(score_NC < own_N1)).sum(1)
    return np.where(np.isfinite(own_N1[:, 0]), ahead_N, np.iinfo(ahead_N.dtype).max)


def topk_accuracy(rank_N: np.ndarray, k: int) -> float:
    """Share of rows whose label is among the k highest scores, from its `label_ranks`."""
    return float((rank_N < k).mean())


def retrieval_ranks(
    image_ND: np.ndarray,
    text_MD: np.ndarray,
    captions: Captions,
    ways: Sequence[str] = ("i2t", "t2i"),
) -> dict[str, Ranks]:
    """Rank the correct items of each query, by cosine of unit vectors.

    A caption is correct for every image that has one of its wording, and such an image for the caption. Ties count
    against the query: a wrong item of equal similarity ranks first.

    Args:
        image_ND: image embeddings of unit length.
        text_MD: caption embeddings of unit length.
        captions: the images that the captions belong to; an image may have several.
        ways: the directions wanted, of ``i2t`` (image → text) and ``t2i``.

    Returns:
        The queries of each direction. Images without a caption are no queries.
    """
    image_N = np.arange(len(image_ND))
    ranks = {}
    if "i2t" in ways:
        asks_N = np.isin(image_N, captions.image_M)
        rank_N = _best_rank(image_ND, text_MD, captions.of_images)
        ranks["i2t"] = Ranks(rank_N[asks_N], image_N[asks_N])
    if "t2i" in ways:
        rank_M = _best_rank(text_MD, image_ND, captions.of_captions)
        ranks["t2i"] = Ranks(rank_M, captions.image_M)
    return ranks


def recall_at_k(ranks: Mapping[str, Ranks], ks: Sequence[int] = CUTOFFS) -> dict[str, float]:
    """Recall@k of each direction: the share of queries with any correct item in their top k.

    Returns:
        ``i2t_r<k>`` and ``t2i_r<k>``.
    """
    return {f"{way}_r{k}": float((rank_Q < k).mean()) for way, (rank_Q, _) in ranks.items() for k in ks}


def recall_items(groups: Sequence[Ranks], images: int, ks: Sequence[int] = CUTOFFS) -> np.ndarray:
    """Mean recall as one value an image, to resample images by; float32 [images].

    The score is the mean over groups and cut-offs of the share of queries that hit. Images ask unequally often,
    so each share is a ratio of two sums over images, and an image's value is the score plus what it moves
    it by to first order (Taylor linearisation of a ratio; Särndal, Swensson & Wretman 1992, ch. 5). The
    values' mean is the score, and means of resampled values vary as the resampled score does. Where all
    images ask equally often a value is the image's own mean recall; else it may lie outside 0..1.

    Args:
        groups: the queries of each direction or pool; all count the same.
        images: how many images there are. One that never asks has the score itself.
        ks: the cut-offs.
    """
    item_N = np.zeros(images)
    for rank_Q, image_Q in groups:
        hit_Q = (rank_Q[:, None] < np.array(ks)).mean(1)
        weight = images / (len(hit_Q) * len(groups))
        item_N += hit_Q.mean() / len(groups) + weight * np.bincount(image_Q, hit_Q - hit_Q.mean(), images)
    return item_N.astype(np.float32)


def _best_rank(
    query_QD: np.ndarray, item_ID: np.ndarray, correct: Callable[[slice], np.ndarray]
) -> np.ndarray:
    """How many wrong items are at least as similar to each query as its best correct one.

    NaN counts as more similar than anything.

    Args:
        query_QD: what asks.
        item_ID: the candidates.
        correct: some queries → which items are correct for each, bool [B, I].
    """
    ranks = []
    for start in range(0, len(query_QD), BLOCK):
        rows = slice(start, start + BLOCK)
        similarity_BI, correct_BI = query_QD[rows] @ item_ID.T, correct(rows)
        best_B1 = np.where(correct_BI, similarity_BI, -np.inf).max(1, keepdims=True)
        ranks.append((~(similarity_BI < best_B1 - TIE) & ~correct_BI).sum(1))
    return np.concatenate(ranks)


def vqa_accuracy(answer: str, people: Sequence[str]) -> float:
    """Official VQA accuracy: the mean, over leaving out each person, of min(matches among the rest / 3, 1).

    With ten people, 1, 2, 3 and 4 or more matches give 0.3, 0.6, 0.9 and 1.
    """
    matches, total = people.count(answer), len(people)
    if not total:
        return 0.0
    out_of_matching = matches * min((matches - 1) / 3, 1.0) if matches else 0.0
    return (out_of_matching + (total - matches) * min(matches / 3, 1.0)) / total


def vqa_table(answers: Sequence[str], people: Sequence[Sequence[str]]) -> np.ndarray:
    """The accuracy of every answer of a closed list at every question, float32 [Q, A]."""
    column = {answer: number for number, answer in enumerate(answers)}
    accuracy_QA = np.zeros((len(people), len(answers)), np.float32)
    for row, given in enumerate(people):
        for answer in Counter(given):
            if answer in column:
                accuracy_QA[row, column[answer]] = vqa_accuracy(answer, list(given))
    return accuracy_QA

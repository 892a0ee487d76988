"""Metrics as pure functions: arrays in, numbers out.

Letters: N images, M texts, C classes, Q questions, A answers of a closed list, D a width.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

BLOCK = 1024
"""Queries compared at once: what memory holds is BLOCK × the number of candidates."""
TIE = 1e-6
"""Similarities that differ by less are equal: float32 products of equal vectors differ in their last bits."""


def topk_accuracy(score_NC: np.ndarray, label_N: np.ndarray, k: int) -> float:
    """Share of rows whose label is among the k highest scores; equal scores rank the lower class first.

    NaN never counts as a hit.
    """
    own_N1 = np.take_along_axis(score_NC, label_N[:, None], 1)
    tied_NC = np.abs(score_NC - own_N1) <= TIE
    lower_NC = np.arange(score_NC.shape[1]) < label_N[:, None]
    ahead_N = np.where(tied_NC, lower_NC, ~(score_NC < own_N1)).sum(1)
    return float(((ahead_N < k) & np.isfinite(own_N1[:, 0])).mean())


def recall_at_k(
    image_ND: np.ndarray, text_MD: np.ndarray, image_of_text_M: np.ndarray, ks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """Recall@k in both directions, by cosine of unit vectors.

    A query scores 1 if any correct item is in its top k. Ties count against the query: a wrong item of equal
    similarity ranks first.

    Args:
        image_ND: image embeddings of unit length.
        text_MD: caption embeddings of unit length.
        image_of_text_M: the row of the image that each caption belongs to; an image may have several.
        ks: the cut-offs.

    Returns:
        ``i2t_r<k>`` and ``t2i_r<k>``. Images without a caption are no queries.
    """
    rank_i2t = _best_rank(image_ND, text_MD, np.arange(len(image_ND)), image_of_text_M)
    rank_t2i = _best_rank(text_MD, image_ND, image_of_text_M, np.arange(len(image_ND)))
    ranks = {"i2t": rank_i2t[np.isin(np.arange(len(image_ND)), image_of_text_M)], "t2i": rank_t2i}
    return {f"{way}_r{k}": float((rank < k).mean()) for way, rank in ranks.items() for k in ks}


def _best_rank(
    query_QD: np.ndarray, item_ID: np.ndarray, group_Q: np.ndarray, group_I: np.ndarray
) -> np.ndarray:
    """How many wrong items are at least as similar to each query as its best item of the same group.

    NaN counts as more similar than anything.
    """
    ranks = []
    for start in range(0, len(query_QD), BLOCK):
        similarity_BI = query_QD[start : start + BLOCK] @ item_ID.T
        correct_BI = group_Q[start : start + BLOCK, None] == group_I[None, :]
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

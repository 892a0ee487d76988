"""How strong an encoder is on its own side: no other modality and no connector involved.

Letters: N images, M captions, D an encoder's width.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from hyma.evaluation.metrics import BLOCK


def linear_probe(feature_ND: np.ndarray, label_N: np.ndarray, seed: int) -> tuple[float, float]:
    """Accuracy of logistic regression on standardised features, mean of two stratified halves; and its FLOPs.

    An iteration computes all logits and the gradient: 4·N·D·C for C classes.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=100))
    halves = StratifiedKFold(2, shuffle=True, random_state=seed)
    # Its products are small: on few cores, threads that wait for each other make it ten times slower.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = cross_validate(model, feature_ND, label_N, cv=halves, return_estimator=True)
    iterations = sum(int(fitted[-1].n_iter_.max()) for fitted in found["estimator"])
    logits = feature_ND.size / 2 * len(np.unique(label_N))
    return float(found["test_score"].mean()), (4.0 * iterations + 2 * 2) * logits


def caption_retrieval(text_MD: np.ndarray, image_of_text_M: np.ndarray) -> float:
    """Share of captions whose nearest other caption describes the same image (cosine, mean removed)."""
    if len(text_MD) < 2:
        return 0.0
    centred_MD = text_MD - text_MD.mean(0)
    unit_MD = centred_MD / np.maximum(np.linalg.norm(centred_MD, axis=1, keepdims=True), 1e-12)
    hits = 0
    for start in range(0, len(unit_MD), BLOCK):
        similarity_BM = unit_MD[start : start + BLOCK] @ unit_MD.T
        own = np.arange(len(similarity_BM))
        similarity_BM[own, start + own] = -np.inf
        nearest_B = similarity_BM.argmax(1)
        hits += int((image_of_text_M[nearest_B] == image_of_text_M[start : start + BLOCK]).sum())
    return hits / len(unit_MD)

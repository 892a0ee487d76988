"""Zero-shot evaluation of a stitched pair on a prepared benchmark, from embeddings alone.

Letters: N images, M texts, C classes, T templates, Q questions, A answers, D the shared width.
"""

import math

import numpy as np

from hyma.common.names import Protocol
from hyma.common.prepared import Prepared
from hyma.evaluation import metrics

METRIC = {"classification": "top-1 accuracy", "retrieval": "mean recall", "vqa": "VQA accuracy"}


class Evaluator:
    """A benchmark under one protocol: which rows it uses, and how they are scored.

    What depends on the data set alone is worked out once; `score` is then cheap for every pair and method.
    """

    def __init__(self, prepared: Prepared, protocol: Protocol):
        self.task = prepared.meta.task
        self.protocol = protocol
        self.images = _rows(prepared.images["protocol"].to_pylist(), protocol)
        self.texts = _rows(prepared.texts["protocol"].to_pylist(), protocol)
        texts = prepared.texts.take(self.texts)
        if self.task == "classification":
            self.label_N = prepared.images["label"].to_numpy()[self.images].astype(int)
            self.target_M = texts["target"].to_numpy().astype(int)
            self.classes = len(prepared.meta.classes)
            self.rounds = _rounds(self.target_M)
        elif self.task == "retrieval":
            new_row = np.full(len(prepared.images), -1)
            new_row[self.images] = np.arange(len(self.images))
            self.image_of_text_M = new_row[texts["image"].to_numpy().astype(int)]
            self.pool_M = texts["pool"].to_numpy().astype(int)
        else:
            self.image_Q = prepared.questions["image"].to_numpy().astype(int)
            self.prompt_Q = prepared.questions["prompt"].to_numpy().astype(int)
            self.answers = len(prepared.meta.answers)
            people = prepared.questions["answers"].to_pylist()
            self.accuracy_QA = metrics.vqa_table(prepared.meta.answers, people)

    def score(self, image_ND: np.ndarray, text_MD: np.ndarray) -> dict[str, float]:
        """Score a pair by its embeddings of all images and texts of the benchmark, unit vectors of width D.

        Returns:
            ``score`` (what ranks; a fraction of 1) and the metrics that belong to the task.
        """
        image_ND, text_MD = image_ND[self.images], text_MD[self.texts]
        if self.task == "classification":
            rank_N = self._label_ranks(image_ND, text_MD)
            top1, top5 = (metrics.topk_accuracy(rank_N, k) for k in (1, 5))
            return {"score": top1, "top1": top1, "top5": top5}
        if self.task == "retrieval":
            pools = [metrics.recall_at_k(ranks) for ranks in self._pools(image_ND, text_MD)]
            recall = {name: float(np.mean([pool[name] for pool in pools])) for name in pools[0]}
            return {"score": float(np.mean(list(recall.values())))} | recall
        answer_PAD = text_MD.reshape(-1, self.answers, text_MD.shape[1])
        return {
            "score": float(self._answered(image_ND, answer_PAD).mean()),
            "no_image": float(self._without_image(image_ND, answer_PAD).mean()),
        }

    def items(self, image_ND: np.ndarray, text_MD: np.ndarray) -> np.ndarray:
        """One value an item of the benchmark, to resample items by; their mean is the score of `score`.

        Args:
            image_ND: as for `score`, the embeddings of all images.
            text_MD: as for `score`, those of all texts.

        Returns:
            float32: classification: 1 or 0 an image; vqa: each question's accuracy; retrieval: a value an
            image, see `metrics.recall_items`. Images are those of the protocol, in their order.
        """
        image_ND, text_MD = image_ND[self.images], text_MD[self.texts]
        if self.task == "classification":
            return (self._label_ranks(image_ND, text_MD) < 1).astype(np.float32)
        if self.task == "retrieval":
            groups = [group for ranks in self._pools(image_ND, text_MD) for group in ranks.values()]
            return metrics.recall_items(groups, len(self.images))
        return self._answered(image_ND, text_MD.reshape(-1, self.answers, text_MD.shape[1]))

    def ceiling(self) -> float | None:
        """The best score that the closed answer list allows; None where nothing bounds it."""
        return float(self.accuracy_QA.max(1).mean()) if self.task == "vqa" else None

    def chance(self) -> float:
        """The expected score of a guess among equals."""
        if self.task == "classification":
            return 1 / self.classes
        if self.task == "vqa":
            return float(self.accuracy_QA.mean())
        ks = metrics.CUTOFFS
        pools = np.unique(self.pool_M, return_counts=True)[1]
        if self.protocol == "paper":
            return float(np.mean([min(1.0, k / pool) for pool in pools for k in ks]))
        captions = np.unique(self.image_of_text_M, return_counts=True)[1].tolist()
        to_text = [np.mean([_chance_of_any(own, len(self.texts), k) for own in captions]) for k in ks]
        return float(np.mean(to_text + [min(1.0, k / len(self.images)) for k in ks]))

    def class_vectors(self, text_MD: np.ndarray) -> np.ndarray:
        """Return each class's vector [C, D]: the mean of its prompts' unit vectors, brought to unit length again."""
        class_CD = np.zeros((self.classes, text_MD.shape[1]), np.float32)
        for rows in self.rounds:
            class_CD[self.target_M[rows]] += text_MD[rows]
        return class_CD / np.maximum(np.linalg.norm(class_CD, axis=1, keepdims=True), 1e-12)

    def _label_ranks(self, image_ND: np.ndarray, text_MD: np.ndarray) -> np.ndarray:
        return metrics.label_ranks(image_ND @ self.class_vectors(text_MD).T, self.label_N)

    def _pools(self, image_ND: np.ndarray, text_MD: np.ndarray) -> list[dict[str, metrics.Ranks]]:
        """Protocol standard: all captions in one pool; paper: pools of one caption an image, image → text."""
        if self.protocol == "standard":
            return [metrics.retrieval_ranks(image_ND, text_MD, self.image_of_text_M)]
        chosen = [self.pool_M == pool for pool in np.unique(self.pool_M)]
        return [
            metrics.retrieval_ranks(image_ND, text_MD[own_M], self.image_of_text_M[own_M], ("i2t",))
            for own_M in chosen
        ]

    def _answered(self, image_ND: np.ndarray, answer_PAD: np.ndarray) -> np.ndarray:
        """The accuracy of each question's answer: the one whose prompt is nearest to the image, float32 [Q]."""
        nearest_Q = [
            int((answer_PAD[prompt] @ image_ND[image]).argmax())
            for prompt, image in zip(self.prompt_Q, self.image_Q, strict=True)
        ]
        return self.accuracy_QA[np.arange(len(self.image_Q)), nearest_Q]

    def _without_image(self, image_ND: np.ndarray, answer_PAD: np.ndarray) -> np.ndarray:
        """The same with the mean image for every image."""
        mean_D = image_ND.mean(0)
        mean_PA = answer_PAD @ (mean_D / max(float(np.linalg.norm(mean_D)), 1e-12))
        return self.accuracy_QA[np.arange(len(self.image_Q)), mean_PA.argmax(1)[self.prompt_Q]]


def protocols(prepared: Prepared) -> list[Protocol]:
    """The protocols that a benchmark has rows for, standard first; only those that differ from it follow."""
    named = set(prepared.images["protocol"].to_pylist()) | set(prepared.texts["protocol"].to_pylist())
    if prepared.meta.task == "vqa":
        return ["standard"]
    both: list[Protocol] = ["standard", "paper"]
    return both if "both" in named else [name for name in both if name in named]


def _rounds(target_M: np.ndarray) -> list[np.ndarray]:
    """Rows that come together: the first of every class, the second, and so on, in each no class twice."""
    order_M = np.argsort(target_M, kind="stable")
    sorted_M = target_M[order_M]
    place_M = np.arange(len(sorted_M)) - np.searchsorted(sorted_M, sorted_M)
    return [order_M[place_M == place] for place in range(int(place_M.max(initial=-1)) + 1)]


def _chance_of_any(good: int, total: int, drawn: int) -> float:
    """The chance that any of `good` items is among `drawn` of `total`, without replacement."""
    return 1.0 if drawn >= total else 1 - math.comb(total - good, drawn) / math.comb(total, drawn)


def _rows(column: list[str], protocol: Protocol) -> np.ndarray:
    return np.array([row for row, name in enumerate(column) if name in ("both", protocol)], dtype=int)

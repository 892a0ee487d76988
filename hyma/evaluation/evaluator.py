"""Zero-shot evaluation of a stitched pair on a prepared benchmark, from embeddings alone.

Letters: N images, M texts, C classes, T templates, Q questions, A answers, D the shared width.
"""

import math
from functools import cached_property

import numpy as np

from hyma.common.names import Protocol
from hyma.common.prepared import Prepared
from hyma.evaluation import halves, metrics
from hyma.evaluation.captions import Captions
from hyma.evaluation.halves import Part
from hyma.evaluation.marks import Answered, Classified, Marks, Retrieved

METRIC = {"classification": "top-1 accuracy", "retrieval": "mean recall", "vqa": "VQA accuracy"}


class Evaluator:
    """A benchmark under one protocol: which rows it uses, and how they are scored.

    What depends on the data set alone is worked out once; `marks` is then cheap for every pair and method, and a score
    of any part of the items cheaper still. Whatever the part, all images and texts of the protocol are candidates.
    """

    def __init__(self, prepared: Prepared, protocol: Protocol, salt: int = 0):
        self.data, self.salt = prepared, salt
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
            owner_M = new_row[texts["image"].to_numpy().astype(int)]
            self.captions = Captions.of(owner_M, texts["text"].to_pylist(), len(self.images))
            pool_M = texts["pool"].to_numpy().astype(int)
            self.pools = [np.arange(len(pool_M))]
            if protocol == "paper":
                self.pools = [np.flatnonzero(pool_M == pool) for pool in np.unique(pool_M)]
        else:
            self.image_Q = prepared.questions["image"].to_numpy().astype(int)
            self.prompt_Q = prepared.questions["prompt"].to_numpy().astype(int)
            self.answers = len(prepared.meta.answers)
            people = prepared.questions["answers"].to_pylist()
            self.accuracy_QA = metrics.vqa_table(prepared.meta.answers, people)

    def marks(self, image_ND: np.ndarray, text_MD: np.ndarray) -> Marks:
        """What a pair gets on every item, by its embeddings of all images and texts of the benchmark.

        Args:
            image_ND: unit vectors of width D, of all images whatever their protocol.
            text_MD: those of all texts.
        """
        image_ND, text_MD = image_ND[self.images], text_MD[self.texts]
        if self.task == "classification":
            return Classified(metrics.label_ranks(image_ND @ self.class_vectors(text_MD).T, self.label_N))
        if self.task == "retrieval":
            return Retrieved(self._ranks(image_ND, text_MD))
        answer_PAD = text_MD.reshape(-1, self.answers, text_MD.shape[1])
        answered, blind = self._answered(image_ND, answer_PAD), self._without_image(image_ND, answer_PAD)
        return Answered(self.image_Q, answered, blind)

    def score(self, image_ND: np.ndarray, text_MD: np.ndarray, part: Part = "all") -> dict[str, float]:
        """Score a pair, embedded as for `marks`, on a part of the items.

        Returns:
            ``score`` (what ranks; a fraction of 1) and the metrics that belong to the task.
        """
        return self.marks(image_ND, text_MD).score(self.of(part))

    def items(self, image_ND: np.ndarray, text_MD: np.ndarray, part: Part = "all") -> np.ndarray:
        """One value an item of a part, to resample items by; their mean is the score of `score`.

        Returns:
            float32: classification: 1 or 0 an image; vqa: each question's accuracy; retrieval: a value an
            image, see `metrics.recall_items`. Images are those of the protocol, in their order.
        """
        return self.marks(image_ND, text_MD).items(self.of(part))

    def of(self, part: Part) -> np.ndarray:
        """Which of the protocol's images belong to a part, bool [N]."""
        if part == "all":
            return np.ones(len(self.images), bool)
        return self._choosing if part == "choose" else ~self._choosing

    @cached_property
    def _choosing(self) -> np.ndarray:
        return halves.choosing(self.data, self.salt)[self.images]

    def count(self, part: Part) -> int:
        """How many items a part has: images, of retrieval those that have a caption, or questions."""
        own_N = self.of(part)
        if self.task == "vqa":
            return int(own_N[self.image_Q].sum())
        if self.task == "retrieval":
            return int(own_N[np.unique(self.captions.image_M)].sum())
        return int(own_N.sum())

    def ceiling(self, part: Part = "all") -> float | None:
        """The best score that the closed answer list allows; None where nothing bounds it."""
        if self.task != "vqa":
            return None
        return float(self.accuracy_QA[self.of(part)[self.image_Q]].max(1).mean())

    def chance(self, part: Part = "all") -> float:
        """The expected score of a guess among equals."""
        if self.task == "classification":
            return 1 / self.classes
        own_N = self.of(part)
        if self.task == "vqa":
            return float(self.accuracy_QA[own_N[self.image_Q]].mean())
        found = []
        for pool in map(self.captions.some, self.pools):
            asks = np.unique(pool.image_M)
            right, total = pool.right_texts()[asks[own_N[asks]]], len(pool.image_M)
            found += [_chance_of_any(right, total, k) for k in metrics.CUTOFFS if len(right)]
            if self.protocol == "standard":
                right, total = pool.right_images()[own_N[pool.image_M]], len(own_N)
                found += [_chance_of_any(right, total, k) for k in metrics.CUTOFFS]
        return float(np.mean(found))

    def class_vectors(self, text_MD: np.ndarray) -> np.ndarray:
        """Return each class's vector [C, D]: the mean of its prompts' unit vectors, brought to unit length again."""
        class_CD = np.zeros((self.classes, text_MD.shape[1]), np.float32)
        for rows in self.rounds:
            class_CD[self.target_M[rows]] += text_MD[rows]
        return class_CD / np.maximum(np.linalg.norm(class_CD, axis=1, keepdims=True), 1e-12)

    def _ranks(self, image_ND: np.ndarray, text_MD: np.ndarray) -> list[dict[str, metrics.Ranks]]:
        """Protocol standard: all captions in one pool; paper: pools of one caption an image, image → text."""
        ways = ("i2t", "t2i") if self.protocol == "standard" else ("i2t",)
        return [
            metrics.retrieval_ranks(image_ND, text_MD[pool], self.captions.some(pool), ways)
            for pool in self.pools
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


def _chance_of_any(good_Q: np.ndarray, total: int, drawn: int) -> float:
    """The chance that any of a query's good items is among `drawn` of `total`, without replacement: the mean."""
    if drawn >= total:
        return 1.0
    good, count = np.unique(good_Q, return_counts=True)
    missed = [math.comb(total - own, drawn) / math.comb(total, drawn) for own in good.tolist()]
    return 1 - float(np.average(missed, weights=count))


def _rows(column: list[str], protocol: Protocol) -> np.ndarray:
    return np.array([row for row, name in enumerate(column) if name in ("both", protocol)], dtype=int)

"""Single items of a benchmark: whether a pair gets them right, and what there is to show of each.

An item is what is asked once: an image to name, an image that looks for its caption, a question about an image.
Letters: N images, M texts, C classes, Q questions, P prompts, A answers, I items, D the shared width.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hyma.common.prepared import Prepared, Task
from hyma.evaluation import metrics
from hyma.evaluation.evaluator import Evaluator

TOP = 3
"""Answers shown of every item; the true one follows where it is not among them."""
ENOUGH = 0.5
"""The VQA accuracy from which an answer counts as right: what two of ten people answered has 0.6."""
UNIT: dict[Task, str] = {"classification": "images", "retrieval": "images", "vqa": "questions"}
"""What the items of a task are."""
RIGHT: dict[Task, str] = {
    "classification": "the nearest class is the image's own",
    "retrieval": "the nearest caption is one of the image's own (recall@1; the score is the mean of several recalls)",
    "vqa": "the nearest answer earns at least half a point: two of ten people gave it",
}
"""When an item is right."""


@dataclass(frozen=True)
class Answer:
    """A class, caption or answer that was to be had."""

    text: str
    cosine: float
    """With the image."""
    place: int
    """1 for the one that the pair puts first."""
    true: bool


@dataclass(frozen=True)
class Item:
    """An item as one pair sees it."""

    image: int
    """Row of the prepared images."""
    right: bool
    answers: tuple[Answer, ...]
    """The pair's first ones, nearest first, then the best true one if it is not among them."""
    question: str = ""
    people: tuple[tuple[str, int], ...] = ()
    """What people answered to the question, and how many of them; the most frequent first."""


class Judged(Protocol):
    """A benchmark judged by one pair's embeddings."""

    right_I: np.ndarray
    """bool [I]; the order of the items depends on the benchmark and the protocol alone."""
    reported_I: np.ndarray
    """Which of them are of the half that is reported, bool [I]."""

    def item(self, number: int) -> Item:
        """The item with this number."""


def judge(data: Prepared, evaluator: Evaluator, image_ND: np.ndarray, text_MD: np.ndarray) -> Judged:
    """Judge every item of a benchmark.

    Args:
        data: the prepared benchmark.
        evaluator: made from `data`; its protocol says which rows count.
        image_ND: embeddings of all images of the benchmark, unit vectors.
        text_MD: those of all its texts.
    """
    kinds: dict[str, Callable[[Prepared, Evaluator, np.ndarray, np.ndarray], Judged]]
    kinds = {"classification": _Classes, "retrieval": _Captions, "vqa": _Questions}
    return kinds[evaluator.task](data, evaluator, image_ND[evaluator.images], text_MD[evaluator.texts])


def sample(judged: Judged, each: int, seed: int) -> list[int]:
    """Draw the numbers of `each` right and `each` wrong items of the reported half; fewer where there are fewer."""
    right_I, own_I = judged.right_I, judged.reported_I
    return draw(right_I & own_I, each, seed) + draw(~right_I & own_I, each, seed)


def draw(wanted_I: np.ndarray, count: int, seed: int) -> list[int]:
    """Draw `count` of the items that are `wanted_I`, in order; all of them where there are fewer."""
    numbers = np.flatnonzero(wanted_I)
    drawn = np.random.default_rng(seed).permutation(numbers)[:count]
    return sorted(drawn.tolist())


class _Classes:
    """Classification: an item is an image."""

    def __init__(self, data: Prepared, evaluator: Evaluator, image_ND: np.ndarray, text_MD: np.ndarray):
        self.names, self.rows, self.label_N = data.meta.classes, evaluator.images, evaluator.label_N
        self.cosine_NC = image_ND @ evaluator.class_vectors(text_MD).T
        self.rank_N = metrics.label_ranks(self.cosine_NC, self.label_N)
        self.right_I, self.reported_I = self.rank_N == 0, evaluator.of("report")

    def item(self, number: int) -> Item:
        cosine_C, label = self.cosine_NC[number], int(self.label_N[number])
        true_C = np.arange(len(cosine_C)) == label
        order = _order(cosine_C, true_C, int(self.rank_N[number]))
        answers = _shown(order, cosine_C, true_C, self.names.__getitem__)
        return Item(int(self.rows[number]), bool(self.right_I[number]), answers)


class _Captions:
    """Retrieval: an item is an image that looks for its captions, in every pool that has one."""

    def __init__(self, data: Prepared, evaluator: Evaluator, image_ND: np.ndarray, text_MD: np.ndarray):
        self.image_ND, self.text_MD, self.captions = image_ND, text_MD, evaluator.captions
        self.rows, self.text_rows, self.texts = evaluator.images, evaluator.texts, data.texts["text"]
        self.pools = evaluator.pools
        found = [
            metrics.retrieval_ranks(image_ND, text_MD[pool], self.captions.some(pool), ("i2t",))["i2t"]
            for pool in self.pools
        ]
        self.rank_I = np.concatenate([ranks.rank_Q for ranks in found])
        self.image_I = np.concatenate([ranks.image_Q for ranks in found])
        self.pool_I = np.repeat(np.arange(len(found)), [len(ranks.rank_Q) for ranks in found])
        self.right_I = self.rank_I == 0
        self.reported_I = evaluator.of("report")[self.image_I]

    def item(self, number: int) -> Item:
        pool, image = self.pools[self.pool_I[number]], int(self.image_I[number])
        (true_B,) = self.captions.some(pool).of_images(slice(image, image + 1))
        cosine_B = self.text_MD[pool] @ self.image_ND[image]
        order = _order(cosine_B, true_B, int(self.rank_I[number]))
        answers = _shown(
            order, cosine_B, true_B, lambda row: self.texts[int(self.text_rows[pool[row]])].as_py()
        )
        return Item(int(self.rows[image]), bool(self.right_I[number]), answers)


class _Questions:
    """Visual question answering: an item is a question."""

    def __init__(self, data: Prepared, evaluator: Evaluator, image_ND: np.ndarray, text_MD: np.ndarray):
        self.data, self.evaluator, self.image_ND = data, evaluator, image_ND
        self.answer_PAD = text_MD.reshape(-1, evaluator.answers, text_MD.shape[1])
        nearest_Q = [int(self._cosines(row).argmax()) for row in range(len(evaluator.image_Q))]
        self.right_I = evaluator.accuracy_QA[np.arange(len(nearest_Q)), nearest_Q] >= ENOUGH
        self.reported_I = evaluator.of("report")[evaluator.image_Q]

    def _cosines(self, question: int) -> np.ndarray:
        prompt, image = self.evaluator.prompt_Q[question], self.evaluator.image_Q[question]
        return self.answer_PAD[prompt] @ self.image_ND[image]

    def item(self, number: int) -> Item:
        cosine_A, true_A = self._cosines(number), self.evaluator.accuracy_QA[number] >= ENOUGH
        order = np.argsort(-cosine_A, kind="stable").tolist()
        people = Counter(self.data.questions["answers"][number].as_py()).most_common()
        return Item(
            int(self.evaluator.images[self.evaluator.image_Q[number]]),
            bool(self.right_I[number]),
            _shown(order, cosine_A, true_A, self.data.meta.answers.__getitem__),
            self._wording(int(self.evaluator.prompt_Q[number])),
            tuple(people),
        )

    def _wording(self, prompt: int) -> str:
        """A question as it was asked, taken out of the prompt of its first answer."""
        row = self.evaluator.texts[prompt * self.evaluator.answers]
        text = self.data.texts["text"][int(row)].as_py()
        return text.removesuffix(f" Answer: {self.data.meta.answers[0]}").removeprefix("Question: ")


def _order(cosine_A: np.ndarray, true_A: np.ndarray, rank: int) -> list[int]:
    """Candidates from the nearest on; of equal ones as the metric has it: `rank` wrong ones before a true one."""
    nearest = np.argsort(-cosine_A, kind="stable").tolist()
    best = next(row for row in nearest if true_A[row])
    ahead = [row for row in nearest if not true_A[row]][:rank]
    taken = {best, *ahead}
    return [*ahead, best, *(row for row in nearest if row not in taken)]


def _shown(
    order: Sequence[int], cosine_A: np.ndarray, true_A: np.ndarray, name: Callable[[int], str]
) -> tuple[Answer, ...]:
    """The first of `order`, and the first true one if it comes later."""
    true = next((place for place, row in enumerate(order) if true_A[row]), 0)
    shown = [(place, row) for place, row in enumerate(order) if place < TOP or place == true]
    return tuple(
        Answer(name(row), float(cosine_A[row]), place + 1, bool(true_A[row])) for place, row in shown
    )

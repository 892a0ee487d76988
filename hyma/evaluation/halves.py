"""Every benchmark in two halves: what is chosen by the one is reported on the other.

A picture's half follows from its content and a salt, by a fixed hash, so that copies of a picture, and all captions and
questions of it, are on one side, wherever its rows stand. Halves are equal, up to a picture, within every class and
every protocol: pictures are sorted by their hashes, and of each group the first half chooses.
"""

from collections.abc import Hashable, Sequence
from itertools import groupby
from typing import Literal, get_args

import numpy as np

from hyma.common.files import sha256
from hyma.common.prepared import Prepared

Half = Literal["choose", "report"]
Part = Literal["choose", "report", "all"]
HALVES: tuple[Half, ...] = get_args(Half)
PARTS: tuple[Part, ...] = get_args(Part)


def choosing(data: Prepared, salt: int) -> np.ndarray:
    """Which images of a benchmark choose, bool [N]; the others report.

    Those that nothing is asked of, no caption looks for and no question is about, are halved by themselves.

    Args:
        data: the benchmark.
        salt: another one gives other halves.
    """
    protocols = data.images["protocol"].to_pylist()
    if data.meta.task == "classification":
        kinds = data.images["label"].to_pylist()
    else:
        asked = set((data.questions if data.meta.task == "vqa" else data.texts)["image"].to_pylist())
        kinds = [row in asked for row in range(len(protocols))]
    return halved(data.images["content"].to_pylist(), list(zip(protocols, kinds, strict=True)), salt)


def halved(content_N: Sequence[str], group_N: Sequence[Hashable], salt: int) -> np.ndarray:
    """Which of these pictures choose, bool [N].

    Of a group of an odd number one half has a picture more: the halves take turns, so that all in all they differ by
    one at most, the report's being the larger. Of a group of two or more each half has one.

    Args:
        content_N: digests of their pixels; copies have equal ones, and are on one side.
        group_N: what is halved apart. Copies in several groups count in the first of these by its text.
        salt: another one gives other halves.
    """
    group_of: dict[str, str] = {}
    for content, group in zip(content_N, map(str, group_N), strict=True):
        group_of[content] = min(group, group_of.get(content, group))

    def place(content: str) -> tuple[str, str, str]:
        group = group_of[content]
        return sha256(f"{salt}/{group}"), group, sha256(f"{salt}/{content}")

    chosen: set[str] = set()
    done = 0
    for _, found in groupby(sorted(group_of, key=place), group_of.__getitem__):
        members = list(found)
        chosen.update(members[: (done + len(members)) // 2 - done // 2])
        done += len(members)
    return np.array([content in chosen for content in content_N], dtype=bool)

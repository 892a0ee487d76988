"""A picture is its content: rows with the same pixels become one, and what is left out goes with its reason.

Letters: N image rows, M text rows, Q questions.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from hyma.common.prepared import Kind, Prepared, Skipped

GONE = -1
"""In place of the row that stands for an image: there is none."""
JOINED = "the same picture as another, which has its texts now"
TWICE = "the same picture as another of its class"
CONTRADICTORY = "the same picture as one of another class"
NO_CAPTION = "no caption of it is left"
NO_PICTURE = "its picture is left out"
NO_POOL = "of a picture that occurs twice: protocol paper has one caption a picture in a pool"


def unite(draft: Prepared, content_N: Sequence[str | None], own: bool) -> Prepared:
    """Return a data set in which every picture occurs once, with the texts and questions of all its rows.

    Captioned and questioned pictures are joined within an evaluation protocol. Texts that join a picture of a retrieval
    benchmark count in protocol standard only: pools of protocol paper have one caption a picture. Of labelled pictures
    those are left out that say nothing new of their class, and those that two classes claim; in published benchmarks
    they stay, as in everybody's figures.

    Args:
        draft: as it was read.
        content_N: digest of each picture's pixels; None for those that cannot be read, which are left out.
        own: whether it is a user's own data set.
    """
    into_N, lost = (_labelled if draft.meta.task == "classification" else _joined)(draft, content_N, own)
    texts, lost_texts = _texts(draft, into_N)
    if draft.meta.task in ("pairs", "retrieval"):
        lost += _without_text(draft, into_N, texts)
    gone = np.isin(draft.questions["image"].to_numpy(), np.nonzero(into_N == GONE)[0])
    ids = draft.questions["id"].filter(pa.array(gone)).to_pylist()
    lost += lost_texts + [Skipped(name, NO_PICTURE, "question") for name in ids]
    kept_N = into_N == np.arange(len(into_N))
    images = draft.images.set_column(
        draft.images.schema.get_field_index("content"), "content", pa.array(content_N, pa.string())
    )
    new_row_N = np.where(into_N == GONE, 0, np.cumsum(kept_N)[into_N] - 1)
    return Prepared(
        replace(draft.meta, skipped=draft.meta.skipped + lost),
        images.filter(pa.array(kept_N)),
        _renumbered(texts, new_row_N),
        _renumbered(draft.questions.filter(pa.array(~gone)), new_row_N),
    )


def _joined(draft: Prepared, content_N: Sequence[str | None], own: bool) -> tuple[np.ndarray, list[Skipped]]:
    del own
    keys = list(zip(content_N, draft.images["protocol"].to_pylist(), strict=True))
    first: dict[tuple[str | None, str], int] = {}
    into_N = np.array([first.setdefault(key, row) for row, key in enumerate(keys)], dtype=int)
    into_N[[row for row, content in enumerate(content_N) if content is None]] = GONE
    again = np.nonzero((into_N != GONE) & (into_N != np.arange(len(into_N))))[0]
    return into_N, [Skipped(_place(draft, row), JOINED) for row in again.tolist()]


def _labelled(
    draft: Prepared, content_N: Sequence[str | None], own: bool
) -> tuple[np.ndarray, list[Skipped]]:
    into_N = np.array([GONE if content is None else row for row, content in enumerate(content_N)], dtype=int)
    lost = []
    if own:
        seen: dict[str, list[int]] = defaultdict(list)
        for row, content in enumerate(content_N):
            if content is not None:
                seen[content].append(row)
        label_N = draft.images["label"].to_pylist()
        for rows in seen.values():
            agree = len({label_N[row] for row in rows}) == 1
            for row in rows[1:] if agree else rows:
                into_N[row] = GONE
                lost.append(Skipped(_place(draft, row), TWICE if agree else CONTRADICTORY))
    return into_N, lost


def _texts(draft: Prepared, into_N: np.ndarray) -> tuple[pa.Table, list[Skipped]]:
    """The texts that stay, and the captions that go with their pictures or have no place in protocol paper."""
    image_M = draft.texts["image"].to_numpy()
    if draft.meta.task not in ("pairs", "retrieval"):
        return draft.texts, []
    into_M = into_N[image_M.astype(int)]
    joins_M = (into_M != GONE) & (into_M != image_M)
    protocol_M = np.array(draft.texts["protocol"].to_pylist(), dtype=object)
    lost_M: dict[int, str] = dict.fromkeys(np.nonzero(into_M == GONE)[0].tolist(), NO_PICTURE)
    if draft.meta.task == "retrieval":
        lost_M |= dict.fromkeys(np.nonzero(joins_M & (protocol_M == "paper"))[0].tolist(), NO_POOL)
        protocol_M[joins_M & (protocol_M == "both")] = "standard"
    texts = _column(draft.texts, "protocol", protocol_M.tolist())
    texts = _column(texts, "pool", _pools(texts["pool"].to_pylist(), into_M, joins_M))
    kept_M = ~np.isin(np.arange(len(texts)), list(lost_M))
    ids = draft.texts["id"]
    lost: list[Skipped] = [Skipped(ids[row].as_py(), reason, "text") for row, reason in lost_M.items()]
    return texts.filter(pa.array(kept_M)), lost


def _pools(pool_M: Sequence[int], into_M: np.ndarray, joins_M: np.ndarray) -> list[int]:
    """Numbers of the captions of their picture: those that join it follow its own."""
    after: dict[int, int] = defaultdict(int)
    for pool, into, joins in zip(pool_M, into_M.tolist(), joins_M.tolist(), strict=True):
        if not joins:
            after[into] = max(after[into], pool + 1)
    numbers = list(pool_M)
    for row in np.nonzero(joins_M)[0].tolist():
        numbers[row] = after[int(into_M[row])]
        after[int(into_M[row])] += 1
    return numbers


def _without_text(draft: Prepared, into_N: np.ndarray, texts: pa.Table) -> list[Skipped]:
    """Pictures that no text is left of; changes `into_N`."""
    told = np.isin(np.arange(len(into_N)), into_N[texts["image"].to_numpy().astype(int)])
    silent = np.nonzero((into_N == np.arange(len(into_N))) & ~told)[0]
    into_N[silent] = GONE
    return [Skipped(_place(draft, row), NO_CAPTION) for row in silent.tolist()]


def _renumbered(table: pa.Table, new_row_N: np.ndarray) -> pa.Table:
    rows = [None if row is None else int(new_row_N[row]) for row in table["image"].to_pylist()]
    return _column(table, "image", rows)


def _column(table: pa.Table, name: str, values: Sequence[object]) -> pa.Table:
    """The table with other values in a column."""
    position = table.schema.get_field_index(name)
    kind = table.schema.field(position)
    return table.set_column(position, kind, pa.array(values, kind.type))


def _place(draft: Prepared, row: int) -> str:
    image = draft.images["image"][row].as_py()
    return image["path"] or draft.images["id"][row].as_py()


def counted(prepared: Prepared) -> Mapping[Kind, int]:
    """What there is of each kind, and was left out of it."""
    meta = prepared.meta
    found: dict[Kind, int] = {"image": len(prepared.images), "question": len(prepared.questions)}
    if meta.task in ("pairs", "retrieval"):
        found["text"] = len(prepared.texts)
    return {
        kind: count + sum(skipped.kind == kind for skipped in meta.skipped) for kind, count in found.items()
    }

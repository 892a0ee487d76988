"""Pictures of the benchmarks that are among the training pictures: a score on them says less."""

from collections.abc import Mapping
from typing import Any

from hyma.common.errors import HymaError
from hyma.common.names import LeaksKind
from hyma.common.prepared import Prepared
from hyma.readers.base.params import DataSource

EXAMPLES = 3
"""Of shared pictures that are told."""


def leaks(
    training: Prepared, benchmarks: Mapping[str, Prepared]
) -> tuple[dict[str, dict[str, Any]], list[int]]:
    """Compare pictures by their pixels.

    Returns:
        By benchmark: how many ``pictures`` it has, how many of them are ``shared`` with the training set, and
        ``examples``, pairs of ids; and the rows of all training pictures that any benchmark has.
    """
    rows = {content: row for row, (content, _) in enumerate(_contents(training))}
    names = training.images["id"].to_pylist()
    found: dict[str, dict[str, Any]] = {}
    leaked: set[int] = set()
    for name, benchmark in benchmarks.items():
        shared = [(rows[content], own) for content, own in _contents(benchmark) if content in rows]
        leaked.update(row for row, _ in shared)
        found[name] = {
            "pictures": len(benchmark.images),
            "shared": len(shared),
            "examples": [[names[row], own] for row, own in shared[:EXAMPLES]],
        }
    return found, sorted(leaked)


def _contents(data: Prepared) -> list[tuple[str, str]]:
    """Digest and id of every picture."""
    return list(zip(data.images["content"].to_pylist(), data.images["id"].to_pylist(), strict=True))


def refuse(
    found: Mapping[str, Mapping[str, Any]], action: LeaksKind, sources: Mapping[str, DataSource]
) -> None:
    """Refuse benchmarks that share more pictures with the training set than they may.

    Args:
        found: what `leaks` gave.
        action: ``refuse``: none may be shared; ``report``: a benchmark's ``max_leaked``; ``drop``: any number.
        sources: section ``benchmarks``.

    Raises:
        HymaError: naming the first such benchmark and one of the pictures.
    """
    for name, own in found.items():
        most = {"refuse": 0.0, "report": sources[name].max_leaked, "drop": 1.0}[action]
        if own["shared"] > most * own["pictures"]:
            trained, judged = own["examples"][0]
            limit = "leaks is refuse" if action == "refuse" else f"benchmarks.{name}.max_leaked is {most}"
            raise HymaError(
                f"params.yaml: benchmarks.{name}: {own['shared']:,} of its {own['pictures']:,} pictures are training "
                f"pictures too, {judged} ({trained} there) for one, and {limit}; set leaks to drop, which trains "
                "without them, or give other pictures"
            )

"""A recorded ranking as a search method: what a language model, or anybody, answered when asked for the best pair."""

from collections.abc import Sequence
from pathlib import Path

from hyma.common.errors import HymaError
from hyma.common.files import read_json
from hyma.stitching.result import SearchResult


def search(file: Path, pairs: Sequence[str]) -> SearchResult:
    """Read the ranking: the first pair scores highest; pairs that it leaves out share the last place.

    Raises:
        HymaError: if the file is no such answer, or names a pair that there is not.
    """
    answer = read_json(file)
    for key in ("model", "date", "question", "ranking"):
        if not isinstance(answer, dict) or not answer.get(key):
            raise HymaError(
                f"{file}: {key}: missing; a recorded answer has model, date, question and ranking"
            )
    ranking = answer["ranking"]
    if not isinstance(ranking, list):
        raise HymaError(f"{file}: ranking: should be a list of pairs, best first")
    unknown = [pair for pair in ranking if pair not in pairs]
    if unknown:
        raise HymaError(
            f"{file}: ranking: no pair {unknown[0]!r} in this experiment; pairs are <image>-<text>"
        )
    twice = [pair for pair in ranking if ranking.count(pair) > 1]
    if twice:
        raise HymaError(f"{file}: ranking: {twice[0]} is named twice")
    scores = {pair: float(len(ranking) - ranking.index(pair)) if pair in ranking else 0.0 for pair in pairs}
    notes = {"asked": str(answer["model"]), "on": str(answer["date"])}
    label = f"recorded answer ({file.stem})"
    return SearchResult(label, scores, flops={"computing": 0.0}, notes=notes)
